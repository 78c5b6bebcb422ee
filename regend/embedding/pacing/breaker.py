"""A circuit breaker: do not ask an endpoint that does not answer, but find out when it does again. Pure.

::

    closed --failures in a row--> open --pause over--> half-open --success--> closed
                                   ^                       |
                                   +----- failure, longer pause

(Nygard, "Release It!", 2007.)
"""

from __future__ import annotations

import enum

FAILURES = 5
"""Number of failures in a row that opens a breaker."""
FIRST_PAUSE_S = 1.0
"""How long it stays open the first time; doubles with each failed trial."""
LONGEST_PAUSE_S = 60.0


class BreakerState(enum.Enum):
    """As in the drawing above."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


class Breaker:
    """The breaker of one endpoint. Call `start` before each request and one of the others after it."""

    def __init__(self) -> None:
        self._failures = 0
        self._pause_s = FIRST_PAUSE_S
        self._open_until: float | None = None
        self._trial = False

    def state(self, now: float) -> BreakerState:
        if self._open_until is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now < self._open_until else BreakerState.HALF_OPEN

    def allows(self, now: float) -> bool:
        """Tell whether a request may be sent: any while closed, one while half-open."""
        state = self.state(now)
        return state is BreakerState.CLOSED or (state is BreakerState.HALF_OPEN and not self._trial)

    def start(self, now: float) -> None:
        """Note that a request that was allowed is sent."""
        if self.state(now) is BreakerState.HALF_OPEN:
            self._trial = True

    def succeeded(self) -> None:
        """Close the breaker: an endpoint that answers is there, whenever the request was sent."""
        self._failures = 0
        self._pause_s = FIRST_PAUSE_S
        self._open_until = None
        self._trial = False

    def failed(self, now: float) -> None:
        """Note that no answer came, or one that blames the endpoint."""
        state = self.state(now)
        if state is BreakerState.CLOSED:
            self._failures += 1
            if self._failures >= FAILURES:
                self._open_until = now + self._pause_s
        elif state is BreakerState.HALF_OPEN:
            self._trial = False
            self._pause_s = min(2.0 * self._pause_s, LONGEST_PAUSE_S)
            self._open_until = now + self._pause_s
        # While it is open, this is the end of a request from before; nothing new.

    def abandoned(self) -> None:
        """Note the end of a request that says nothing about the endpoint, such as its cancellation."""
        self._trial = False

    def next_deadline(self) -> float | None:
        """Return when a trial becomes possible; None while closed."""
        return self._open_until

    def check_invariants(self) -> None:
        assert not self._trial or self._open_until is not None
        assert FIRST_PAUSE_S <= self._pause_s <= LONGEST_PAUSE_S
