"""What is mounted below a directory is read from the kernel's table, names with blanks included.

That a change of it is seen is shown in `tests/e2e/test_namespaces.py`, with real mounts.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from regend.daemon import watch_mounts
from regend.daemon.watch_mounts import Mounts

TABLE = """\
22 1 0:20 / / rw - ext4 /dev/root rw
30 22 0:31 / /srv/a\\040b rw,relatime shared:1 - tmpfs tmpfs rw
31 30 0:32 / /srv/a\\040b/inner rw - tmpfs tmpfs rw
32 22 0:33 / /srv/a\\040bc rw - tmpfs tmpfs rw
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the table")
def test_the_table_of_this_system() -> None:
    mounts = Mounts()
    assert "/proc" in {place for _, place in mounts.below(Path("/"))}
    assert mounts.below(Path("/proc/self/nothing")) == frozenset()
    mounts.close()
    mounts.close()


@pytest.mark.skipif(sys.platform != "linux", reason="poll(2) refuses ordinary files elsewhere")
def test_names_with_blanks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(TABLE)
    monkeypatch.setattr(watch_mounts, "_MOUNTS", str(table))
    mounts = Mounts()
    assert mounts.below(Path("/srv/a b")) == {("31", "/srv/a\\040b/inner")}
    assert len(mounts.below(Path("/srv"))) == 3
    mounts.close()


def test_without_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch_mounts, "_MOUNTS", str(tmp_path / "none"))
    mounts = Mounts()
    assert mounts.below(Path("/")) == frozenset()
    mounts.close()
