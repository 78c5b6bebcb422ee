"""Embeddings from a server that speaks the OpenAI API (llama-server, vLLM, TEI, Ollama, LM Studio, OpenAI, …).

`POST {url}/embeddings` with `model`, `input` and `encoding_format`; answers may hold lists of numbers or base64. Every
way an answer can be wrong has a typed outcome. The key is read from the environment when a request is made, and is in
no message, representation or log. Redirects are not followed, so a key never goes to another host.
"""

from __future__ import annotations

import base64
import ipaddress
import json
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import numpy as np
import numpy.typing as npt

from regend.config import EmbeddingConfig
from regend.embedding.base import ModelInfo, Task, checked
from regend.errors import ConfigError, ProviderRejectedError, ProviderUnavailableError

MAX_ANSWER_BYTES = 64_000_000
_REJECTED = {400, 413, 414, 422}
"""Statuses that blame the texts. All others blame the server, the network or the configuration, and may pass."""
_SHOWN_CHARS = 200
"""How much of a server's own words goes into a message."""
_LONGEST_PAUSE_S = 3600.0
"""A `Retry-After` beyond this is taken as this: a fat-fingered server must not stop us for a year."""
_NOT_AN_ANSWER = (ValueError, TypeError, OverflowError, RecursionError)
"""What parsing a hostile answer may raise."""


def is_loopback_url(url: str) -> bool:
    """Whether requests to `url` stay on this machine. Host names other than ``localhost`` are not looked up: no."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class HttpProvider:
    """Implements `EmbeddingProvider` over one session; open it on the loop that uses it."""

    def __init__(self, config: EmbeddingConfig) -> None:
        origin = _origin(config.url)
        if not config.model or config.dim < 1:
            raise ConfigError(
                f"`embedding.model` is {config.model!r} and `embedding.dim` is {config.dim}; the http provider needs "
                "the model's name at the server and the length of its vectors."
            )
        self._config = config
        self._url = config.url.rstrip("/") + "/embeddings"
        self._who = f"Embedding server {origin}"
        self._session: aiohttp.ClientSession | None = None
        self.info = ModelInfo(
            model_id=f"{config.model}@{config.dim}",
            dim=config.dim,
            local=is_loopback_url(config.url),
            note=f"{config.model} at {origin}",
            max_items=config.batch_items,
            max_tokens=config.batch_tokens,
        )

    async def embed(self, texts: Sequence[str], task: Task) -> npt.NDArray[np.float32]:
        """See `EmbeddingProvider.embed`. Documents and queries are sent alike."""
        if not texts:
            return np.zeros((0, self.info.dim), dtype=np.float32)
        body = {"model": self._config.model, "input": list(texts), "encoding_format": "float"}
        answer = await self._post(json.dumps(body).encode())
        return checked(self._matrix(answer, len(texts)), len(texts), self.info.dim, self._who)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _post(self, body: bytes) -> Any:
        if self._session is None:
            timeout = aiohttp.ClientTimeout(total=self._config.timeout_s)
            self._session = aiohttp.ClientSession(timeout=timeout, trust_env=False, cookie_jar=aiohttp.DummyCookieJar())
        key = self._key()
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        try:
            async with self._session.post(self._url, data=body, headers=headers, allow_redirects=False) as response:
                raw = await self._read(response)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            reason = str(error) or type(error).__name__
            raise ProviderUnavailableError(f"{self._who} did not answer: {reason}.") from error
        self._check_status(response, raw, key)
        try:
            return json.loads(raw)
        except _NOT_AN_ANSWER as error:
            raise ProviderUnavailableError(f"{self._who} sent an answer that is not JSON: {error}.") from error

    def _key(self) -> str:
        """The key, or empty when none is configured."""
        name = self._config.api_key_env
        if not name:
            return ""
        key = os.environ.get(name, "").strip()
        if not key.isascii() or not key.isprintable() or not key:
            fault = "holds characters that no key has" if key else "is empty"
            raise ProviderUnavailableError(f"{self._who} needs a key, but the variable {name} {fault}; set it.")
        return key

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        parts, size_bytes = [], 0
        async for part in response.content.iter_chunked(1 << 16):
            parts.append(part)
            size_bytes += len(part)
            if size_bytes > MAX_ANSWER_BYTES:
                raise ProviderRejectedError(f"{self._who} sent more than {MAX_ANSWER_BYTES} bytes; lower batch_items.")
        return b"".join(parts)

    def _check_status(self, response: aiohttp.ClientResponse, raw: bytes, key: str) -> None:
        if response.status == 200:
            return
        told = raw.decode(errors="replace")
        # Some servers repeat the key in their complaint about it.
        shown = (told.replace(key, "[key]") if key else told)[:_SHOWN_CHARS]
        message = f"{self._who} answered {response.status}: {shown}"
        if response.status in _REJECTED:
            raise ProviderRejectedError(message)
        raise ProviderUnavailableError(message, _retry_after_s(response.headers.get("Retry-After", "")))

    def _matrix(self, answer: Any, count: int) -> npt.NDArray[np.float32]:
        """The vectors in the order of the texts: float32 [count, …]."""
        data = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(data, list) or len(data) != count:
            got = len(data) if isinstance(data, list) else "no"
            raise ProviderRejectedError(f"{self._who} returned {got} vectors for {count} texts; the server is faulty.")
        rows: list[npt.NDArray[np.float32] | None] = [None] * count
        for position, item in enumerate(data):
            index = item.get("index", position) if isinstance(item, dict) else None
            if not isinstance(index, int) or not 0 <= index < count or rows[index] is not None:
                raise ProviderRejectedError(f"{self._who} returned vectors with wrong indexes; the server is faulty.")
            rows[index] = self._row(item.get("embedding"))
        return np.stack([row for row in rows if row is not None])

    def _row(self, value: Any) -> npt.NDArray[np.float32]:
        try:
            if isinstance(value, str):
                row = np.frombuffer(base64.b64decode(value, validate=True), dtype="<f4")
            else:
                with np.errstate(over="ignore"):  # Infinity is refused later, with a clearer message.
                    row = np.asarray(value, dtype=np.float32)
        except _NOT_AN_ANSWER as error:
            raise ProviderRejectedError(f"{self._who} returned a vector that cannot be read: {error}.") from error
        if row.shape != (self.info.dim,):
            raise ProviderRejectedError(
                f"{self._who} returned a vector of length {row.size}, not {self.info.dim}; correct `embedding.dim`."
            )
        return row


def _origin(url: str) -> str:
    """Scheme, host and port: what may be shown of a URL.

    Raises:
        ConfigError: it is not usable.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and not (parts.username or parts.password)
        if usable and (parts.port is None or parts.port > 0) and not parts.query and not parts.fragment:
            return f"{parts.scheme}://{parts.netloc}"
    except ValueError:
        pass  # Said below, without what may be a password in it.
    raise ConfigError(
        "`embedding.url` is not usable; give an http or https URL such as http://127.0.0.1:8080/v1, without "
        "credentials or query, and name the variable that holds the key in `embedding.api_key_env`."
    )


def _retry_after_s(value: str) -> float | None:
    """Seconds from a `Retry-After` header, which holds seconds or a date (RFC 9110, 10.2.3); None for neither."""
    try:
        pause_s = float(value)
    except ValueError:
        try:
            pause_s = (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(0.0, pause_s), _LONGEST_PAUSE_S)
