"""How hot each path is: what its recent passes cost, and when it may be looked at again.

Without a bound, a file that changes without end would keep the processor busy. Each look at a path adds debt in
proportion to its cost, and time takes the debt away, as in a leaky bucket (the virtual scheduling of ITU-T I.371). A
path with little debt is looked at as quickly as any other; a person who saves a file every few seconds stays there. A
path with more waits, and its pause grows while it stays hot.
"""

from __future__ import annotations

from dataclasses import dataclass

from regend.types import RootId

Key = tuple[RootId, str]

LOOK_S = 0.002
"""Estimated processor time of a look that finds nothing to do."""
PASS_S = 0.02
"""Estimated processor time of a look that leads to a commit, whatever the size of the file. Measured on two cores,
daemon and workers together: 0.020 s for 5 kB, 0.039 s for a log of 100 kB, 0.147 s for a log of 800 kB, 0.113 s for
100 kB of Python in functions of three lines."""
PASS_S_PER_BYTE = 3e-7
"""Estimated processor time for each byte that is chunked, committed and merged into the indexes; from the same
measurement, between the log and the tiny functions."""
FAILURE_S = 0.25
"""Estimated processor time of a worker that fails over the file and is replaced. A guess."""
PAUSE_PER_COST = 40.0
"""Seconds of pause for a second of processor time: a hot path costs about 2.5 % of a core at most."""
GRACE_S = 30.0
"""Debt, in seconds of pause, at which the pauses begin."""
GROWTH_S = 20.0
"""After each further period of this length the pause is longer by its first length."""
GROWN_PAUSE_S = 60.0
"""Longest pause that growth leads to."""
LONGEST_PAUSE_S = 600.0
"""Longest pause of all. A file that costs more than a fortieth of it takes a larger share of a core."""


@dataclass(slots=True)
class _Debt:
    """When a path is cold again, and since when it has been hot without a break (None: it was never paused)."""

    cold_at: float
    hot_since: float | None = None


class Heat:
    """Owns the debts of paths; a path without an entry is cold."""

    def __init__(self) -> None:
        self._debts: dict[Key, _Debt] = {}
        self._prune_at = 64

    def charge(self, key: Key, cost_s: float, now: float) -> None:
        """Add the estimated processor time of a look at the path."""
        debt = self._debts.get(key)
        if debt is None or debt.cold_at <= now:
            debt = self._debts[key] = _Debt(now)
        pause_s = cost_s * PAUSE_PER_COST
        if debt.hot_since is not None:
            growth = 1.0 + (now - debt.hot_since) / GROWTH_S
            pause_s = max(pause_s, min(pause_s * growth, GROWN_PAUSE_S))
        # Flushes look early, and their cost must not pile up: the next pause is bounded by what this look cost.
        longest_s = min(max(pause_s, GROWN_PAUSE_S), LONGEST_PAUSE_S)
        debt.cold_at = min(debt.cold_at + pause_s, now + GRACE_S + longest_s)
        if debt.hot_since is None and debt.cold_at > now + GRACE_S:
            debt.hot_since = now
        if len(self._debts) > self._prune_at:
            self._debts = {key: debt for key, debt in self._debts.items() if debt.cold_at > now}
            self._prune_at = 64 + 2 * len(self._debts)

    def look_at(self, key: Key) -> float:
        """Return the earliest time of the next look; a time in the past for a path that is not paused."""
        debt = self._debts.get(key)
        return debt.cold_at - GRACE_S if debt is not None else 0.0

    def drop(self, root: RootId) -> None:
        """Forget the paths of a root."""
        self._debts = {key: debt for key, debt in self._debts.items() if key[0] != root}
