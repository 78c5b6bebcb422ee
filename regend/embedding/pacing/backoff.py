"""When to try again: exponential pauses with full jitter, under a budget of attempts and one of time. Pure.

Full jitter spreads clients that failed together ("Exponential Backoff And Jitter", AWS Architecture Blog, 2015).
"""

from __future__ import annotations

from dataclasses import dataclass

_AFTER_STATED = 0.1
"""A pause that a server asked for is drawn out by up to this share: all its clients were told the same moment."""


@dataclass(frozen=True, slots=True)
class BackoffConfig:
    """How often and for how long.

    Attributes:
        attempts: requests at most, the first one included; 1 means never again.
        budget_s: no attempt starts later than this after the first.
        first_s: upper end of the first pause; doubles with each attempt,
        longest_s: up to this.
    """

    attempts: int = 4
    budget_s: float = 60.0
    first_s: float = 0.5
    longest_s: float = 20.0


def pause_s(
    config: BackoffConfig, attempts: int, elapsed_s: float, retry_after_s: float | None, luck: float
) -> float | None:
    """How long to wait before the next attempt; None when there shall be none.

    Args:
        attempts: made so far, at least 1.
        elapsed_s: since the first began.
        retry_after_s: what the server asked for, if it did; never less than that is waited.
        luck: random, 0 <= luck < 1.
    """
    if attempts >= config.attempts:
        return None
    if retry_after_s is None:
        pause = luck * min(config.longest_s, config.first_s * 2.0 ** (attempts - 1))
    else:
        pause = retry_after_s * (1.0 + _AFTER_STATED * luck)
    return pause if elapsed_s + pause <= config.budget_s else None
