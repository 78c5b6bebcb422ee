"""One HTTP request: a body out, a bounded answer back, and a typed error for each way it can go wrong.

Redirects are not followed, so a key never goes to another host; proxies and cookies are not used. A server's
words are shown only as far as they repeat neither the key nor the texts.
"""

from __future__ import annotations

import json
import re
import ssl
from collections.abc import Mapping, Sequence

import aiohttp

from regend import __version__
from regend.embedding.remote.headers import retry_after_s
from regend.errors import EmbeddingError, ProviderRejectedError, ProviderUnavailableError

MAX_ANSWER_BYTES = 64_000_000
_CONNECT_S = 10.0
_SHOWN_CHARS = 200
"""Maximum characters of a server's own words in a message."""
_REPEATED_CHARS = 16
"""A message that repeats so much of a text in a row is not shown."""
_REJECTED = frozenset((400, 413, 414, 422, 424))
"""Statuses that blame the texts. All others blame the server, the network or the configuration, and may pass."""
_SEARCHED_BYTES = {400: 4_096, 422: 4_096, 500: 200}
"""Maximum length of a server's words that are searched for `_TOO_LONG`, by status. Proxies put their own words first. A
500 may hold a whole stack trace, which says nothing of the text. Guesses: words of more servers would settle them."""
_FAULTS = {
    TimeoutError: "timeout",
    aiohttp.ClientPayloadError: "truncated",
    aiohttp.ClientSSLError: "tls",
    ssl.SSLError: "tls",
}
"""Kinds of failures without an answer; all others are ``connection``."""
_KINDS = {401: "denied", 403: "denied", 429: "rate_limited"}
_TOO_LONG = re.compile(
    r"too (long|large|many tokens)|context (length|size|window)|maximum (context|input|sequence)|"
    r"(must have less|no more|exceed\w*)\b.{0,40}\b(tokens?|length|size)|physical batch size|max_?tokens",
    re.IGNORECASE,
)


class Transport:
    """Owns the session; open it on the loop that uses it."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._session: aiohttp.ClientSession | None = None
        self._is_closed = False

    async def post(
        self, url: str, body: bytes, key: str, who: str, texts: Sequence[str]
    ) -> tuple[bytes, Mapping[str, str]]:
        """Send one request.

        Args:
            key: goes into the `Authorization` header; empty for none.
            who: names the server in messages.
            texts: they must not be in any message.

        Returns:
            The body and the headers of an answer with status 200.

        Raises:
            ProviderUnavailableError, ProviderRejectedError: see `errors.EmbeddingError.kind`.
        """
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
        try:
            async with self._opened().post(url, data=body, headers=headers, allow_redirects=False) as response:
                raw = await _read(response, who)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            kind = next((kind for fault, kind in _FAULTS.items() if isinstance(error, fault)), "connection")
            reason = str(error) or type(error).__name__
            raise ProviderUnavailableError(f"{who} did not answer: {reason}.", kind=kind) from error
        except RuntimeError as error:  # The session was closed between two steps of the request.
            if not self._is_closed:
                raise
            raise ProviderUnavailableError("The daemon is stopping.") from error
        if response.status == 200:
            return raw, response.headers
        raise _refusal(response, _shown(raw, key, texts), _blames_length(response.status, raw, texts), who)

    async def close(self) -> None:
        """Close the connections; requests in progress and later ones fail."""
        self._is_closed = True
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _opened(self) -> aiohttp.ClientSession:
        if self._is_closed:
            raise ProviderUnavailableError("The daemon is stopping.")
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._timeout_s, sock_connect=min(_CONNECT_S, self._timeout_s)),
                connector=aiohttp.TCPConnector(limit=0),
                headers={"User-Agent": f"regend/{__version__}"},
                trust_env=False,
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session


async def _read(response: aiohttp.ClientResponse, who: str) -> bytes:
    parts, size_bytes = [], 0
    async for part in response.content.iter_chunked(1 << 16):
        parts.append(part)
        size_bytes += len(part)
        if size_bytes > MAX_ANSWER_BYTES:
            raise ProviderRejectedError(
                f"{who} sent more than {MAX_ANSWER_BYTES} bytes; lower `embedding.batch_items`.", "too_large"
            )
    return b"".join(parts)


def _refusal(response: aiohttp.ClientResponse, told: str, blames_length: bool, who: str) -> EmbeddingError:
    status = response.status
    message = f"{who} answered {status}: {told}"
    if blames_length:
        return ProviderRejectedError(message, "too_large")
    if status in _REJECTED:
        return ProviderRejectedError(message, "refused")
    kind = "redirect" if 300 <= status < 400 else _KINDS.get(status, "failed")
    return ProviderUnavailableError(message, retry_after_s(response.headers), kind)


def _blames_length(status: int, raw: bytes, texts: Sequence[str]) -> bool:
    """Tell whether a server says that texts are too long, in words of its own: many repeat the texts beside them."""
    told = raw[: _SEARCHED_BYTES.get(status, 0)].decode(errors="replace")
    forms = [*texts, *(json.dumps(text, ensure_ascii=False) for text in texts)]
    return status == 413 or any(not _is_repeated(told, *said.span(), forms) for said in _TOO_LONG.finditer(told))


def _is_repeated(told: str, start: int, end: int, texts: Sequence[str]) -> bool:
    """Tell whether a piece of `told` that holds all from `start` to `end` is from one of the texts."""
    width = max(_REPEATED_CHARS, end - start)
    starts = range(max(0, end - width), min(start, len(told) - width) + 1)
    return any(told[at : at + width] in text for at in starts for text in texts)


def _shown(raw: bytes, key: str, texts: Sequence[str]) -> str:
    """Return the beginning of a server's words, unless they repeat the texts."""
    told = raw[: 4 * _SHOWN_CHARS].decode(errors="replace")
    # Some servers repeat the key in their complaint about it.
    shown = (told.replace(key, "[key]") if key else told)[:_SHOWN_CHARS]
    pieces = {shown[at : at + _REPEATED_CHARS] for at in range(len(shown) - _REPEATED_CHARS + 1)}
    if any(piece in text for text in texts for piece in pieces):
        return "(not shown, because it repeats the text)"
    return shown
