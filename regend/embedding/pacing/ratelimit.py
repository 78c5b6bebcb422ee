"""Rates at which a server can be asked without refusing. Pure; the clock is an argument.

A `RateLimiter` holds a bucket of requests and one of tokens. A bucket fills at `margin` of the limit and holds what
`burst_s` seconds bring, so that in no minute more than `margin * (60 + burst_s) / 60` of the limit is used: 97.5 % with
the default margin. The rest is for late arrivals and for tokens that were estimated too low.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

MINUTE_S = 60.0
_LONGEST_BURST_S = 5.0
_LEAST_BURST_S = 0.5
_BURST_SHARE = 0.75
"""Share of the time that the margin leaves in a minute; the rest is for late arrivals."""
BULK_RESERVE = 0.1
"""Share of a bucket that bulk leaves to queries and edits, so that these never wait for it to fill."""
_CUT = 0.7
_LEAST_SHARE = 0.1
_RECOVERY_S = 60.0
"""Maximum time until a rate that a refusal cut, without a stated pause, is whole again."""


def burst_s(margin: float) -> float:
    """Return how many seconds' worth a bucket holds: 5 with a margin of 0.9, 1.4 with 0.97, half a second with 1."""
    left_s = MINUTE_S * (1.0 / margin - 1.0)
    return min(_LONGEST_BURST_S, max(_LEAST_BURST_S, _BURST_SHARE * left_s))


@dataclass(frozen=True, slots=True)
class RateConfig:
    """Limits per minute; 0 for no limit.

    Attributes:
        margin: the share of each limit that is used, 0 < margin <= 1.
        follow: adopt the limits that the server states, higher ones too. Lower ones are always adopted.
    """

    requests_per_minute: float = 0.0
    tokens_per_minute: float = 0.0
    margin: float = 0.9
    follow: bool = True


@dataclass(frozen=True, slots=True)
class Stated:
    """The limits that a server states in an answer; None where it states none.

    Attributes:
        remaining_requests, remaining_tokens: left to use now.
    """

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    remaining_requests: float | None = None
    remaining_tokens: float | None = None


class Bucket:
    """One limit. A cost above its capacity is granted when the bucket is full, and leaves a debt.

    Without a limit it grants everything, until one is set.

    Attributes:
        per_minute: the limit; 0 for none.
    """

    def __init__(self, per_minute: float, margin: float) -> None:
        self._margin = margin
        self.per_minute = per_minute
        self._level = self.capacity
        self._at = 0.0

    @property
    def rate(self) -> float:
        """The amount that comes in a second."""
        return self.per_minute * self._margin / MINUTE_S

    @property
    def capacity(self) -> float:
        """The maximum that it holds."""
        return self.rate * burst_s(self._margin)

    def wait_s(self, cost: float, reserve: float, share: float, now: float) -> float:
        """Return the seconds until `cost` may be taken, 0 for now.

        Args:
            reserve: share of the capacity that is to be left over.
            share: of the usual rate, 0 < share <= 1.
        """
        if self.per_minute == 0.0:
            return 0.0
        self._fill(share, now)
        needed = min(cost + reserve * self.capacity, self.capacity)
        # A remainder that rounding leaves must not make a caller that waited as told wait again.
        lacking = needed - self._level
        return lacking / (self.rate * share) if lacking > 1e-9 * self.capacity else 0.0

    def take(self, cost: float) -> None:
        """Use `cost`, which may be negative to give back."""
        self._level = min(self._level - cost, self.capacity)

    def cap(self, remaining: float) -> None:
        """Lower the level to what the server says is left."""
        self._level = min(self._level, remaining * self._margin)

    def set_limit(self, per_minute: float) -> None:
        """Set the limit; the part that was used under the old one stays used."""
        if per_minute == self.per_minute:
            return
        fill = self._level / self.capacity if self.per_minute else 1.0
        self.per_minute = per_minute
        self._level = fill * self.capacity

    def _fill(self, share: float, now: float) -> None:
        self._level = min(self.capacity, self._level + max(0.0, now - self._at) * self.rate * share)
        self._at = max(now, self._at)

    def check_invariants(self) -> None:
        assert self._level <= self.capacity


class RateLimiter:
    """Both buckets, the pauses that a server asked for, and a cut of the rate after it refused without asking."""

    def __init__(self, config: RateConfig) -> None:
        self._config = config
        self._requests = Bucket(config.requests_per_minute, config.margin)
        self._tokens = Bucket(config.tokens_per_minute, config.margin)
        self._paused_until = 0.0
        self._share = 1.0
        self._share_at = 0.0

    @property
    def limits(self) -> RateConfig:
        """The limits in force, as configured or as the server stated."""
        return replace(
            self._config,
            requests_per_minute=self._requests.per_minute,
            tokens_per_minute=self._tokens.per_minute,
        )

    def wait_s(self, tokens: float, reserve: float, now: float) -> float:
        """Return the seconds until a request of this many tokens may be sent, 0 for now.

        Args:
            reserve: see `BULK_RESERVE`; 0 for queries and edits.
        """
        share = self._recovered(now)
        return max(
            self._paused_until - now,
            self._requests.wait_s(1.0, reserve, share, now),
            self._tokens.wait_s(tokens, reserve, share, now),
            0.0,
        )

    def start(self, tokens: float) -> None:
        """Note that a request is sent."""
        self._requests.take(1.0)
        self._tokens.take(tokens)

    def settle(self, estimated: float, actual: float) -> None:
        """Correct a request that was started with `estimated` tokens and took `actual`."""
        self._tokens.take(actual - estimated)

    def stated(self, stated: Stated) -> None:
        """Follow the limits that the server states."""
        for bucket, limit, remaining in (
            (self._requests, stated.requests_per_minute, stated.remaining_requests),
            (self._tokens, stated.tokens_per_minute, stated.remaining_tokens),
        ):
            if limit and (self._config.follow or not bucket.per_minute or limit < bucket.per_minute):
                bucket.set_limit(limit)
            if remaining is not None:
                bucket.cap(remaining)

    def refused(self, retry_after_s: float | None, now: float) -> None:
        """Slow down after the server refused a request as one too many; it may have said how long to wait."""
        if retry_after_s is not None:
            self._paused_until = max(self._paused_until, now + retry_after_s)
            return
        self._share = max(_LEAST_SHARE, self._recovered(now) * _CUT)
        self._share_at = now

    def _recovered(self, now: float) -> float:
        """Return the share of the usual rate in force, which grows back in a straight line."""
        self._share = min(1.0, self._share + max(0.0, now - self._share_at) / _RECOVERY_S)
        self._share_at = max(now, self._share_at)
        return self._share

    def check_invariants(self) -> None:
        self._requests.check_invariants()
        self._tokens.check_invariants()
        assert _LEAST_SHARE <= self._share <= 1.0
