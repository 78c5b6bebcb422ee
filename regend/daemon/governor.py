"""Limits bulk work to what the machine can spare: less while memory or disks are under pressure, none on a full disk.

The processor needs no such rule: workers and the index thread are niced, so every other program comes first. The
governor decides how many files may be in progress and tells the core; the next look may change that. Edits wait like
everything else while the disk is full, because they too must be written.
"""

from __future__ import annotations

import asyncio
import math
import os
import shutil
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from regend.config import ResourceConfig
from regend.workers.rss import rss_bytes

PRESSURE = Path("/proc/pressure")
POWER = Path("/sys/class/power_supply")
CHECK_INTERVAL_S = 2.0
CALM_AFTER_S = 30.0
CALM_INTERVAL_S = 10.0
"""Pause between checks while nothing happens: each wakes a processor."""
_SIZE_INTERVAL_S = 10.0
_RELIEF = 0.5
"""Share of the limit to which pressure must fall before bulk work continues in full, or the two would alternate."""
_SIGNS = {"memory": "some", "io": "full"}
"""Lines of Linux' pressure stall information to read: shares of time in which some, or all, tasks stood still
(https://docs.kernel.org/accounting/psi.html)."""

log = structlog.get_logger(__name__)


class Pace:
    """How often the daemon looks for what nothing reports: seldom after a while of calm, in which nothing happened.

    Owned by the event loop.
    """

    def __init__(self) -> None:
        self._stirred_at = time.monotonic()
        self._woken = asyncio.Event()

    def stir(self) -> None:
        """Note that something happened, and end the long pauses."""
        if self.is_calm:
            self._woken.set()
        self._stirred_at = time.monotonic()

    def wake(self) -> None:
        """End every pause."""
        self._woken.set()

    @property
    def is_calm(self) -> bool:
        return time.monotonic() - self._stirred_at >= CALM_AFTER_S

    async def pause(self, usual_s: float, longest_s: float = math.inf) -> float:
        """Wait for `usual_s`, or longer while it is calm; return the seconds that were meant."""
        meant_s = max(usual_s, min(CALM_INTERVAL_S, longest_s)) if self.is_calm else usual_s
        self._woken.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(meant_s):
                await self._woken.wait()
        return meant_s


@dataclass(frozen=True, slots=True)
class Readings:
    """Values that the governor measures.

    Attributes:
        free_bytes: free space for the state directory; None where the system does not tell.
        state_bytes: what the state directory holds; 0 where nothing limits it.
        used_bytes: resident memory of the daemon; 0 where nothing limits it.
        stalled_percent: share of the last 10 s in which tasks stood still, by resource.
    """

    free_bytes: int | None = None
    state_bytes: int = 0
    used_bytes: int = 0
    stalled_percent: Mapping[str, float] = field(default_factory=dict)
    on_battery: bool = False


class Governor:
    """Decides on the event loop from what it measures in a thread: a disk that hangs must not stop the daemon.

    Args:
        slots: files that may be in progress when nothing is wrong.
        set_slots: tells the core.

    Attributes:
        held_back: why bulk work is held back now, as sentences for `status`.
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
        self._size_due_at = 0.0
        self._state_bytes = 0
        self.held_back: tuple[str, ...] = ()

    async def run(self, pace: Pace) -> None:
        """Measure and decide every `CHECK_INTERVAL_S`, less often while it is calm, until cancelled."""
        while True:
            self.decide(await asyncio.to_thread(self.measure, time.monotonic()))
            await pace.pause(CHECK_INTERVAL_S)

    def measure(self, now: float) -> Readings:
        """Measure what the configuration limits; one thread at a time. `now`: monotonic seconds."""
        config = self._config
        try:
            free_bytes = shutil.disk_usage(self._state_dir).free
        except OSError:
            free_bytes = None  # Writing will tell.
        if config.max_state_mb and now >= self._size_due_at:
            self._size_due_at, self._state_bytes = now + _SIZE_INTERVAL_S, size_bytes(self._state_dir)
        return Readings(
            free_bytes,
            self._state_bytes,
            rss_bytes() if config.max_rss_mb else 0,
            {name: stalled_percent(self._pressure / name, line) for name, line in _SIGNS.items()},
            config.battery == "slow" and on_battery(self._power),
        )

    def decide(self, readings: Readings) -> None:
        """Tell the core if the number of files that may be in progress changes."""
        full, slow = self._full(readings), self._slow(readings)
        slots = 0 if full else 1 if slow else self._slots
        self.held_back = (*full, *slow)
        if slots != self._now:
            self._now = slots
            log.warning("bulk_work_slots", slots=slots, usual=self._slots, reasons=list(self.held_back))
            self._set_slots(slots)

    def _full(self, readings: Readings) -> list[str]:
        config, found = self._config, []
        if readings.free_bytes is not None and readings.free_bytes < config.min_free_mb * 1_000_000:
            found.append(
                f"Only {readings.free_bytes / 1e6:.0f} MB are free for {self._state_dir}; indexing waits for "
                f"{config.min_free_mb} MB (`resources.min_free_mb`)."
            )
        if readings.state_bytes > config.max_state_mb * 1_000_000:
            found.append(
                f"{self._state_dir} holds {readings.state_bytes / 1e6:.0f} MB, more than {config.max_state_mb} MB; "
                "raise `resources.max_state_mb`, or remove a root."
            )
        if readings.used_bytes > config.max_rss_mb * 1_000_000:
            found.append(
                f"The daemon takes {readings.used_bytes / 1e6:.0f} MB of memory, more than {config.max_rss_mb} MB; "
                "raise `resources.max_rss_mb`, or remove a root."
            )
        return found

    def _slow(self, readings: Readings) -> list[str]:
        limit = self._config.pressure_percent * (_RELIEF if self._pressed else 1.0)
        found = [
            f"The machine is short of {name}: tasks stood still {share:.0f} % of the last 10 s; files are indexed one "
            "at a time."
            for name, share in readings.stalled_percent.items()
            if limit and share > limit
        ]
        self._pressed = bool(found)
        if readings.on_battery:
            found.append("The machine runs on battery; files are indexed one at a time (`resources.battery`).")
        return found


def stalled_percent(file: Path, line: str) -> float:
    """Return the 10 s average of a line of a pressure file; 0 where the kernel does not keep it."""
    try:
        for row in file.read_text().splitlines():
            kind, *fields = row.split()
            if kind == line:
                return float(dict(field.split("=", 1) for field in fields)["avg10"])
    except (OSError, ValueError, KeyError):
        pass
    return 0.0


def on_battery(supplies: Path) -> bool:
    """Tell whether a battery discharges and no mains is connected; False where nothing is known.

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
    """Return the size of all files below a directory, without following links."""
    total = 0
    for above, _, names in os.walk(directory):
        for name in names:
            try:
                total += os.lstat(os.path.join(above, name)).st_size  # noqa: PTH118 - a walk of many files.
            except OSError:
                continue  # It went away meanwhile.
    return total
