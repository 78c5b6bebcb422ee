"""Embeddings from servers: llama-server, Ollama, text-embeddings-inference, Voyage, OpenAI, and servers like these.

::

    texts -> prefix, count, cut -> requests within the server's limits -> Fleet (limits, lanes, places) -> Endpoint
                                        ^                                   |
                                        +--- retry, halve what is too large-+
"""

from __future__ import annotations

import asyncio
import random
import time
import zlib
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from regend.config import EmbeddingConfig
from regend.embedding.base import Matrix, ModelInfo, Task, embed_parts, unit_vectors
from regend.embedding.pacing.backoff import BackoffConfig, pause_s
from regend.embedding.pacing.ratelimit import MINUTE_S, RateConfig, RateLimiter, burst_s
from regend.embedding.remote.address import is_loopback_url
from regend.embedding.remote.dialects import DIALECTS
from regend.embedding.remote.endpoint import Endpoint
from regend.embedding.remote.fleet import Errand, Fleet, Metrics
from regend.embedding.remote.keys import KeySource
from regend.embedding.remote.presets import presets, style_for
from regend.embedding.remote.probe import Capabilities, ProbeCache, forms, probe_any, probe_key
from regend.embedding.remote.texts import Prepared, TokenCounter, cut_at_boundary
from regend.embedding.remote.transport import Transport
from regend.errors import ConfigError, ProviderRejectedError, ProviderUnavailableError
from regend.types import Lane

_HOPELESS = frozenset(("key", "denied", "redirect", "tls", "disagrees", "breaker"))
"""Failures that another attempt right now cannot repair."""
_ELSEWHERE = frozenset(("denied", "redirect", "tls"))
"""Those of them that another server may not share."""
_LEAST_CUT_CHARS = 200
_WORTH_A_PAUSE = frozenset(("rate_limited", "failed"))


class HttpProvider:
    """Implements `EmbeddingProvider`; used on one event loop.

    Args:
        cache: file that remembers the findings about servers; None to ask at each start.

    Raises:
        ConfigError: something in the configuration cannot be used.
    """

    def __init__(self, config: EmbeddingConfig, cache: Path | None = None) -> None:
        preset = presets()[config.provider]
        urls = tuple(dict.fromkeys(config.urls)) or (preset.url,)
        model = config.model or preset.model
        if not (urls[0] and model):
            raise ConfigError(f"Provider {config.provider} needs `embedding.urls` and `embedding.model`.")
        self._config = config
        self._style = style_for(config, model)
        self._dialect = DIALECTS[preset.dialect]
        self._limits = preset.limits_for(config)
        self._transport = Transport(config.timeout_s)
        endpoints = [Endpoint(u, self._dialect, model, self._limits.concurrency, self._transport) for u in urls]
        self._who = endpoints[0].who
        self._keys = KeySource(config, preset.api_key_env if urls == (preset.url,) else "", self._who)
        _refuse_keys_in_clear(urls, self._keys)
        self.metrics = Metrics()
        chosen = bool(config.requests_per_minute or config.tokens_per_minute)
        self._limiter = RateLimiter(
            RateConfig(
                self._limits.requests_per_minute, self._limits.tokens_per_minute, config.rate_margin, follow=not chosen
            )
        )
        self._fleet = Fleet(endpoints, self._limiter, self._keys, self.metrics)
        self._counter = TokenCounter(config.tokenizer)
        self._backoff = BackoffConfig(config.attempts, config.retry_budget_s)
        self._text_tokens = self._limits.text_tokens
        self._batch_tokens = self._first_batch_tokens()
        self._batch_items = self._limits.batch_items
        self._cache = ProbeCache(cache)
        self._forms = forms(config.encoding, self._dialect.base64, preset.tasks, config.dim if preset.dimensions else 0)
        self._cache_key = probe_key(urls, model, config.provider, config.dim, self._forms, self._limits.batch_items)
        self._preparing: asyncio.Task[None] | None = None
        self._ready = False
        self._model = model
        dim = config.dim or preset.dims.get(model, 0)
        self.info = ModelInfo(
            model_id=self._model_id(dim),
            dim=dim,
            local=all(is_loopback_url(url) for url in urls),
            note=f"{model} at {', '.join(endpoint.origin for endpoint in endpoints)}",
            max_items=self._batch_items,
            max_tokens=self._batch_tokens,
            concurrency=self._limits.concurrency * len(urls),
        )
        known = self._cache.load(self._cache_key)
        if known is not None:
            self._learn(known)

    async def prepare(self) -> ModelInfo:
        """See `EmbeddingProvider.prepare`. Callers share one probe, which goes on when one of them gives up."""
        while not self._ready:
            if self._preparing is None:
                self._preparing = asyncio.create_task(self._probe())
                self._preparing.add_done_callback(self._prepared)
            await asyncio.shield(self._preparing)
        return self.info

    async def embed(self, texts: Sequence[str], task: Task, lane: Lane = Lane.BULK) -> Matrix:
        """See `EmbeddingProvider.embed`."""
        if texts:
            await self.prepare()
        parts = self._packed([self._prepare(text, task) for text in texts])
        return await embed_parts((self._embed_part(part, task, lane) for part in parts), self.info.dim)

    def status(self) -> dict[str, Any]:
        """See `EmbeddingProvider.status`."""
        limits = self._limiter.limits
        return {
            **{name: round(value, 3) for name, value in asdict(self.metrics).items()},
            "token_factor": round(self._counter.scale.factor, 3),
            "tokens_exact": self._counter.is_exact,
            "requests_per_minute": limits.requests_per_minute,
            "tokens_per_minute": limits.tokens_per_minute,
            "servers": self._fleet.endpoint_table(),
        }

    async def close(self) -> None:
        self._fleet.close()
        if self._preparing is not None:
            self._preparing.cancel()
        await self._transport.close()

    # -- what the server can do ------------------------------------------------------------------------------------

    async def _probe(self) -> None:
        found = await probe_any(self._fleet, self._forms, self._limits.batch_items)
        self._learn(found)
        await asyncio.to_thread(self._cache.save, self._cache_key, found)

    def _prepared(self, task: asyncio.Task[None]) -> None:
        self._preparing = None
        if not task.cancelled():
            task.exception()  # Callers that wait get it; there may be no such caller.

    def _learn(self, found: Capabilities) -> None:
        wanted = self._config.dim
        if wanted and found.dim != wanted:
            raise ProviderUnavailableError(
                f"{self._who} returns vectors of length {found.dim}, not {wanted}; correct `embedding.dim`.",
                kind="dimension",
            )
        self._fleet.reference, self._fleet.form = found.vector(), found.form
        self._batch_items = min(self._batch_items, found.max_items)
        self.info = replace(
            self.info, model_id=self._model_id(found.dim), dim=found.dim, max_items=max(1, self._batch_items)
        )
        self._ready = True

    def _model_id(self, dim: int) -> str:
        """Name the model by everything that changes its vectors."""
        shaped = self._style.document + "\0" + self._style.query
        mark = f"+{zlib.crc32(shaped.encode()):08x}" if shaped != "\0" else ""
        return f"{self._model}{mark}@{dim}"

    # -- texts to requests -----------------------------------------------------------------------------------------

    def _first_batch_tokens(self) -> int:
        """Bound a request by the tokens that the bucket holds, so that requests flow evenly."""
        per_minute = self._limits.tokens_per_minute
        margin = self._config.rate_margin
        bucket = int(per_minute * margin * burst_s(margin) / MINUTE_S)
        return min(self._limits.batch_tokens, bucket) if per_minute else self._limits.batch_tokens

    def _prepare(self, text: str, task: Task) -> Prepared:
        prefix = self._style.query if task == "query" else self._style.document
        prepared, was_cut = self._counter.prepare(prefix + text, self._text_tokens)
        self.metrics.cut_texts += was_cut
        return prepared

    def _packed(self, texts: Sequence[Prepared]) -> list[list[Prepared]]:
        """Pack texts into requests that the server takes, in order."""
        parts: list[list[Prepared]] = []
        tokens = 0.0
        for text in texts:
            if not parts or len(parts[-1]) >= self._batch_items or tokens + text.tokens > self._batch_tokens:
                parts.append([])
                tokens = 0.0
            parts[-1].append(text)
            tokens += text.tokens
        return parts

    async def _embed_part(self, part: Sequence[Prepared], task: Task, lane: Lane) -> Matrix:
        """Send one request, or halves of it where it proves too large, and in the end a shorter text."""
        try:
            return await self._ask(part, task, lane)
        except ProviderRejectedError as error:
            if error.kind != "too_large" or (len(part) == 1 and len(part[0].text) <= _LEAST_CUT_CHARS):
                raise
            self.metrics.halvings += 1
            if len(part) == 1:
                return await self._embed_halved(part[0], task, lane)
            middle = len(part) // 2
            first = await self._embed_part(part[:middle], task, lane)
            return np.concatenate([first, await self._embed_part(part[middle:], task, lane)])

    async def _embed_halved(self, text: Prepared, task: Task, lane: Lane) -> Matrix:
        """Cut a text that is longer than the server takes, and once that is taken others of that length beforehand."""
        self.metrics.cut_texts += 1
        limit = max(1, int(text.tokens * 0.75))
        kept = cut_at_boundary(text.text, len(text.text) // 2)
        vectors = await self._embed_part([self._counter.prepare(kept, limit)[0]], task, lane)
        # Not before: a server that finds everything too large for a while must not make all later texts short.
        self._text_tokens = min(self._text_tokens or limit, limit)
        return vectors

    async def _ask(self, part: Sequence[Prepared], task: Task, lane: Lane) -> Matrix:
        """Send one request, and try again as long as that makes sense; return its unit vectors."""
        errand = Errand([text.text for text in part], task, sum(text.tokens for text in part), lane)
        began_at, attempts = time.monotonic(), 0
        while True:
            attempts += 1
            try:
                answer = await self._fleet.ask(errand)
                if answer.tokens:
                    self._counter.scale.learn(sum(text.estimate for text in part), answer.tokens)
                return unit_vectors(answer.vectors, len(part), self.info.dim, self._who)
            except ProviderRejectedError as error:
                if error.kind != "too_large":
                    self._fleet.doubt(errand.endpoint)
                raise
            except ProviderUnavailableError as error:
                has_other = self._fleet.has_other(errand.endpoint)
                if error.kind in _HOPELESS and not (error.kind in _ELSEWHERE and has_other):
                    raise
                luck = random.random()  # noqa: S311 - jitter, not a secret
                asked_s = None if has_other and self._fleet.pauses_alone(error) else error.retry_after_s
                pause = pause_s(self._backoff, attempts, time.monotonic() - began_at, asked_s, luck)
                if pause is None:
                    raise
                if error.kind not in _WORTH_A_PAUSE and has_other:
                    pause = 0.0  # Another server needs no pause.
            self.metrics.retries += 1
            await asyncio.sleep(pause)


def _refuse_keys_in_clear(urls: Sequence[str], keys: KeySource) -> None:
    """Refuse a configuration that would send a key unencrypted over the network."""
    for url in urls:
        if keys.is_named and url.startswith("http://") and not is_loopback_url(url):
            raise ConfigError(
                f"`embedding.urls` has {url!r}, over which a key would be sent in clear; use https, or name no key."
            )
