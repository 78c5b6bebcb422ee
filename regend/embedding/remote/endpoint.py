"""One embedding server: how it is asked, whether it may be asked now, and whether its model is the right one."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence

from regend.embedding.base import Task
from regend.embedding.pacing.breaker import Breaker
from regend.embedding.pacing.concurrency import Concurrency
from regend.embedding.pacing.ratelimit import Stated
from regend.embedding.remote.address import origin_of
from regend.embedding.remote.dialects import Answer, Dialect, Form, parse
from regend.embedding.remote.headers import stated_limits
from regend.embedding.remote.keys import KeySource
from regend.embedding.remote.transport import Transport
from regend.errors import ProviderUnavailableError

_PARSE_BESIDE_BYTES = 256_000
"""Maximum size of an answer that is decoded on the event loop: that takes less time than a thread switch."""


class Endpoint:
    """Owns one server's breaker and limit on concurrency.

    Attributes:
        admitted: its model was seen to be the one whose vectors are stored.
        refusal: why it was excluded when it was asked last, or empty.
        stated: the limits that it stated last.
    """

    def __init__(self, url: str, dialect: Dialect, model: str, concurrency: int, transport: Transport) -> None:
        self.origin = origin_of(url)
        self.who = f"Embedding server {self.origin}"
        self.breaker = Breaker()
        self.concurrency = Concurrency(concurrency)
        self.admitted = False
        self.refusal = ""
        self.stated = Stated()
        self.url = url.rstrip("/") + dialect.path
        self._dialect = dialect
        self._model = model
        self._transport = transport

    async def ask(self, texts: Sequence[str], task: Task, form: Form, keys: KeySource) -> Answer:
        """Send one request.

        Raises:
            ProviderUnavailableError, ProviderRejectedError: see `errors.EmbeddingError.kind`.
        """
        body = json.dumps(self._dialect.body(self._model, texts, task, form)).encode()
        try:
            raw, headers = await self._transport.post(self.url, body, await keys.key(), self.who, texts)
        except ProviderUnavailableError as error:
            if error.kind == "denied":
                keys.denied()
            raise
        self.stated = stated_limits(headers)
        given = (self._dialect, raw, headers, len(texts), self.who)
        return await asyncio.to_thread(parse, *given) if len(raw) > _PARSE_BESIDE_BYTES else parse(*given)
