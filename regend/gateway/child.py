"""The gateway's process as the daemon sees it: started when it is configured, again when it ends, and ended with it.

HTTP is served in a process of its own, which asks over the socket as every client does. So the daemon loads nothing
for it, and a client that reads slowly takes time and memory from the gateway only.
"""

from __future__ import annotations

import asyncio
import os
from asyncio.subprocess import PIPE, Process
from pathlib import Path

import structlog

from regend.gateway.settings import HttpConfig
from regend.interpreter import child_command

READY = "serving "
"""Begins the first line that the process writes; its address follows."""
_START = "from regend.gateway.main import main\nsys.exit(main(*sys.argv[1:]))\n"
_FIRST_PAUSE_S = 1.0
_LONGEST_PAUSE_S = 60.0
_END_S = 3.0
"""How long the process has to end by itself."""

log = structlog.get_logger(__name__)


class GatewayProcess:
    """Keeps the gateway running; owns its process.

    Attributes:
        address: where it serves now, such as ``http://127.0.0.1:7433``; empty while it does not.
    """

    def __init__(self, config: HttpConfig, socket: Path, state_dir: Path) -> None:
        self.address = ""
        self._command = [*child_command(_START), str(socket), str(state_dir), config.listen, config.editor_link]

    async def run(self) -> None:
        """Serve until cancelled; pause longer after each failed start."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                reason, served = await self._serve_once()
            except OSError as error:
                reason, served = str(error), False
            log.warning("gateway_ended", reason=reason)
            await asyncio.sleep(pause_s)
            pause_s = _FIRST_PAUSE_S if served else min(2 * pause_s, _LONGEST_PAUSE_S)

    async def _serve_once(self) -> tuple[str, bool]:
        """Run one process to its end; return why it ended, and whether it has served."""
        # A pipe of ours at its standard input tells it when the daemon is gone, however that came about.
        process = await asyncio.create_subprocess_exec(*self._command, stdin=PIPE, stdout=PIPE)
        try:
            assert process.stdout is not None
            line = (await process.stdout.readline()).decode("utf-8", "replace").strip()
            served = line.startswith(READY)
            if served:
                self.address = line.removeprefix(READY)
                log.info("gateway_serving", address=self.address)
                line = ""
            status = await process.wait()
            return line or f"it ended with status {status}", served
        finally:
            self.address = ""
            await asyncio.shield(_end(process))


async def _end(process: Process) -> None:
    if process.returncode is None and process.stdin is not None:
        process.stdin.close()
        try:
            async with asyncio.timeout(_END_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def parent_is_gone() -> None:
    """Return when the daemon has closed its end of our standard input."""
    while os.read(0, 4_096):
        pass
