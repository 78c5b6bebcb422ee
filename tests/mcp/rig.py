"""`regenctl mcp` as a process, and the few messages that the tests send to it."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).parents[2]
DEADLINE_S = 20.0
COMMAND = [sys.executable, "-m", "regend.cli.main"]


def modern(**params: Any) -> dict[str, Any]:
    """Parameters of a request of revision 2026-07-28."""
    return {
        **params,
        "_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
            "io.modelcontextprotocol/clientCapabilities": {},
            **params.get("_meta", {}),
        },
    }


class Agent:
    """The client's end of a running server; `process` is the server."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self._kept = b""
        self._last_id = 0

    def send(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def note(self, method: str, **params: Any) -> None:
        self.send(json.dumps({"jsonrpc": "2.0", "method": method, "params": params}).encode() + b"\n")

    def request(self, method: str, /, **params: Any) -> int:
        self._last_id += 1
        message = {"jsonrpc": "2.0", "id": self._last_id, "method": method, "params": params}
        self.send(json.dumps(message).encode() + b"\n")
        return self._last_id

    def receive(self, limit_s: float = DEADLINE_S) -> dict[str, Any]:
        """The next message of the server."""
        assert self.process.stdout is not None
        deadline = time.monotonic() + limit_s
        while b"\n" not in self._kept:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, "the server did not answer in time"
            data = os.read(self.process.stdout.fileno(), 1 << 16)
            assert data, "the server has ended"
            self._kept += data
        line, _, self._kept = self._kept.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    def ask(self, method: str, /, **params: Any) -> dict[str, Any]:
        """The answer to a request; nothing else may come before it."""
        sent = self.request(method, **params)
        message = self.receive()
        assert message["id"] == sent, message
        return message

    def call(self, tool: str, /, **arguments: Any) -> dict[str, Any]:
        """The result of a tool."""
        result: dict[str, Any] = self.ask("tools/call", name=tool, arguments=arguments)["result"]
        return result

    def text(self, tool: str, /, **arguments: Any) -> str:
        """The text of a tool's answer, which is no error."""
        result = self.call(tool, **arguments)
        text: str = result["content"][0]["text"]
        assert not result["isError"], text
        return text

    def status(self, name: str) -> int:
        """A figure of the process, such as `VmHWM` in kB."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith(f"{name}:")))


@contextmanager
def agent(*arguments: str, socket: Path | None = None, **options: Any) -> Iterator[Agent]:
    """A server that is gone at the end."""
    environ = {**os.environ, **options.pop("environ", {})}
    environ.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [*COMMAND, "mcp", *arguments, *(["--socket", str(socket)] if socket else [])]
    options = {"cwd": REPOSITORY, **options}
    environ["PYTHONPATH"] = str(REPOSITORY)
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environ, **options)
    try:
        yield Agent(process)
    finally:
        assert process.stdin is not None and process.stdout is not None
        process.kill()
        process.wait(DEADLINE_S)
        process.stdin.close()
        process.stdout.close()
