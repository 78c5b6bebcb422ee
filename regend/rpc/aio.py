"""The asynchronous client: many requests at once over one socket, matched by their ids."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from regend.errors import ConnectionLostError, ProtocolError, RegendError, RpcError
from regend.paths import default_socket_path
from regend.rpc.client import DEFAULT_TIMEOUT_S, MAX_KEPT_NOTIFICATIONS, check_listener, connect_error, listener_uid
from regend.rpc.codec import (
    CLIENT_LIMITS,
    MAX_ID,
    PROTOCOL_VERSION,
    Decoder,
    Notification,
    Request,
    Response,
    encode_request,
    error_from_wire,
)

if TYPE_CHECKING:
    from regend.rpc.codec import Message


class AsyncClient:
    """A connection to a running daemon for one event loop; owns its streams and the task that reads them.

    ::

        async with await AsyncClient.connect() as client:
            answer = await client.call("search", query="debounce quiet time", k=5)
    """

    def __init__(self, path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, timeout_s: float) -> None:
        self.path = path
        self.timeout_s = timeout_s
        self.server: dict[str, Any] = {}
        """What the daemon answered to `hello`."""
        self.dropped_notifications = 0
        """Notifications dropped because nobody read them."""
        self._reader = reader
        self._writer = writer
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._notifications: asyncio.Queue[tuple[str, dict[str, Any]] | None] = asyncio.Queue()
        self._next_id = 0
        self._ended: RegendError | None = None
        self._reading = asyncio.create_task(self._read(), name="rpc-client-reader")

    @classmethod
    async def connect(
        cls, path: str | Path | None = None, timeout_s: float = DEFAULT_TIMEOUT_S, name: str = "python"
    ) -> Self:
        """Connect and say hello; arguments and errors are those of `client.Client`."""
        where = str(path if path is not None else default_socket_path())
        try:
            async with asyncio.timeout(timeout_s):
                reader, writer = await asyncio.open_unix_connection(where)
        except TimeoutError as error:
            raise RpcError(f"The daemon on {where} did not accept within {timeout_s:g} s.", code="timeout") from error
        except OSError as error:
            raise connect_error(error, where) from error
        client = cls(where, reader, writer, timeout_s)
        try:
            check_listener(listener_uid(writer.get_extra_info("socket")), where)
            client.server = await client.call("hello", client=name, protocol=PROTOCOL_VERSION)
        except BaseException:
            await client.close()
            raise
        return client

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def call(self, method: str, /, **params: Any) -> dict[str, Any]:
        """Call a method; other calls may be under way. Arguments and errors are those of `client.Client.call`.

        After a timeout the connection stays usable: the late answer is dropped.
        """
        if self._ended is not None:
            raise self._ended
        self._next_id = self._next_id % MAX_ID + 1
        request_id = self._next_id
        try:
            data = encode_request(request_id, method, params)
        except (OverflowError, ValueError, TypeError) as error:
            raise RpcError(f"`{method}` cannot be asked that: {error}.", code="invalid_params") from error
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = answer
        waits = params.get("timeout_s", 0.0)
        limit_s = self.timeout_s + (waits if isinstance(waits, (int, float)) else 0.0)
        try:
            async with asyncio.timeout(limit_s):
                self._writer.write(data)
                await self._writer.drain()
                return await answer
        except TimeoutError as error:
            raise RpcError(
                f"The daemon on {self.path} did not answer `{method}` within {limit_s:g} s; see its log.",
                code="timeout",
            ) from error
        except OSError as error:
            raise self._lost() from error
        finally:
            self._waiting.pop(request_id, None)

    async def notifications(self) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Yield ``(topic, payload)`` as they come, after `subscribe`, until the connection ends."""
        while (item := await self._notifications.get()) is not None:
            yield item
        self._notifications.put_nowait(None)

    async def close(self) -> None:
        """Close the connection; calls under way get `ConnectionLostError`."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:
            # The daemon was faster; closed is what we wanted.
            pass

    async def _read(self) -> None:
        decoder = Decoder(CLIENT_LIMITS)
        ended: RegendError = self._lost()
        try:
            while data := await self._reader.read(1 << 18):
                decoder.feed(data)
                for message in decoder:
                    self._take(message)
        except RegendError as error:
            ended = error
        except OSError as error:
            ended.__cause__ = error
        finally:
            self._ended = ended
            for answer in self._waiting.values():
                if not answer.done():
                    answer.set_exception(ended)
            self._notifications.put_nowait(None)
            self._writer.close()

    def _take(self, message: Message) -> None:
        match message:
            case Notification("error", params):
                raise error_from_wire(params[0] if params else None)
            case Notification(topic, params):
                payload = params[0] if params and isinstance(params[0], dict) else {}
                if self._notifications.qsize() >= MAX_KEPT_NOTIFICATIONS:
                    self._notifications.get_nowait()
                    self.dropped_notifications += 1
                self._notifications.put_nowait((topic, payload))
            case Response(request_id, error, result):
                answer = self._waiting.get(request_id)
                if answer is None or answer.done():
                    return
                if error is not None:
                    answer.set_exception(error_from_wire(error))
                elif isinstance(result, dict):
                    answer.set_result(result)
                else:
                    raise ProtocolError(f"The daemon on {self.path} broke the protocol: a result is not a map.")
            case Request():
                raise ProtocolError(f"The daemon on {self.path} broke the protocol: it sent a request.")

    def _lost(self) -> ConnectionLostError:
        return ConnectionLostError(f"The daemon on {self.path} closed the connection; see its log, then try again.")
