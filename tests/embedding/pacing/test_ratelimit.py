"""The rate limiter uses a limit nearly to the full and never beyond; it follows what the server states and asks for."""

from __future__ import annotations

import random
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regend.embedding.pacing.ratelimit import BULK_RESERVE, Bucket, RateConfig, RateLimiter, Stated, burst_s

BURST_S = burst_s(0.5)


class StrictServer:
    """Refuses whatever would be beyond its limits within any 60 seconds."""

    def __init__(self, requests: float, tokens: float) -> None:
        self.limits = (requests, tokens)
        self.log: deque[tuple[float, float]] = deque()
        self.refused = 0
        self.used = [0.0, 0.0]

    def ask(self, tokens: float, at: float) -> None:
        while self.log and self.log[0][0] <= at - 60.0:
            self.log.popleft()
        within = (len(self.log) + 1, sum(cost for _, cost in self.log) + tokens)
        if any(limit and used > limit for used, limit in zip(within, self.limits, strict=True)):
            self.refused += 1
            return
        self.log.append((at, tokens))
        self.used[0] += 1
        self.used[1] += tokens


def load(limiter: RateLimiter, server: StrictServer, cost: float, seconds: float, rng: random.Random) -> None:
    """Ask as fast as the limiter allows; each request arrives up to 0.3 s after it was sent."""
    now, arrivals = 1_000.0, []
    while now < 1_000.0 + seconds:
        wait_s = limiter.wait_s(cost, BULK_RESERVE, now)
        if wait_s > 0.0:
            now += wait_s
            continue
        limiter.start(cost)
        limiter.check_invariants()
        arrivals.append(now + 0.3 * rng.random())
    for at in sorted(arrivals):
        server.ask(cost, at)


@pytest.mark.no_cover
@pytest.mark.parametrize(
    ("requests", "tokens", "cost", "bound"),
    [
        pytest.param(2_000, 3_000_000, 120_000 / 4, 1, id="by tokens"),
        pytest.param(300, 3_000_000, 1_000, 0, id="by requests"),
        pytest.param(0, 1_000_000, 9_000, 1, id="tokens only"),
        pytest.param(6_000, 0, 10, 0, id="requests only"),
    ],
)
def test_a_minute_is_used_up_without_a_refusal(requests: float, tokens: float, cost: float, bound: int) -> None:
    limiter, server = RateLimiter(RateConfig(requests, tokens)), StrictServer(requests, tokens)
    load(limiter, server, cost, 60.0, random.Random(1))
    assert server.refused == 0
    assert server.used[bound] / server.limits[bound] >= 0.95


@pytest.mark.no_cover
@pytest.mark.parametrize("margin", [0.5, 0.9, 0.95, 0.97])
@pytest.mark.parametrize(("requests", "cost", "bound"), [(0, 2_000, 1), (600, 10, 0)])
def test_twenty_minutes_use_the_margin_in_each_minute(margin: float, requests: int, cost: int, bound: int) -> None:
    limits = (requests, 1_000_000)
    limiter, server = RateLimiter(RateConfig(*limits, margin=margin)), StrictServer(*limits)
    load(limiter, server, cost, 1_200.0, random.Random(1))
    assert server.refused == 0 and server.used[bound] / 20 >= margin * limits[bound]


@pytest.mark.parametrize(("margin", "expected"), [(0.1, 5.0), (0.9, 5.0), (0.97, 1.3918), (1.0, 0.5)])
def test_the_nearer_the_limit_the_shorter_the_bursts(margin: float, expected: float) -> None:
    assert burst_s(margin) == pytest.approx(expected, abs=1e-4)
    assert margin * (60.0 + burst_s(margin)) / 60.0 <= (1.0 if margin < 1.0 else 1.01)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(3, 3_000), st.integers(10_000, 3_000_000), st.floats(0.0002, 0.02), st.integers(0, 1_000),
)  # fmt: skip
def test_never_beyond_the_limit(requests: int, tokens: int, share: float, seed: int) -> None:
    limiter, server = RateLimiter(RateConfig(requests, tokens)), StrictServer(requests, tokens)
    load(limiter, server, share * tokens, 90.0, random.Random(seed))
    assert server.refused == 0


def test_three_requests_a_minute() -> None:
    """The free tier of some: less than one request fits into the bucket."""
    limiter, server = RateLimiter(RateConfig(3, 0)), StrictServer(3, 0)
    load(limiter, server, 1, 600.0, random.Random(1))
    assert server.refused == 0 and server.used[0] >= 0.9 * 30


def test_bulk_leaves_something_to_queries() -> None:
    limiter = RateLimiter(RateConfig(0, 120_000, margin=0.5))
    while limiter.wait_s(500, BULK_RESERVE, 10.0) == 0.0:
        limiter.start(500)
    assert limiter.wait_s(400, 0.0, 10.0) == 0.0
    assert limiter.wait_s(501, 0.0, 10.0) == pytest.approx(0.001)


def test_a_cost_above_the_capacity_waits_for_a_full_bucket_and_leaves_a_debt() -> None:
    bucket = Bucket(120.0, 0.5)
    assert bucket.capacity == BURST_S and bucket.wait_s(20.0, 0.0, 1.0, 0.0) == 0.0
    bucket.take(20.0)
    bucket.check_invariants()
    assert bucket.wait_s(1.0, 0.0, 1.0, 0.0) == 16.0
    assert bucket.wait_s(20.0, 0.5, 1.0, 0.0) == 20.0


def test_without_limits_nothing_waits() -> None:
    limiter = RateLimiter(RateConfig())
    for _ in range(1_000):
        assert limiter.wait_s(1e9, BULK_RESERVE, 0.0) == 0.0
        limiter.start(1e9)


def test_an_estimate_is_made_good() -> None:
    limiter = RateLimiter(RateConfig(0, 120_000, margin=0.5))
    limiter.start(5_000)
    assert limiter.wait_s(1_000, 0.0, 0.0) == 1.0
    limiter.settle(5_000, 3_000)
    assert limiter.wait_s(1_000, 0.0, 0.0) == 0.0
    limiter.settle(3_000, 8_000)
    assert limiter.wait_s(1_000, 0.0, 0.0) == 4.0
    limiter.settle(0, -1e9)
    limiter.check_invariants()


def test_stated_limits_are_followed() -> None:
    limiter = RateLimiter(RateConfig(100, 1_000, margin=0.5))
    limiter.stated(Stated())
    assert limiter.limits == RateConfig(100, 1_000, margin=0.5)
    limiter.stated(Stated(requests_per_minute=200, tokens_per_minute=500))
    assert limiter.limits == RateConfig(200, 500, margin=0.5)
    limiter.stated(Stated(requests_per_minute=200, tokens_per_minute=0))
    assert limiter.limits == RateConfig(200, 500, margin=0.5)


def test_what_the_user_limited_is_not_raised() -> None:
    limiter = RateLimiter(RateConfig(100, 0, follow=False))
    limiter.stated(Stated(requests_per_minute=200, tokens_per_minute=5_000))
    assert (limiter.limits.requests_per_minute, limiter.limits.tokens_per_minute) == (100, 5_000)
    limiter.stated(Stated(requests_per_minute=50))
    assert limiter.limits.requests_per_minute == 50


def test_a_new_limit_keeps_what_was_used() -> None:
    bucket = Bucket(120.0, 0.5)
    bucket.take(BURST_S / 2)
    bucket.set_limit(240.0)
    assert bucket.wait_s(2 * BURST_S, 0.0, 1.0, 0.0) == BURST_S / 2


def test_what_remains_is_believed() -> None:
    limiter = RateLimiter(RateConfig(120, 120_000, margin=0.5))
    limiter.stated(Stated(remaining_requests=0, remaining_tokens=120_000))
    assert limiter.wait_s(1, 0.0, 0.0) == 1.0
    limiter.stated(Stated(remaining_tokens=0))
    assert limiter.wait_s(2_000, 0.0, 0.0) == 2.0


def test_a_refusal_pauses_as_told() -> None:
    limiter = RateLimiter(RateConfig())
    limiter.refused(7.0, 100.0)
    limiter.refused(3.0, 101.0)
    assert limiter.wait_s(1, 0.0, 102.0) == 5.0
    assert limiter.wait_s(1, 0.0, 107.0) == 0.0


def test_a_refusal_without_a_pause_slows_down_for_a_while() -> None:
    limiter = RateLimiter(RateConfig(120, 0, margin=0.5))
    for _ in range(5):
        limiter.start(1)
    limiter.refused(None, 0.0)
    assert limiter.wait_s(1, 0.0, 0.0) == pytest.approx(1 / 0.7)
    for _ in range(20):
        limiter.refused(None, 0.0)
        limiter.check_invariants()
    assert limiter.wait_s(1, 0.0, 0.0) == pytest.approx(10.0)
    assert limiter.wait_s(1, 0.0, 60.0) == 0.0
    for _ in range(5):
        limiter.start(1)
    assert limiter.wait_s(1, 0.0, 60.0) == 1.0
