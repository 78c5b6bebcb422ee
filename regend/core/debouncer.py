"""Collect hints until a path has been quiet for a moment, then release them together.

Two times, as Syncthing's watch aggregator has them: a path is released once it was quiet for `quiet_s`, and at the
latest `max_delay_s` after its first hint, so that a file that is written all the time is read too. More than
`storm_paths` paths of one root collapse into one rescan of the root: comparing signatures is cheaper than following
each hint, and memory stays bounded.

While git holds its index lock the root's hints wait, for at most `busy_limit_s`: a checkout is one change, not
thousands. A hot path's hint waits until its pause is over.
"""

from __future__ import annotations

import heapq
import math
from dataclasses import dataclass, field

from regend.core.heat import Heat, Key
from regend.core.scans import Scan
from regend.core.watermark import Watermark
from regend.types import RootId


@dataclass(frozen=True, slots=True)
class DebounceConfig:
    """Times in seconds; see `config.WatchConfig`."""

    quiet_s: float = 0.04
    max_delay_s: float = 0.4
    storm_paths: int = 512
    busy_limit_s: float = 10.0


@dataclass(slots=True)
class _Hint:
    path: str
    first_at: float
    last_at: float
    seq: int


@dataclass(slots=True)
class _RootHints:
    paths: dict[str, _Hint] = field(default_factory=dict)
    rescans: dict[str, _Hint] = field(default_factory=dict)
    absorbed: list[int] = field(default_factory=list)
    busy_until: float | None = None

    def all(self) -> list[_Hint]:
        return [*self.paths.values(), *self.rescans.values()]


class Debouncer:
    """Owns all hints that no scan has taken up yet."""

    def __init__(self, config: DebounceConfig, watermark: Watermark, heat: Heat | None = None) -> None:
        self._config = config
        self._watermark = watermark
        self._heat = heat or Heat()
        self._roots: dict[RootId, _RootHints] = {}
        self._heap: list[tuple[float, RootId]] = []

    def add_path(self, root: RootId, path: str, now: float) -> None:
        """Note that `path` may differ; a new hint holds a sequence number."""
        hints = self._roots.setdefault(root, _RootHints())
        self._add(root, hints, hints.paths, path, now)

    def add_rescan(self, root: RootId, path: str, now: float) -> None:
        """Note that everything below `path` must be compared with the disk; a new hint holds a sequence number."""
        hints = self._roots.setdefault(root, _RootHints())
        self._add(root, hints, hints.rescans, path, now)

    def set_busy(self, root: RootId, busy: bool, now: float) -> None:
        """Hold the root's hints back while git is busy, or release them now."""
        hints = self._roots.setdefault(root, _RootHints())
        hints.busy_until = now + self._config.busy_limit_s if busy else None
        if hints.paths or hints.rescans:
            heapq.heappush(self._heap, (now if not busy else now + self._config.busy_limit_s, root))

    def drop(self, root: RootId) -> None:
        """Forget the root's hints, and release their numbers."""
        hints = self._roots.pop(root, _RootHints())
        self._watermark.release(*(hint.seq for hint in hints.all()), *hints.absorbed)

    def release_all(self) -> list[Scan]:
        """Take all hints now, whatever their age: a flush waits neither for quiet, nor for git, nor for a hot path."""
        scans = [scan for root, hints in self._roots.items() for scan in self._take(root, hints)]
        self._heap.clear()
        return scans

    def take_due(self, now: float) -> list[Scan]:
        """Take the hints that have been quiet long enough or have waited too long, as scans."""
        roots = dict.fromkeys(self._pop_roots(now))
        scans: list[Scan] = []
        for root in roots:
            hints = self._roots.get(root)
            if hints is None:
                continue
            if hints.busy_until is not None:
                if now < hints.busy_until:
                    heapq.heappush(self._heap, (hints.busy_until, root))
                    continue
                hints.busy_until = None  # The lock is older than any checkout should be, so stop waiting.
            scans.extend(self._take(root, hints, now))
            left = [self._due_at(root, hint) for hint in hints.all()]
            if left:
                heapq.heappush(self._heap, (min(left), root))
        return scans

    def next_deadline(self) -> float | None:
        """Return when to call `take_due` next: sometimes too early, never too late."""
        return self._heap[0][0] if self._heap else None

    def pending(self, root: RootId | None = None) -> int:
        """Return how many hints wait for this root, or for all."""
        return sum(len(hints.all()) for own, hints in self._roots.items() if root in (None, own))

    def hot(self) -> dict[Key, float]:
        """Return the hinted paths whose pause is what keeps them from a look, with the time of the look."""
        times = {(root, path): hint for root, hints in self._roots.items() for path, hint in hints.paths.items()}
        return {key: at for key, hint in times.items() if (at := self._heat.look_at(key)) > self._quiet_at(hint)}

    def check_invariants(self) -> None:
        queued = {root for _, root in self._heap}
        for root, hints in self._roots.items():
            assert len(hints.paths) <= self._config.storm_paths
            assert len(hints.rescans) <= self._config.storm_paths
            assert not ("" in hints.rescans and (hints.paths or len(hints.rescans) > 1))
            assert root in queued or not (hints.paths or hints.rescans), "a hint without a deadline is lost"

    def _add(self, root: RootId, hints: _RootHints, group: dict[str, _Hint], path: str, now: float) -> None:
        known = hints.rescans.get("") or group.get(path)
        if known is not None:
            known.last_at = now
            return
        hint = group[path] = _Hint(path, now, now, self._watermark.hold_next())
        if "" in hints.rescans or len(group) > self._config.storm_paths:
            hint = self._collapse(hints, now)
        heapq.heappush(self._heap, (self._due_at(root, hint), root))

    def _due_at(self, root: RootId, hint: _Hint) -> float:
        is_path = self._roots[root].paths.get(hint.path) is hint
        return max(self._quiet_at(hint), self._heat.look_at((root, hint.path)) if is_path else 0.0)

    def _quiet_at(self, hint: _Hint) -> float:
        return min(hint.last_at + self._config.quiet_s, hint.first_at + self._config.max_delay_s)

    def _pop_roots(self, now: float) -> list[RootId]:
        roots = []
        while self._heap and self._heap[0][0] <= now:
            roots.append(heapq.heappop(self._heap)[1])
        return roots

    @staticmethod
    def _collapse(hints: _RootHints, now: float) -> _Hint:
        """Replace all hints of the root by one rescan of the whole, which inherits every held number."""
        every = hints.all()
        first = min(every, key=lambda h: h.seq)
        hints.absorbed.extend(h.seq for h in every if h.seq != first.seq)
        hints.paths.clear()
        hints.rescans = {"": _Hint("", min(h.first_at for h in every), now, first.seq)}
        return hints.rescans[""]

    def _take(self, root: RootId, hints: _RootHints, now: float = math.inf) -> list[Scan]:
        """Take the hints that are due at `now`."""
        scans = []
        for trust, group in ((False, hints.paths), (True, hints.rescans)):
            ready = sorted(path for path, hint in group.items() if self._due_at(root, hint) <= now)
            if ready:
                seqs = [group.pop(path).seq for path in ready]
                if "" in ready:
                    seqs += hints.absorbed
                    hints.absorbed = []
                scans.append(Scan(root, tuple(ready), trust, seqs=sorted(seqs)))
        return scans
