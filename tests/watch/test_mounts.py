"""The mounts below a directory come from the kernel's table, names with blanks included.

`tests/e2e/test_namespaces.py` shows with real mounts that the watcher notices a change of them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from regend.watch import mounts
from regend.watch.mounts import Mounts

TABLE = """\
22 1 0:20 / / rw - ext4 /dev/root rw
30 22 0:31 / /srv/a\\040b rw,relatime shared:1 - tmpfs tmpfs rw
31 30 0:32 / /srv/a\\040b/inner rw - tmpfs tmpfs rw
32 22 0:33 / /srv/a\\040bc rw - tmpfs tmpfs rw
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the table")
def test_the_mounts_now_this_system() -> None:
    mounts_now = Mounts()
    assert "/proc" in {place for _, place in mounts_now.below(Path("/"))}
    assert mounts_now.below(Path("/proc/self/nothing")) == frozenset()
    mounts_now.close()
    mounts_now.close()


@pytest.mark.skipif(sys.platform != "linux", reason="poll(2) refuses ordinary files elsewhere")
def test_names_with_blanks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(TABLE)
    monkeypatch.setattr(mounts, "_MOUNTS", str(table))
    mounts_now = Mounts()
    assert mounts_now.below(Path("/srv/a b")) == {("31", "/srv/a\\040b/inner")}
    assert len(mounts_now.below(Path("/srv"))) == 3
    mounts_now.close()


def test_without_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "_MOUNTS", str(tmp_path / "none"))
    mounts_now = Mounts()
    assert mounts_now.below(Path("/")) == frozenset()
    mounts_now.close()
