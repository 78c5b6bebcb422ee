"""A parse gives its memory back, however often the parser goes back and reads again."""

from __future__ import annotations

import resource
import sys

import pytest

from regend.chunking.structure import parsed

SCALA = (
    "object Main {\n" + "".join(f"  def f{n}(x: Int): Int = {{\n    x + {n}\n  }}\n\n" for n in range(1_500)) + "}\n"
)
"""Its line breaks may end a statement, so the parser looks ahead and comes back, thousands of times a file."""


@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is read from /proc")
def test_parses_do_not_pile_up_memory() -> None:
    assert parsed(SCALA, "scala", 10.0) is not None
    before = _resident_bytes()
    for _ in range(5):
        assert parsed(SCALA, "scala", 10.0) is not None
    assert _resident_bytes() - before < 60_000_000


def _resident_bytes() -> int:
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()
