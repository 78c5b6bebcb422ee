"""The asynchronous client: many requests at once over one socket, matched by their ids."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from regend.errors import DaemonNotRunningError, RegendError
from regend.paths import socket_places
from regend.rpc import client as sync
from regend.rpc.codec import (
    CLIENT_LIMITS,
    MAX_ID,
    PROTOCOL_VERSION,
    Decoder,
    Notification,
    Request,
    Response,
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
        """The daemon's answer to `hello`."""
        self.dropped_notifications = 0
        """Notifications dropped because the caller did not read them in time."""
        self._reader = reader
        self._writer = writer
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}
        self._notifications: asyncio.Queue[tuple[str, dict[str, Any]] | None] = asyncio.Queue()
        self._last_id = 0
        self._ended: RegendError | None = None
        self._reading = asyncio.create_task(self._read(), name="rpc-client-reader")

    @classmethod
    async def connect(
        cls, path: str | Path | None = None, timeout_s: float = sync.DEFAULT_TIMEOUT_S, name: str = "python"
    ) -> Self:
        """Connect and say hello; arguments and errors are those of `client.Client`."""
        places = [str(path)] if path is not None else socket_places()
        failure: DaemonNotRunningError | None = None
        for where in places:
            try:
                async with asyncio.timeout(timeout_s):
                    reader, writer = await asyncio.open_unix_connection(where)
                break
            except OSError as error:
                refusal = sync.connect_error(error, where, timeout_s)
                if not isinstance(refusal, DaemonNotRunningError):
                    raise refusal from error
                failure = failure or refusal
        else:
            assert failure is not None
            raise failure
        client = cls(where, reader, writer, timeout_s)
        try:
            sync.check_listener(sync.listener_uid(writer.get_extra_info("socket")), where)
            client.server = await client.call("hello", client=name, protocol=PROTOCOL_VERSION)
        except BaseException:
            await client.close()
            raise
        return client

    @property
    def is_open(self) -> bool:
        """Whether the connection can take a call, as far as is known."""
        return self._ended is None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def call(self, method: str, /, **params: Any) -> dict[str, Any]:
        """Call a method; other calls may be in flight. Arguments and errors are those of `client.Client.call`.

        After a timeout the connection stays usable: the late answer is dropped.
        """
        if self._ended is not None:
            raise self._ended
        self._last_id = request_id = self._last_id % MAX_ID + 1
        data = sync.request_bytes(request_id, method, params)
        answer: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = answer
        limit_s = sync.call_limit_s(self.timeout_s, params)
        try:
            async with asyncio.timeout(limit_s):
                self._writer.write(data)
                await self._writer.drain()
                return await answer
        except TimeoutError as error:
            raise sync.late_error(self.path, f"answer `{method}`", limit_s) from error
        except OSError as error:
            raise sync.lost_error(self.path) from error
        finally:
            self._waiting.pop(request_id, None)

    async def notifications(self) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Yield ``(topic, payload)`` as they come, after `subscribe`, until the connection ends."""
        while (item := await self._notifications.get()) is not None:
            yield item
        self._notifications.put_nowait(None)

    async def close(self) -> None:
        """Close the connection; calls in flight raise `ConnectionLostError`."""
        self._reading.cancel()
        await asyncio.gather(self._reading, return_exceptions=True)
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:
            # The daemon closed the connection first.
            pass

    async def _read(self) -> None:
        decoder = Decoder(CLIENT_LIMITS)
        ended: RegendError = sync.lost_error(self.path)
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
            case Notification():
                if self._notifications.qsize() >= sync.MAX_KEPT_NOTIFICATIONS:
                    self._notifications.get_nowait()
                    self.dropped_notifications += 1
                self._notifications.put_nowait((message.method, sync.payload_of(message)))
            case Response(request_id, error, result):
                answer = self._waiting.get(request_id)
                if answer is None or answer.done():
                    return
                if error is not None:
                    answer.set_exception(error_from_wire(error))
                elif isinstance(result, dict):
                    answer.set_result(result)
                else:
                    raise sync.broken_error(self.path, "a result is not a map")
            case Request():
                raise sync.broken_error(self.path, "it sent a request")
