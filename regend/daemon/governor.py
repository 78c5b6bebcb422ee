"""How much of the machine bulk work may have now: less while memory or disks are under pressure, none on a full disk.

The processor needs no such rule: workers and the index thread are niced, so whoever else wants it gets it. It decides
how many files may be under way and says so to the core; the next check may say otherwise. Edits wait like everything
else while the disk is full, because they too must be written.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import structlog

from regend.config import ResourceConfig
from regend.workers.rss import rss_bytes

PRESSURE = Path("/proc/pressure")
POWER = Path("/sys/class/power_supply")
CHECK_INTERVAL_S = 2.0
_SIZE_INTERVAL_S = 10.0
_RELIEF = 0.5
"""Pressure must fall to this share of the limit before bulk work is taken up in full, or it would swing."""
_SIGNS = {"memory": "some", "io": "full"}
"""The lines of Linux' pressure stall information that count: shares of time in which some, or all, tasks stood still
(https://docs.kernel.org/accounting/psi.html)."""

log = structlog.get_logger(__name__)


class Governor:
    """Owned by the event loop; `check` reads a few small files.

    Args:
        slots: files that may be under way when nothing is wrong.
        set_slots: tells the core.

    Attributes:
        held_back: what holds bulk work back now, as sentences for `status`.
    """

    def __init__(
        self,
        config: ResourceConfig,
        state_dir: Path,
        slots: int,
        set_slots: Callable[[int], None],
        pressure: Path = PRESSURE,
        power: Path = POWER,
    ) -> None:
        self._config = config
        self._state_dir = state_dir
        self._slots = self._now = slots
        self._set_slots = set_slots
        self._pressure = pressure
        self._power = power
        self._pressed = False
        self._due_at = self._size_due_at = 0.0
        self._state_bytes = 0
        self.held_back: tuple[str, ...] = ()

    def check(self, now: float) -> None:
        """Look, and tell the core if something changed. `now`: monotonic seconds."""
        if now < self._due_at:
            return
        self._due_at = now + CHECK_INTERVAL_S
        full, pressed = self._full(now), (*self._under_pressure(), *self._saving_power())
        slots = 0 if full else 1 if pressed else self._slots
        self.held_back = (*full, *pressed)
        if slots != self._now:
            self._now = slots
            log.warning("bulk_work_slots", slots=slots, usual=self._slots, reasons=list(self.held_back))
            self._set_slots(slots)

    def _full(self, now: float) -> tuple[str, ...]:
        found = []
        try:
            free_bytes = shutil.disk_usage(self._state_dir).free
        except OSError:
            free_bytes = self._config.min_free_mb * 1_000_000  # Unknown; writing will tell.
        if free_bytes < self._config.min_free_mb * 1_000_000:
            found.append(
                f"Only {free_bytes / 1e6:.0f} MB are free for {self._state_dir}; indexing waits for "
                f"{self._config.min_free_mb} MB (`resources.min_free_mb`)."
            )
        if self._config.max_state_mb:
            if now >= self._size_due_at:
                self._size_due_at, self._state_bytes = now + _SIZE_INTERVAL_S, size_bytes(self._state_dir)
            if self._state_bytes > self._config.max_state_mb * 1_000_000:
                found.append(
                    f"{self._state_dir} holds {self._state_bytes / 1e6:.0f} MB, more than "
                    f"{self._config.max_state_mb} MB; raise `resources.max_state_mb`, or remove a root."
                )
        used_bytes = rss_bytes() if self._config.max_rss_mb else 0
        if used_bytes > self._config.max_rss_mb * 1_000_000:
            found.append(
                f"The daemon takes {used_bytes / 1e6:.0f} MB of memory, more than {self._config.max_rss_mb} MB; raise "
                "`resources.max_rss_mb`, or remove a root."
            )
        return tuple(found)

    def _saving_power(self) -> tuple[str, ...]:
        if self._config.battery != "slow" or not on_battery(self._power):
            return ()
        return ("The machine runs on battery; files are indexed one at a time (`resources.battery`).",)

    def _under_pressure(self) -> tuple[str, ...]:
        limit = self._config.pressure_percent
        if not limit:
            return ()
        if self._pressed:
            limit *= _RELIEF
        shares = {name: stalled_percent(self._pressure / name, line) for name, line in _SIGNS.items()}
        found = tuple(
            f"The machine is short of {name}: tasks stood still {share:.0f} % of the last 10 s; files are indexed one "
            "at a time."
            for name, share in shares.items()
            if share > limit
        )
        self._pressed = bool(found)
        return found


def stalled_percent(file: Path, line: str) -> float:
    """The 10 s average of a pressure file's line; 0 where the kernel keeps none."""
    try:
        for row in file.read_text().splitlines():
            kind, *fields = row.split()
            if kind == line:
                return float(dict(field.split("=", 1) for field in fields)["avg10"])
    except (OSError, ValueError, KeyError):
        pass
    return 0.0


def on_battery(supplies: Path) -> bool:
    """Whether a battery discharges and no mains is connected; False where nothing is known.

    See https://docs.kernel.org/power/power_supply_class.html; batteries of mice and the like have the scope ``Device``.
    """
    discharging = False
    try:
        for supply in supplies.iterdir():
            kind, scope = _word(supply / "type"), _word(supply / "scope")
            if kind in ("Mains", "USB") and _word(supply / "online") == "1":
                return False
            discharging |= kind == "Battery" and scope != "Device" and _word(supply / "status") == "Discharging"
    except OSError:
        return False
    return discharging


def _word(file: Path) -> str:
    try:
        return file.read_text().strip()
    except OSError:
        return ""


def size_bytes(directory: Path) -> int:
    """What the files of a directory and those below it take, without following links."""
    total = 0
    for above, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(above, name)).st_size  # noqa: PTH118 - a walk of many files.
            except OSError:
                continue  # It went away meanwhile.
    return total
