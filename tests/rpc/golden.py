"""Golden transcripts: what goes over the wire, as JSON and as bytes, played against a real server.

::

    > [0, 1, "pause", []]           a message to the daemon, as JSON,
      94 00 01 a5 70 61 75 73 65 90     …and its bytes in hex, on one or more lines
    < [1, 1, null, {"paused": true}]  the answer, in the same form
      94 01 01 c0 81 …
    ! state {"root": "/src"}        the daemon publishes a notification
    . closed                        the daemon has closed the connection

A line ``> raw`` stands for bytes that are no message.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack

DIRECTORY = Path(__file__).parent / "transcripts"
RPC_PAGE = Path(__file__).parents[2] / "docs" / "rpc.md"


@dataclass(frozen=True)
class Step:
    """One line with its bytes: `kind` is its first character."""

    kind: str
    text: str
    data: bytes

    @property
    def message(self) -> Any:
        return json.loads(self.text)


def parse(text: str) -> list[Step]:
    steps: list[Step] = []
    for line in text.splitlines():
        if line[:2] in ("> ", "< ", "! ", ". "):
            steps.append(Step(line[0], line[2:].strip(), b""))
        elif line.startswith("  "):
            last = steps.pop()
            steps.append(Step(last.kind, last.text, last.data + bytes.fromhex(line)))
        elif line.strip() and not line.startswith("#"):
            raise ValueError(f"neither a step nor bytes: {line!r}")
    return steps


def load_all() -> dict[str, list[Step]]:
    """Name to steps: each file, and each block of `docs/rpc.md`."""
    found = {path.stem: parse(path.read_text()) for path in sorted(DIRECTORY.glob("*.txt"))}
    blocks = re.findall(r"```transcript\n(.*?)```", RPC_PAGE.read_text(), re.S)
    return found | {f"rpc.md block {n}": parse(block) for n, block in enumerate(blocks, 1)}


def render(kind: str, text: str, data: bytes) -> str:
    """A step as text."""
    pairs = data.hex(" ").split()
    rows = [" ".join(pairs[i : i + 32]) for i in range(0, len(pairs), 32)]
    return "\n".join([f"{kind} {text}", *(f"  {row}" for row in rows)])


def pack(message: Any) -> bytes:
    """Bytes that a peer would send; independent of our own encoder."""
    data: bytes = msgpack.packb(message)
    return data
