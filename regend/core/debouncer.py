"""Collect hints until a path has been quiet for a moment, then release them together.

Two times, as Syncthing's watch aggregator has them: a path is released once it was quiet for `quiet_s`, and at the
latest `max_delay_s` after its first hint, so that a file that is written all the time is still read. More than
`storm_paths` paths of one root collapse into one rescan of the root: comparing signatures is cheaper than following
each hint, and memory stays bounded.

While git holds its index lock the root's hints wait, for at most `busy_limit_s`: a checkout is one change, not
thousands.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field

from regend.types import RootId


@dataclass(frozen=True, slots=True)
class DebounceConfig:
    """Times in seconds; see `config.WatchConfig`."""

    quiet_s: float = 0.04
    max_delay_s: float = 0.4
    storm_paths: int = 512
    busy_limit_s: float = 10.0


@dataclass(frozen=True, slots=True)
class Due:
    """What to look at now.

    Attributes:
        scopes: paths, each for itself and all below it.
        trust: an unchanged signature may be believed (a rescan); otherwise every file is read (a hint).
        seqs: the sequence numbers held for it; whoever takes it releases them.
    """

    root: RootId
    scopes: tuple[str, ...]
    trust: bool
    seqs: tuple[int, ...]


@dataclass(slots=True)
class _Hint:
    first_at: float
    last_at: float
    seq: int


@dataclass(slots=True)
class _RootHints:
    paths: dict[str, _Hint] = field(default_factory=dict)
    rescans: dict[str, _Hint] = field(default_factory=dict)
    absorbed: list[int] = field(default_factory=list)
    busy_until: float | None = None


class Debouncer:
    """Owns all hints that have not been looked at yet."""

    def __init__(self, config: DebounceConfig) -> None:
        self._config = config
        self._roots: dict[RootId, _RootHints] = {}
        self._heap: list[tuple[float, RootId]] = []

    def add_path(self, root: RootId, path: str, seq: int, now: float) -> bool:
        """Note that `path` may differ.

        Returns:
            True when `seq` is held until the hint is taken; False when an older hint covers it.
        """
        hints = self._roots.setdefault(root, _RootHints())
        whole = hints.rescans.get("")
        if whole is not None:
            whole.last_at = now
            return False
        known = hints.paths.get(path)
        if known is not None:
            known.last_at = now
            return False
        hint = hints.paths[path] = _Hint(now, now, seq)
        if len(hints.paths) > self._config.storm_paths:
            self._collapse(root, hints, now)
        else:
            self._push(root, hint)
        return True

    def add_rescan(self, root: RootId, path: str, seq: int, now: float) -> bool:
        """Note that everything below `path` must be compared with the disk; returns as `add_path` does."""
        hints = self._roots.setdefault(root, _RootHints())
        known = hints.rescans.get("") or hints.rescans.get(path)
        if known is not None:
            known.last_at = now
            return False
        hint = hints.rescans[path] = _Hint(now, now, seq)
        if path == "" or len(hints.rescans) > self._config.storm_paths:
            self._collapse(root, hints, now)
        else:
            self._push(root, hint)
        return True

    def set_busy(self, root: RootId, busy: bool, now: float) -> None:
        """Hold the root's hints back, or let them go now."""
        hints = self._roots.setdefault(root, _RootHints())
        hints.busy_until = now + self._config.busy_limit_s if busy else None
        if hints.paths or hints.rescans:
            heapq.heappush(self._heap, (now if not busy else now + self._config.busy_limit_s, root))

    def drop(self, root: RootId) -> tuple[int, ...]:
        """Forget the root's hints and return the numbers that were held for them."""
        hints = self._roots.pop(root, _RootHints())
        return self._seqs(hints)

    def release_all(self) -> list[Due]:
        """Take everything now, whatever its age (a flush does not wait for quiet, nor for git)."""
        due = [d for root, hints in self._roots.items() for d in self._take(root, hints, None)]
        self._heap.clear()
        return due

    def take_due(self, now: float) -> list[Due]:
        """Take what has been quiet long enough or has waited too long."""
        roots = dict.fromkeys(self._pop_roots(now))
        due: list[Due] = []
        for root in roots:
            hints = self._roots.get(root)
            if hints is None:
                continue
            if hints.busy_until is not None:
                if now < hints.busy_until:
                    heapq.heappush(self._heap, (hints.busy_until, root))
                    continue
                hints.busy_until = None  # The lock is older than any checkout should be: stop waiting for it.
            due.extend(self._take(root, hints, now))
            left = [self._due_at(h) for group in (hints.paths, hints.rescans) for h in group.values()]
            if left:
                heapq.heappush(self._heap, (min(left), root))
        return due

    def next_deadline(self) -> float | None:
        """When `take_due` should be called next. May be early, never late."""
        return self._heap[0][0] if self._heap else None

    def pending(self, root: RootId) -> int:
        """Hints that wait for this root."""
        hints = self._roots.get(root)
        return len(hints.paths) + len(hints.rescans) if hints else 0

    def check_invariants(self) -> None:
        queued = {root for _, root in self._heap}
        for root, hints in self._roots.items():
            assert len(hints.paths) <= self._config.storm_paths
            assert len(hints.rescans) <= self._config.storm_paths
            assert not ("" in hints.rescans and (hints.paths or len(hints.rescans) > 1))
            assert root in queued or not (hints.paths or hints.rescans), "a hint without a deadline is lost"

    def _due_at(self, hint: _Hint) -> float:
        return min(hint.last_at + self._config.quiet_s, hint.first_at + self._config.max_delay_s)

    def _push(self, root: RootId, hint: _Hint) -> None:
        heapq.heappush(self._heap, (self._due_at(hint), root))

    def _pop_roots(self, now: float) -> list[RootId]:
        roots = []
        while self._heap and self._heap[0][0] <= now:
            roots.append(heapq.heappop(self._heap)[1])
        return roots

    def _collapse(self, root: RootId, hints: _RootHints, now: float) -> None:
        """Replace all hints of the root by one rescan of the whole, which inherits every held number."""
        every = [*hints.paths.values(), *hints.rescans.values()]
        first = min(every, key=lambda h: h.seq)
        hints.absorbed.extend(h.seq for h in every if h.seq != first.seq)
        hints.paths.clear()
        hints.rescans = {"": _Hint(min(h.first_at for h in every), now, first.seq)}
        self._push(root, hints.rescans[""])

    @staticmethod
    def _seqs(hints: _RootHints) -> tuple[int, ...]:
        every = (*hints.paths.values(), *hints.rescans.values())
        return tuple(sorted({*(h.seq for h in every), *hints.absorbed}))

    def _take(self, root: RootId, hints: _RootHints, now: float | None) -> list[Due]:
        """Take the hints that are due at `now` (None: all of them)."""
        due = []
        for trust, group in ((False, hints.paths), (True, hints.rescans)):
            ready = {p: h for p, h in group.items() if now is None or self._due_at(h) <= now}
            if ready:
                seqs = [h.seq for h in ready.values()]
                if "" in ready:
                    seqs += hints.absorbed
                    hints.absorbed = []
                due.append(Due(root, tuple(sorted(ready)), trust, tuple(sorted(seqs))))
            for path in ready:
                del group[path]
        return due
