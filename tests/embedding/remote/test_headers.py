"""Pauses and limits that servers state in headers, in all the forms they use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict

from regend.embedding.pacing.ratelimit import Stated
from regend.embedding.remote.headers import LONGEST_PAUSE_S, retry_after_s, stated_limits


@pytest.mark.parametrize(
    ("headers", "expected_s"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"Retry-After": "-3"}, 0.0),
        ({"Retry-After": "inf"}, LONGEST_PAUSE_S),
        ({"Retry-After": "9e9"}, LONGEST_PAUSE_S),
        ({"Retry-After": "nan"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "Thu, 99 Nov 2026 08:49:37 GMT"}, None),
        ({"retry-after-ms": "1500", "Retry-After": "2"}, 1.5),
        ({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": "6m0s"}, 360.0),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "20ms"}, 0.02),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "1.5"}, 1.5),
        ({"x-ratelimit-remaining-requests": "5", "x-ratelimit-reset-requests": "1h"}, None),
        ({"x-ratelimit-remaining-requests": "0", "x-ratelimit-reset-requests": "s5s"}, None),
        ({"x-ratelimit-remaining-requests": "0"}, None),
    ],
)
def test_pauses(headers: dict[str, str], expected_s: float | None) -> None:
    assert retry_after_s(CIMultiDict(headers)) == expected_s


@pytest.mark.parametrize(("seconds", "low", "high"), [(90, 80, 91), (-90, 0, 0)])
def test_a_pause_may_be_a_date(seconds: float, low: float, high: float) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)
    pause_s = retry_after_s({"Retry-After": date})
    assert pause_s is not None and low <= pause_s <= high


def test_a_date_without_a_zone_is_utc() -> None:
    date = (datetime.now(UTC) + timedelta(seconds=90)).strftime("%a, %d %b %Y %T -0000")
    pause_s = retry_after_s({"Retry-After": date})
    assert pause_s is not None and 80 <= pause_s <= 91


def test_limits() -> None:
    headers = {
        "x-ratelimit-limit-requests": "3000",
        "x-ratelimit-limit-tokens": "1e6",
        "x-ratelimit-remaining-requests": "-1",
        "x-ratelimit-remaining-tokens": "999",
    }
    assert stated_limits(headers) == Stated(3_000.0, 1_000_000.0, None, 999.0)
    assert stated_limits({}) == Stated()


@given(st.dictionaries(st.sampled_from(["Retry-After", "retry-after-ms", "x-ratelimit-limit-tokens"]), st.text()))
def test_anything_is_a_pause_or_none(headers: dict[str, str]) -> None:
    pause_s = retry_after_s(headers)
    assert pause_s is None or 0.0 <= pause_s <= LONGEST_PAUSE_S
    limit = stated_limits(headers).tokens_per_minute
    assert limit is None or limit >= 0.0
