"""How many tokens a provider counts where we estimate one: learnt from what its answers say was used. Pure."""

from __future__ import annotations

_MEMORY_TOKENS = 200_000.0
"""Number of tokens that are remembered: enough to average over languages, few enough to follow another repository."""
_LEAST, _MOST = 0.2, 5.0
"""Bounds of the factor: a server beyond them counts characters or requests, which must not stop batching."""


class TokenScale:
    """A factor on estimates.

    Attributes:
        factor: tokens per estimated token, from 0.2 to 5.
    """

    def __init__(self) -> None:
        self._estimated = 0.0
        self._actual = 0.0
        self.factor = 1.0

    def learn(self, estimated: float, actual: float) -> None:
        """Learn from a request that was estimated (without the factor) at `estimated` tokens and took `actual`."""
        if estimated <= 0.0 or actual <= 0.0:
            return
        keep = max(0.0, 1.0 - estimated / _MEMORY_TOKENS)
        self._estimated = keep * self._estimated + estimated
        self._actual = keep * self._actual + actual
        self.factor = min(_MOST, max(_LEAST, self._actual / self._estimated))
