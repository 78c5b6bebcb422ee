"""How many requests at once: additive increase, multiplicative decrease, by latency and by refusals. Pure.

The limit doubles per round at first and grows by one per round after its first cut (Chiu and Jain, "Analysis of the
increase and decrease algorithms for congestion avoidance in computer networks", 1989). A refusal halves it; latency
well above the least that requests of this size took trims it, because then requests only wait for each other.
"""

from __future__ import annotations

FIRST_LIMIT = 2.0
EXTRA_URGENT = 2
"""Maximum queries and edits in progress beyond the limit: they never wait for bulk to end."""
_SLOW_FACTOR = 2.5
_SLOW_MARGIN_S = 0.05
"""Latency is too long when both beyond `_SLOW_FACTOR` times the least and this much more. Guesses; a server that
batches by itself, measured under load, would settle them."""
_TRIM = 0.9
_CUT = 0.5
_ALONE_SHARE = 0.2
"""A request that was alone shows what the server can do: the least latency moves towards its own by this share, so that
a server that became slower is learnt again. The latency of requests in company can only lower it."""


class Concurrency:
    """Owns the limit and the count of requests in progress, `running`."""

    def __init__(self, maximum: int) -> None:
        self._maximum = maximum
        self._limit = min(FIRST_LIMIT, float(maximum))
        self.running = 0
        self._most_together = 0
        self._starting_up = True
        self._cut_again_at = 0.0
        self._least_s: dict[int, float] = {}

    @property
    def limit(self) -> int:
        """Requests that may be in progress at once now."""
        return int(self._limit)

    def allows(self, urgent: bool) -> bool:
        """Tell whether one more request may be sent; queries and edits are `urgent`."""
        return self.running < self.limit + (EXTRA_URGENT if urgent else 0)

    def start(self) -> None:
        self._most_together = max(self._most_together, self.running + 1) if self.running else 1
        self.running += 1

    def abandoned(self) -> None:
        """Note the end of a request that says nothing about the server's load."""
        self.running -= 1

    def answered(self, latency_s: float, tokens: float, now: float) -> None:
        """Note that a request got a good answer."""
        was_full = self.running >= self.limit
        self.running -= 1
        size = int(tokens).bit_length()
        least_s = self._least_s.get(size, latency_s)
        if self._most_together == 1:
            least_s += _ALONE_SHARE * (latency_s - least_s)
        least_s = self._least_s[size] = min(least_s, latency_s)
        if latency_s > max(_SLOW_FACTOR * least_s, least_s + _SLOW_MARGIN_S):
            self._lower(_TRIM, latency_s, now)
        elif was_full:
            step = 1.0 if self._starting_up else 1.0 / self._limit
            self._limit = min(float(self._maximum), self._limit + step)

    def refused(self, latency_s: float, now: float) -> None:
        """Note that a request was refused as one too many, or not answered in time."""
        self.running -= 1
        self._lower(_CUT, latency_s, now)

    def _lower(self, factor: float, latency_s: float, now: float) -> None:
        """Lower the limit once for all requests that were in progress together: their ends say the same thing."""
        self._starting_up = False
        if now >= self._cut_again_at:
            self._limit = max(1.0, self._limit * factor)
            self._cut_again_at = now + latency_s

    def check_invariants(self) -> None:
        assert 1.0 <= self._limit <= self._maximum
        assert self.running >= 0
