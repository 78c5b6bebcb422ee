"""The methods that concern the daemon itself: config, stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

from regend.config import Config
from regend.rpc import operation_messages as rpc
from regend.rpc.connection import Connection


@dataclass(frozen=True, slots=True)
class OperationMethods:
    """Answers these methods; `ask_to_stop` ends the daemon soon."""

    effective: Config
    ask_to_stop: Callable[[], None]

    async def config(self, _: Connection, request: rpc.Empty) -> rpc.ConfigResponse:
        return rpc.ConfigResponse(asdict(self.effective))

    async def stop(self, _: Connection, request: rpc.Empty) -> rpc.StopResponse:
        self.ask_to_stop()
        return rpc.StopResponse(True)
