"""What `regenctl` does with arguments that make no sense, and where it cannot write: one sentence, no traceback."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from regend.cli.main import main
from regend.errors import RpcError
from regend.rpc.aio import AsyncClient
from regend.rpc.client import Client
from tests.rpc.scripted import Script, ServerThread, short_directory

TOO_LONG = 10**30


@pytest.fixture
def socket_path() -> Iterator[Path]:
    with short_directory() as directory, ServerThread(directory / "s", Script()):
        yield directory / "s"


@pytest.mark.parametrize(
    "command",
    [["add", ""], ["remove", ""], ["reindex", ""], ["why", ""], ["outline", ""], ["related", ""]],
    ids=" ".join,
)
def test_an_empty_path_is_not_the_working_directory(
    socket_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--socket", str(socket_path), *command]) == 1
    assert "The path is empty" in capsys.readouterr().err


def test_a_line_too_large_for_the_wire(socket_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--socket", str(socket_path), "related", f"/src/app/a.py:{TOO_LONG}"]) == 1
    assert "cannot be asked that" in capsys.readouterr().err
    with Client(socket_path) as client, pytest.raises(RpcError) as caught:
        client.call("related", file="/x", line=TOO_LONG)
    assert caught.value.code == "invalid_params"

    async def ask() -> str:
        async with await AsyncClient.connect(socket_path) as client:
            with pytest.raises(RpcError) as caught:
                await client.call("related", file="/x", line=TOO_LONG)
            assert await client.call("pause") == {"paused": True}
            return caught.value.code

    assert asyncio.run(ask()) == "invalid_params"


@pytest.mark.parametrize(
    ("where", "code", "said"),
    [
        (">/dev/full", 1, "The answer could not be written: No space left on device"),
        (">&-", 0, ""),
        (">&- 2>&-", 0, ""),
    ],
)
def test_where_nothing_can_be_written(socket_path: Path, where: str, code: int, said: str) -> None:
    command = f'"{sys.executable}" -m regend.cli.main --socket "{socket_path}" status {where}'
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, env=dict(os.environ))
    assert (done.returncode, "Traceback" in done.stderr) == (code, False)
    assert said in done.stderr
