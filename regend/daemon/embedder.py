"""Carries out `Embed`: fetches texts, keeps secrets on this machine, asks the provider, and finds the text for which a
provider refuses a batch.

When a provider refuses a batch, the embedder asks for one half: if the provider accepts it, the poison is in the other
half, which is not asked for. A poison costs about log2(batch) requests, one for it alone to confirm it, and one for the
texts that were refused only because of it. A provider that refuses many requests in a row must first accept a harmless
text: when it refuses that too, the provider or the configuration is at fault (a wrong dimension, say), and the batch is
tried again later.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import structlog

from regend.core.commands import Embed
from regend.core.events import Embedded, EmbedFailed
from regend.daemon.secret_scan import secret_in
from regend.embedding.base import EmbeddingProvider, Matrix
from regend.errors import EmbeddingError, ProviderRejectedError, ProviderUnavailableError, StoreError
from regend.sharing.reuse import Reuse
from regend.types import FIRST_TRACK, ChunkId, Lane, Track

REFUSED_PAUSE_S = 30.0
"""Pause before a batch is tried again when the provider refuses everything."""
HARMLESS_TEXT = "def add(a, b):\n    return a + b"
_MANY_POISONS = 4
"""Poisons in one batch after which the rest is asked for one by one: halving pays only while poison is rare."""
_DOUBT_AFTER = 8
"""Maximum refusals in a row before a provider must prove again that it works."""

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class EmbedCounters:
    """Totals since the start.

    Attributes:
        embedded_chunks: texts given to the provider for the index; a text that is given twice counts twice.
        requests: requests made for the index.
        tokens: estimated tokens of the batches.
        failures: requests that returned no vectors, and batches whose texts could not be read.
        splits: how often a batch was halved to find a poison.
        retries: requests for texts that were refused before together with others, and for the harmless text.
        withheld: texts that look like secrets, which were not sent to another machine.
        request_s: total duration of the requests, seconds.
    """

    embedded_chunks: int = 0
    requests: int = 0
    tokens: int = 0
    failures: int = 0
    splits: int = 0
    retries: int = 0
    withheld: int = 0
    request_s: float = 0.0


@dataclass(slots=True)
class _Outcome:
    """Result of each row so far."""

    vectors: dict[int, Matrix] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)


class Embedder:
    """Owns the counters of one provider; used on the event loop.

    Args:
        fetch_texts: reads the texts of chunks from the store, in order; called in a thread.

    Attributes:
        reuse: asks the pools that are shared with other daemons before a text is embedded; None where none is.
    """

    def __init__(
        self,
        provider: EmbeddingProvider,
        fetch_texts: Callable[[Sequence[ChunkId]], list[str]],
        track: Track = FIRST_TRACK,
    ) -> None:
        self._track = track
        self._provider = provider
        self._fetch_texts = fetch_texts
        self._refusals = _DOUBT_AFTER
        self.reuse: Reuse | None = None
        self.counters = EmbedCounters()

    @property
    def is_quick(self) -> bool:
        """Whether workers give a new file's chunks their vectors when they read it."""
        return self._provider.info.quick

    def asks_first(self, root_path: str) -> bool:
        """Return whether a shared pool is asked for the vectors of a root."""
        return self.reuse is not None and self.reuse.shares(root_path)

    async def run(self, command: Embed) -> Embedded | EmbedFailed:
        """Embed one batch. Raises nothing but `CancelledError`."""
        batch = command.batch_id
        outcome, secrets = _Outcome(), dict[int, str]()
        try:
            texts, secrets = await asyncio.to_thread(self._fetch, command.chunks)
            self.counters.tokens += command.token_count
            for row, kind in secrets.items():
                outcome.failed[row] = f"Kept on this machine, because it looks like a secret ({kind})."
            self.counters.withheld += len(secrets)
            if self.reuse is not None:
                outcome.vectors.update(await self.reuse.fetch(self._provider.info, command.chunks, texts))
            settled = secrets.keys() | outcome.vectors.keys()
            await self._embed(texts, [row for row in range(len(texts)) if row not in settled], command.lane, outcome)
            return self._embedded(command, outcome)
        except ProviderRejectedError as error:
            # The provider is at fault and not the texts, so refusals of single texts do not count.
            outcome.failed = {row: reason for row, reason in outcome.failed.items() if row in secrets}
            return self._cut_short(command, outcome, str(error), REFUSED_PAUSE_S)
        except (EmbeddingError, StoreError) as error:
            return self._cut_short(command, outcome, str(error), _pause_s(error))
        except MemoryError:
            return EmbedFailed(batch, "Memory is short.", REFUSED_PAUSE_S, self._track)
        except Exception as error:
            # A provider's bug must not end the daemon: search by words works without it.
            log.exception("embedding_failed", batch=batch)
            return self._cut_short(command, outcome, f"{type(error).__name__}: {error}", REFUSED_PAUSE_S)

    async def close(self) -> None:
        await self._provider.close()

    def _fetch(self, chunks: Sequence[ChunkId]) -> tuple[list[str], dict[int, str]]:
        """Return the texts, and the rows that look like secrets if the provider is remote."""
        try:
            texts = self._fetch_texts(chunks)
        except StoreError:
            self.counters.failures += 1
            raise
        if self._provider.info.local:
            return texts, {}
        return texts, {row: kind for row, text in enumerate(texts) if (kind := secret_in(text))}

    def _embedded(self, command: Embed, outcome: _Outcome) -> Embedded:
        failed = tuple((command.chunks[row], outcome.failed[row]) for row in sorted(outcome.failed))
        return Embedded(
            command.batch_id, self._stacked(outcome), failed, token_factor=self._token_factor(), track=self._track
        )

    def _cut_short(self, command: Embed, outcome: _Outcome, reason: str, pause_s: float) -> Embedded | EmbedFailed:
        """Keep the rows that were answered, so that no request is paid for twice."""
        if not (outcome.vectors or outcome.failed):
            return EmbedFailed(command.batch_id, reason, pause_s, self._track)
        done = self._embedded(command, outcome)
        unanswered = tuple(
            chunk
            for row, chunk in enumerate(command.chunks)
            if row not in outcome.vectors and row not in outcome.failed
        )
        return replace(done, unanswered=unanswered, reason=reason, retry_after_s=pause_s)

    def _stacked(self, outcome: _Outcome) -> Matrix:
        empty = np.zeros((0, self._provider.info.dim), np.float32)
        return np.concatenate([empty, *(outcome.vectors[row][None] for row in sorted(outcome.vectors))])

    def _token_factor(self) -> float:
        return float(self._provider.status().get("token_factor", 1.0))

    async def _embed(self, texts: Sequence[str], rows: list[int], lane: Lane, outcome: _Outcome) -> None:
        """Fill `outcome` for all rows.

        Raises:
            ProviderUnavailableError: the rows that are left are worth a retry later.
            ProviderRejectedError: the provider refuses every text.
        """
        unknown, spoilt = [rows] if rows else [], list[list[int]]()
        withheld = len(outcome.failed)
        while spoilt or unknown:
            if not spoilt:
                group = unknown.pop()
                if len(outcome.failed) >= _MANY_POISONS + withheld and len(group) > 1:
                    unknown.extend([row] for row in group)
                    continue
                if not await self._is_taken(texts, group, lane, outcome):
                    spoilt.append(group)
                continue
            group = spoilt.pop()
            if len(group) == 1:
                # Ask for it alone once again: a worker process may have been killed for another reason than the text.
                self.counters.retries += 1
                await self._is_taken(texts, group, lane, outcome)
                continue
            self.counters.splits += 1
            middle = len(group) // 2
            left, right = group[:middle], group[middle:]
            if await self._is_taken(texts, left, lane, outcome):
                spoilt.append(right)
                continue
            spoilt.append(left)
            if unknown:
                unknown[-1] = right + unknown[-1]
            else:
                unknown.append(right)
                self.counters.retries += 1

    async def _is_taken(self, texts: Sequence[str], rows: Sequence[int], lane: Lane, outcome: _Outcome) -> bool:
        """Ask for these rows in one request; return whether the provider accepted them."""
        self.counters.requests += 1
        self.counters.embedded_chunks += len(rows)
        try:
            vectors = await self._ask([texts[row] for row in rows], lane)
        except ProviderRejectedError as error:
            log.warning("embedding_rejected", texts=len(rows), reason=str(error))
            await self._prove(lane)
            if len(rows) == 1:
                outcome.failed[rows[0]] = str(error)
            return False
        self._refusals = 0
        outcome.failed.pop(rows[0], None)
        outcome.vectors.update(zip(rows, vectors, strict=True))
        return True

    async def _prove(self, lane: Lane) -> None:
        """Check after many refusals that the provider accepts a harmless text.

        Raises:
            ProviderRejectedError: it refuses that, too.
        """
        self._refusals += 1
        if self._refusals > _DOUBT_AFTER:
            self.counters.requests += 1
            self.counters.retries += 1
            await self._ask([HARMLESS_TEXT], lane)
            self._refusals = 0

    async def _ask(self, texts: Sequence[str], lane: Lane) -> Matrix:
        started_at = time.perf_counter()
        try:
            return await self._provider.embed(texts, "document", lane)
        except EmbeddingError:
            self.counters.failures += 1
            raise
        finally:
            took_s = time.perf_counter() - started_at
            self.counters.request_s += took_s
            log.debug("embedding_request", texts=len(texts), took_ms=round(took_s * 1e3, 2))


def _pause_s(error: EmbeddingError | StoreError) -> float:
    return error.retry_after_s or 0.0 if isinstance(error, ProviderUnavailableError) else REFUSED_PAUSE_S
