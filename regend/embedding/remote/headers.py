"""Limits in a server's headers: `Retry-After` and the `x-ratelimit-*` family. No IO but the clock."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from regend.embedding.pacing.ratelimit import Stated

LONGEST_PAUSE_S = 3600.0
"""Maximum pause that is believed: a misconfigured server must not stop us for a year."""
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Read how long the server asks us to wait; None where no header can be read.

    `retry-after-ms` and `Retry-After` in seconds or as a date (RFC 9110, 10.2.3) come first; else, where nothing
    remains, the time until it does.
    """
    told = _seconds(headers.get("retry-after-ms", ""), 0.001)
    if told is None:
        told = _retry_after(headers.get("Retry-After", ""))
    if told is None:
        resets = [
            _duration_s(headers.get(f"x-ratelimit-reset-{what}", ""))
            for what in ("requests", "tokens")
            if _number(headers.get(f"x-ratelimit-remaining-{what}", "")) == 0.0
        ]
        told = max((reset for reset in resets if reset is not None), default=None)
    return None if told is None else min(max(0.0, told), LONGEST_PAUSE_S)


def stated_limits(headers: Mapping[str, str]) -> Stated:
    """Read the limits per minute from the headers."""
    return Stated(
        _number(headers.get("x-ratelimit-limit-requests", "")),
        _number(headers.get("x-ratelimit-limit-tokens", "")),
        _number(headers.get("x-ratelimit-remaining-requests", "")),
        _number(headers.get("x-ratelimit-remaining-tokens", "")),
    )


def _number(value: str) -> float | None:
    number = _seconds(value, 1.0)
    return None if number is None or math.isinf(number) or number < 0.0 else number


def _seconds(value: str, unit_s: float) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return None if math.isnan(number) else number * unit_s


def _retry_after(value: str) -> float | None:
    seconds = _seconds(value, 1.0)
    if seconds is not None:
        return seconds
    try:
        when = parsedate_to_datetime(value)
        when = when if when.tzinfo else when.replace(tzinfo=UTC)
        return (when - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError, OverflowError):
        return None


def _duration_s(value: str) -> float | None:
    """Read `6m0s`, `20ms`, `1.5s`, or a bare number of seconds."""
    parts = _DURATION.findall(value)
    if parts and "".join(number + unit for number, unit in parts) == value:
        return sum(float(number) * _UNITS[unit] for number, unit in parts)
    return _number(value)
