"""How many texts of each file a remote model may still get: a hard bound on what a file that never rests costs.

`heat.py` slows such a file down; here its texts are counted. A file's hour begins with its first text. The version that
is embedded first passes whole, however large, so a first index is never held back; other versions get what the bound
leaves. The counts are in memory only: after a start each file begins a new hour.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from regend.core.events import FileVersion
from regend.core.heat import Key
from regend.types import BlobId

HOUR_S = 3600.0
MAX_FILES = 50_000
"""Maximum files that are counted; beyond it the oldest hours end early. A guess: 20 MB."""


@dataclass(slots=True)
class _Hour:
    ends_at: float
    first: BlobId
    text_count: int = 0


class Allowance:
    """Owns the hours of files, oldest first.

    Attributes:
        spent: files that were refused a text, with the time at which they may have others.
    """

    def __init__(self, texts_per_hour: int) -> None:
        self._texts_per_hour = texts_per_hour
        self._hours: dict[Key, _Hour] = {}
        self.spent: dict[Key, float] = {}

    def admit(self, version: FileVersion | None, now: float) -> bool:
        """Count a text of this version and return True, or return False where the file has spent its hour."""
        if version is None or not self._texts_per_hour:
            return True
        hour = self._hours.get(version.key)
        if hour is None:
            hour = self._hours[version.key] = _Hour(now + HOUR_S, version.blob)
        if hour.text_count >= self._texts_per_hour and version.blob != hour.first:
            self.spent[version.key] = hour.ends_at
            return False
        hour.text_count += 1
        return True

    def end_hours(self, now: float) -> bool:
        """Forget the hours that are over; return whether a file that was refused a text may have it now."""
        ended: list[Key] = []
        for key, hour in self._hours.items():
            if hour.ends_at > now and len(self._hours) - len(ended) <= MAX_FILES:
                break
            ended.append(key)
        for key in ended:
            del self._hours[key]
        return self.forgive(ended)

    def forgive(self, keys: Iterable[Key]) -> bool:
        """Forget refusals of these files, whose chunks are to be judged again; return whether there were any."""
        return bool([key for key in keys if self.spent.pop(key, None) is not None])

    def check_invariants(self) -> None:
        assert self.spent.keys() <= self._hours.keys()
        assert list(self._hours) == sorted(self._hours, key=lambda key: self._hours[key].ends_at)
