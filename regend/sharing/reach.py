"""Whether a shared store can be asked now: after a failure it is left alone for a while that grows. Pure."""

from __future__ import annotations

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 60.0


class Reach:
    """Owns what the last calls said about one store.

    Attributes:
        error: why the last call failed; empty after a success.
        refusals: pool -> why the store refuses, and until when (monotonic seconds) it is not asked again.
        losses: how often the store went away; after each its trees are checked.
    """

    def __init__(self, longest_pause_s: float = LONGEST_PAUSE_S) -> None:
        self._longest_pause_s = longest_pause_s
        self.error = ""
        self.refusals: dict[str, tuple[str, float]] = {}
        self.losses = 0
        self._pause_s = FIRST_PAUSE_S
        self._ask_at = 0.0

    def pause_left_s(self, now: float) -> float:
        """Return how long the store is to be left alone."""
        return max(0.0, self._ask_at - now)

    def may_ask(self, pool: str, now: float) -> bool:
        """Tell whether the store is to be asked about a pool."""
        _, until = self.refusals.get(pool, ("", 0.0))
        return now >= max(until, self._ask_at)

    def refused(self, pool: str, reason: str, now: float) -> None:
        """Note that the store answers, but not about this pool: a role without membership, another version."""
        self.refusals[pool] = (reason, now + self._longest_pause_s)

    def failed(self, reason: str, now: float) -> None:
        """Note a failure; those of calls that began before the pause count once."""
        if not self.error:
            self.losses += 1
        if not self.error or now >= self._ask_at:
            self._ask_at = now + self._pause_s
            self._pause_s = min(self._longest_pause_s, 2.0 * self._pause_s)
        self.error = reason

    def answered(self, pool: str) -> None:
        """Note that a call succeeded."""
        self.refusals.pop(pool, None)
        self.error = ""
        self._pause_s = FIRST_PAUSE_S
        self._ask_at = 0.0
