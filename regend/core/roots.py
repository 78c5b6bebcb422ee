"""The state of a root beside its tree: whether it is there, and which places in it could not be looked at."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from regend.core.planner import covers

AWAY = "the root is away: its directory is gone, or its file system does not answer"


@dataclass(slots=True)
class RootState:
    """A root that is served.

    Attributes:
        lost: its directory is gone; nothing is concluded until it is back.
        found_after: the newest scan id when it came back; scans up to it say nothing about the root itself.
        unsure: directories that could not be read -> when to look again, and the reason.
    """

    lost: bool = False
    found_after: int = -1
    unsure: dict[str, tuple[float, str]] = field(default_factory=dict)

    def looked(self, scopes: Iterable[str], unsure: Mapping[str, str], again_at: float) -> None:
        """Note which places within the scopes could not be read."""
        for path in [path for path in self.unsure if any(covers(scope, path) for scope in scopes)]:
            del self.unsure[path]
        for path, reason in unsure.items():
            self.unsure[path] = (again_at, reason)
