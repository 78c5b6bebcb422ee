"""When to try again: exponential pauses with full jitter, under a budget of attempts and one of time. Pure.

Full jitter spreads clients that failed together ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
"""

from __future__ import annotations

from dataclasses import dataclass

_DOUBLINGS = 30
"""Maximum doublings of the pause: 1,024 would exceed the largest float."""
_AFTER_STATED = 0.1
"""Maximum share that is added to a pause that a server asked for: it told all its clients the same moment."""


@dataclass(frozen=True, slots=True)
class BackoffConfig:
    """Budgets of attempts and time.

    Attributes:
        attempts: maximum requests, the first one included; 1 means no second one.
        budget_s: no attempt starts later than this after the first.
        first_s: upper end of the first pause; doubles with each attempt.
        longest_s: upper bound of a pause.
    """

    attempts: int = 4
    budget_s: float = 60.0
    first_s: float = 0.5
    longest_s: float = 20.0


def pause_s(
    config: BackoffConfig, attempts: int, elapsed_s: float, retry_after_s: float | None, luck: float
) -> float | None:
    """Return how long to wait before the next attempt; None when there is no further attempt.

    Args:
        attempts: made so far, at least 1.
        elapsed_s: since the first began.
        retry_after_s: the pause that the server asked for, if it did; the pause is never shorter.
        luck: random, 0 <= luck < 1.
    """
    if attempts >= config.attempts:
        return None
    if retry_after_s is None:
        pause = luck * min(config.longest_s, config.first_s * 2.0 ** min(attempts - 1, _DOUBLINGS))
    else:
        pause = retry_after_s * (1.0 + _AFTER_STATED * luck)
    return pause if elapsed_s + pause <= config.budget_s else None
