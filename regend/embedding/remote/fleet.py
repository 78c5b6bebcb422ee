"""The servers of one provider: who may send now, and to which of them.

Requests wait here for the account's limits and for a place at a server: queries first, then edits, then bulk, each in
order of arrival. A request goes to the server with the fewest in progress among those that answer. A server gets its
first text only after it was seen to hold the same model: its vector of a probe text must agree with the known one. A
server that refused a text must show this again where there are others, so that a faulty one does not spoil the texts.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import structlog

from regend.embedding.base import Matrix, Task
from regend.embedding.pacing.breaker import BreakerState
from regend.embedding.pacing.ratelimit import BULK_RESERVE, RateLimiter
from regend.embedding.remote.dialects import Answer, Form
from regend.embedding.remote.endpoint import Endpoint
from regend.embedding.remote.keys import KeySource
from regend.errors import EmbeddingError, ProviderRejectedError, ProviderUnavailableError
from regend.types import Lane

PROBE_TEXT = "def parse_header(line):\n    name, _, value = line.partition(':')\n    return name.strip(), value.strip()"
"""The text that shows which model a server holds. Code, since code follows; short, since it may cost."""
PROBE_TOKENS = 40.0
AGREEMENT = 0.999
"""Least cosine between two servers' vectors of `PROBE_TEXT`. Quantisation and batching move it by less than 0.0005."""
_LOOK_AGAIN_S = 60.0
_BLAMELESS = frozenset(("key", "denied", "redirect"))
"""Failures that are the configuration's and not the server's."""
_SHUT = frozenset(("denied", "redirect"))
"""Those of them that another server may not share."""
_BUSY = frozenset(("rate_limited", "timeout", "failed"))

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class Errand:
    """One request, and where it was sent.

    Attributes:
        tokens: estimated, of all texts.
        endpoint: asked last; another one is asked next, if there is one.
    """

    texts: Sequence[str]
    task: Task
    tokens: float
    lane: Lane
    endpoint: Endpoint | None = None


@dataclass(slots=True)
class Metrics:
    """The work that a provider did, in totals since the start.

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


class Fleet:
    """Owns the waiting requests and the endpoints; used on one event loop.

    Attributes:
        reference: the known vector of `PROBE_TEXT`, float32 [dim], L2-normalised; None until the provider set it.
        form: how to ask.
    """

    def __init__(self, endpoints: Sequence[Endpoint], limiter: RateLimiter, keys: KeySource, metrics: Metrics) -> None:
        self.endpoints = tuple(endpoints)
        self.reference: Matrix | None = None
        self.form = Form()
        self._limiter = limiter
        self._keys = keys
        self._metrics = metrics
        self._waiters: list[tuple[Lane, int, Errand, asyncio.Future[Endpoint]]] = []
        self._numbers = itertools.count()
        self._timer: asyncio.TimerHandle | None = None
        self._excluded_until: dict[Endpoint, float] = {}
        self._admitting: set[Endpoint] = set()

    async def ask(self, errand: Errand) -> Answer:
        """Send one request when and where that is possible; `errand.endpoint` says where it went, also on an error.

        Raises:
            ProviderUnavailableError: no server can be asked (``breaker``, ``disagrees``), or it did not answer.
            ProviderRejectedError: the one asked does not take these texts.
        """
        while True:
            began_at = time.monotonic()
            endpoint = errand.endpoint = await self._place(errand)
            self._metrics.waited_s += time.monotonic() - began_at
            if endpoint.admitted:
                return await self._send(endpoint, errand.texts, errand.task, self.form, errand.tokens)
            try:
                await self._admit(endpoint, errand.tokens)
            finally:
                self._admitting.discard(endpoint)
                self._pump()
            errand.endpoint = None

    def doubt(self, endpoint: Endpoint | None) -> None:
        """Let a server that refused a text show that it works, where another server can be asked instead."""
        if endpoint is not None and len(self.endpoints) > 1:
            endpoint.admitted = False

    def pauses_alone(self, error: ProviderUnavailableError) -> bool:
        """Tell whether the pause that a server asked for is its own: 429 speaks of the account, which all share."""
        return error.kind != "rate_limited" and len(self.endpoints) > 1

    def has_other(self, endpoint: Endpoint | None) -> bool:
        """Tell whether another server than this one can be asked."""
        return any(other is not endpoint for other in self._usable(time.monotonic()))

    async def ask_first(self, endpoint: Endpoint, texts: Sequence[str], form: Form, tokens: float) -> Answer:
        """Ask one server before anything is known of it, when the limits allow.

        Raises:
            EmbeddingError: as `ask`.
        """
        if self._excluded_until.get(endpoint, 0.0) > (now := time.monotonic()):
            raise self._no_server(now)
        wait_s = self._limiter.wait_s(tokens, 0.0, time.monotonic())
        while wait_s > 0.0:
            await asyncio.sleep(wait_s)
            wait_s = self._limiter.wait_s(tokens, 0.0, time.monotonic())
        self._start(endpoint, tokens)
        return await self._send(endpoint, texts, "document", form, tokens)

    def endpoint_table(self) -> list[dict[str, object]]:
        """Return the state of each server, for `status`."""
        now = time.monotonic()
        return [
            {
                "url": endpoint.origin,
                "breaker": endpoint.breaker.state(now).value,
                "running": endpoint.concurrency.running,
                "concurrency": endpoint.concurrency.limit,
                "admitted": endpoint.admitted,
                "refusal": endpoint.refusal,
            }
            for endpoint in self.endpoints
        ]

    def close(self) -> None:
        """End all waiting requests."""
        if self._timer is not None:
            self._timer.cancel()
        for *_, future in self._waiters:
            if not future.done():
                future.set_exception(ProviderUnavailableError("The daemon is stopping."))
        self._waiters.clear()

    # -- waiting ---------------------------------------------------------------------------------------------------

    async def _place(self, errand: Errand) -> Endpoint:
        """Wait for an endpoint and start one request on it; the caller must report its end."""
        future: asyncio.Future[Endpoint] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiters, (errand.lane, next(self._numbers), errand, future))
        self._pump()
        try:
            return await future
        except asyncio.CancelledError:
            if future.done() and not future.cancelled() and future.exception() is None:
                self._abandon(future.result())
            raise

    def _pump(self) -> None:
        """Start the requests that can be started, in order. One that must wait holds up only those behind it."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        while self._waiters:
            lane, _, errand, future = self._waiters[0]
            if future.done():
                heapq.heappop(self._waiters)
                continue
            now = time.monotonic()
            usable = self._usable(now)
            if not usable:
                heapq.heappop(self._waiters)
                future.set_exception(self._no_server(now))
                continue
            reserve = BULK_RESERVE if lane is Lane.BULK else 0.0
            wait_s = self._limiter.wait_s(errand.tokens, reserve, now)
            if wait_s > 0.0:
                self._timer = asyncio.get_running_loop().call_later(wait_s, self._pump)
                return
            free = [e for e in usable if e.concurrency.allows(lane is not Lane.BULK)]
            free = [e for e in free if e not in self._admitting and e.breaker.allows(now)]
            if not free:
                return  # The end of a request wakes us.
            heapq.heappop(self._waiters)
            # Not where it just failed; then the fewest in progress; then the order of the configuration.
            endpoint = min(free, key=lambda e: (e is errand.endpoint, e.concurrency.running))
            self._start(endpoint, errand.tokens)
            if not endpoint.admitted:
                self._admitting.add(endpoint)
            future.set_result(endpoint)

    def _usable(self, now: float) -> list[Endpoint]:
        """List the endpoints that answer, as far as is known; busy ones included."""
        return [
            endpoint
            for endpoint in self.endpoints
            if endpoint.breaker.state(now) is not BreakerState.OPEN and self._excluded_until.get(endpoint, 0.0) <= now
        ]

    def _no_server(self, now: float) -> ProviderUnavailableError:
        """Explain why there is no server to ask, and when there may be one."""
        times = [
            max(endpoint.breaker.next_deadline() or 0.0, self._excluded_until.get(endpoint, 0.0))
            for endpoint in self.endpoints
        ]
        refusals = [endpoint.refusal for endpoint in self.endpoints if endpoint.refusal]
        who = ", ".join(endpoint.origin for endpoint in self.endpoints)
        message = (
            refusals[0] if refusals else f"No embedding server answers ({who}); it is asked again from time to time."
        )
        return ProviderUnavailableError(message, max(0.0, min(times) - now), "disagrees" if refusals else "breaker")

    # -- sending ---------------------------------------------------------------------------------------------------

    def _start(self, endpoint: Endpoint, tokens: float) -> None:
        self._limiter.start(tokens)
        endpoint.concurrency.start()
        endpoint.breaker.start(time.monotonic())

    def _abandon(self, endpoint: Endpoint) -> None:
        """Undo the start of a request that was never sent, or whose end says nothing."""
        endpoint.concurrency.abandoned()
        endpoint.breaker.abandoned()
        self._admitting.discard(endpoint)
        self._pump()

    async def _send(self, endpoint: Endpoint, texts: Sequence[str], task: Task, form: Form, tokens: float) -> Answer:
        """Send a request that was started, and note what its end says about the server."""
        metrics, began_at = self._metrics, time.monotonic()
        metrics.requests += 1
        try:
            answer = await endpoint.ask(texts, task, form, self._keys)
        except EmbeddingError as error:
            metrics.failures += 1
            self._failed(endpoint, error, time.monotonic() - began_at)
            raise
        except BaseException:
            self._abandon(endpoint)
            raise
        else:
            took_s = time.monotonic() - began_at
            endpoint.breaker.succeeded()
            endpoint.concurrency.answered(took_s, tokens, time.monotonic())
            self._limiter.stated(endpoint.stated)
            if answer.tokens:
                self._limiter.settle(tokens, answer.tokens)
            metrics.items += len(texts)
            metrics.tokens += answer.tokens or round(tokens)
            return answer
        finally:
            metrics.request_s += time.monotonic() - began_at
            self._pump()

    def _failed(self, endpoint: Endpoint, error: EmbeddingError, took_s: float) -> None:
        now = time.monotonic()
        if self._excluded_until.get(endpoint, 0.0) <= now:
            endpoint.refusal = ""  # The server was asked again, and what it did before is no longer the reason.
        if isinstance(error, ProviderUnavailableError):
            if error.kind == "rate_limited":
                self._metrics.rate_limited += 1
            if error.retry_after_s is not None and self.pauses_alone(error):
                self._exclude(endpoint, str(error), error.retry_after_s)
            elif error.kind in _SHUT and len(self.endpoints) > 1:
                self._exclude(endpoint, str(error), _LOOK_AGAIN_S)
            elif error.kind == "rate_limited" or error.retry_after_s is not None:
                self._limiter.refused(error.retry_after_s, now)
        if isinstance(error, ProviderRejectedError) or error.kind in _BLAMELESS or error.kind == "rate_limited":
            endpoint.breaker.succeeded()  # A working server answers there.
        else:
            endpoint.breaker.failed(now)
            if endpoint.breaker.state(now) is BreakerState.OPEN:
                # The next server that answers there may hold another model.
                endpoint.admitted = False
                log.warning("embedding_server_lost", server=endpoint.origin, kind=error.kind)
        if error.kind in _BUSY:
            endpoint.concurrency.refused(took_s, now)
        else:
            endpoint.concurrency.abandoned()

    # -- admission -------------------------------------------------------------------------------------------------

    async def _admit(self, endpoint: Endpoint, tokens: float) -> None:
        """See whether a server holds the right model, on a request that was started for something else."""
        self._limiter.settle(tokens, PROBE_TOKENS)
        try:
            answer = await self._send(endpoint, [PROBE_TEXT], "document", self.form, PROBE_TOKENS)
        except ProviderRejectedError as error:
            if len(self.endpoints) == 1:
                raise
            self._exclude(endpoint, str(error), _LOOK_AGAIN_S)  # Every server that works takes this text.
            log.warning("embedding_server_refuses_all", server=endpoint.origin, kind=error.kind)
            return
        self.compare(endpoint, answer.vectors[0])

    def compare(self, endpoint: Endpoint, vector: Matrix) -> None:
        """Admit a server, or exclude it for a while, by its vector of `PROBE_TEXT`: float32 [dim]."""
        assert self.reference is not None, "the provider knows its model first"
        cosine = agreement(vector, self.reference)
        if cosine >= AGREEMENT:
            endpoint.admitted, endpoint.refusal = True, ""
            log.info("embedding_server_admitted", server=endpoint.origin, cosine=round(cosine, 5))
            return
        refusal = (
            f"{endpoint.who} answers with another model than the stored vectors are of (cosine {cosine:.3f} for a "
            "probe text, not 0.999); start the right model there, or give the new one a name of its own in "
            "`embedding.model`."
        )
        self._exclude(endpoint, refusal, _LOOK_AGAIN_S)
        log.warning("embedding_server_refused", server=endpoint.origin, cosine=round(cosine, 5))

    def _exclude(self, endpoint: Endpoint, refusal: str, pause_s: float) -> None:
        """Ask a server for nothing for a while, and compare its model before it is asked again."""
        endpoint.admitted, endpoint.refusal = False, refusal
        self._excluded_until[endpoint] = time.monotonic() + pause_s


def agreement(left: Matrix, right: Matrix) -> float:
    """Return the cosine of two vectors; 0 where they have different lengths or one is zero or not finite."""
    if left.shape != right.shape:
        return 0.0
    norms = float(np.linalg.norm(left)) * float(np.linalg.norm(right))
    cosine = float(left @ right) / norms if norms else 0.0
    return cosine if np.isfinite(cosine) else 0.0
