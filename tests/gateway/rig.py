"""A gateway in a process of its own before a scripted daemon, and a plain HTTP client for it."""

from __future__ import annotations

import http.client
import json
import socket as sockets
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from regend.gateway.child import READY
from regend.gateway.token import read_token
from regend.interpreter import child_command

LIMIT_S = 20.0


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """Code of the error, which must have a message, too."""
        error = self.json["error"]
        assert error["message"], error
        return str(error["code"])


@dataclass
class Gateway:
    """A running gateway; `process` is its process."""

    process: subprocess.Popen[bytes]
    address: str
    state_dir: Path
    token: str = field(init=False)

    def __post_init__(self) -> None:
        self.token = read_token(self.state_dir)

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    def connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=LIMIT_S)

    def ask(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str | None] | None = None
    ) -> Reply:
        """Send one request with the token; a header of None is left out."""
        sent: dict[str, str | None] = {"Authorization": f"Bearer {self.token}"}
        raw = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if body is not None:
            sent["Content-Type"] = "application/json"
        sent |= headers or {}
        connection = self.connection()
        try:
            connection.putrequest(method, path, skip_host="Host" in sent, skip_accept_encoding=True)
            for name, value in sent.items():
                if value is not None:
                    connection.putheader(name, value)
            if raw is not None:
                connection.putheader("Content-Length", str(len(raw)))
            connection.endheaders(raw)
            answer = connection.getresponse()
            return Reply(answer.status, dict(answer.headers.items()), answer.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str | None) -> Reply:
        return self.ask("GET", path, headers=headers)

    def post(self, path: str, body: object) -> Reply:
        return self.ask("POST", path, body)

    def rss_kb(self) -> int:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("VmRSS:")))


class _UnixConnection(http.client.HTTPConnection):
    """A connection to `host`, which is the path of a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=LIMIT_S)
        self._path = path

    def connect(self) -> None:
        self.sock = sockets.socket(sockets.AF_UNIX)
        self.sock.settimeout(LIMIT_S)
        self.sock.connect(self._path)


def asked(address: str, path: str, token: str) -> Reply:
    """The answer to a GET at an address, which is a URL or the path of a Unix socket."""
    connection = (
        _UnixConnection(address)
        if address.startswith("/")
        else http.client.HTTPConnection(address.removeprefix("http://"), timeout=LIMIT_S)
    )
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        return Reply(answer.status, dict(answer.headers.items()), answer.read())
    finally:
        connection.close()


@contextmanager
def gateway(socket: Path, listen: str = "127.0.0.1:0", editor_link: str = "") -> Iterator[Gateway]:
    """A gateway that is gone at the end; it asks the daemon on `socket`."""
    code = "from regend.gateway.main import main\nsys.exit(main(*sys.argv[1:]))\n"
    with tempfile.TemporaryDirectory(prefix="rg") as state_dir:
        command = [*child_command(code), str(socket), state_dir, listen, editor_link]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin is not None and process.stdout is not None
        try:
            line = process.stdout.readline().decode().strip()
            assert line.startswith(READY), line
            yield Gateway(process, line.removeprefix(READY), Path(state_dir))
        finally:
            process.stdin.close()
            try:
                process.wait(LIMIT_S)
            finally:
                process.kill()
                process.wait(LIMIT_S)
                process.stdout.close()
