"""Counters of a provider, for `status` and for the line at the end of a bulk index. All are totals since the start."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Metrics:
    """The work that a provider did.

    Attributes:
        requests: sent, probes and retries included.
        items, tokens: in answered requests; tokens as the server counted them, else as estimated.
        retries: requests that were sent again after a failure.
        rate_limited: answers that refused a request as one too many (429).
        failures: requests without a usable answer.
        halvings: requests that were too large and were split in two.
        cut_texts: texts that were longer than the model takes and were cut.
        request_s: seconds that requests took, together.
        waited_s: seconds that requests waited for a limit or a place, together.
    """

    requests: int = 0
    items: int = 0
    tokens: int = 0
    retries: int = 0
    rate_limited: int = 0
    failures: int = 0
    halvings: int = 0
    cut_texts: int = 0
    request_s: float = 0.0
    waited_s: float = 0.0
