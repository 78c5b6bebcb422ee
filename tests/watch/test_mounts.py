"""The mounts below a directory come from the kernel's table, names with blanks included.

`tests/e2e/test_namespaces.py` shows with real mounts that the watcher notices a change of them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from regend.watch import mounts
from regend.watch.mounts import Mount, Mounts

TABLE = """\
22 1 0:20 / / rw - ext4 /dev/root rw
30 22 0:31 / /srv/a\\040b rw,relatime shared:1 - tmpfs tmpfs rw
31 30 0:32 / /srv/a\\040b/inner rw - tmpfs tmpfs rw
32 22 0:33 / /srv/a\\040bc rw - tmpfs tmpfs rw
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has the table")
def test_the_mounts_now_this_system() -> None:
    mounts_now = Mounts()
    assert "/proc" in {mount.place for mount in mounts_now.below(Path("/"))}
    assert mounts_now.below(Path("/proc/self/nothing")) == frozenset()
    mounts_now.close()
    mounts_now.close()


@pytest.mark.skipif(sys.platform != "linux", reason="poll(2) refuses ordinary files elsewhere")
def test_names_with_blanks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(TABLE)
    monkeypatch.setattr(mounts, "_MOUNTS", str(table))
    mounts_now = Mounts()
    assert mounts_now.below(Path("/srv/a b")) == {Mount("31", "/srv/a\\040b/inner", "tmpfs")}
    assert len(mounts_now.below(Path("/srv"))) == 3
    mounts_now.close()


REMOTE = """\
21 1 0:19 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 21 0:40 / /home rw,relatime shared:9 - nfs4 server:/home rw
31 30 0:41 / /home/me/local\\040disk rw - ext4 /dev/vdb rw
32 21 0:42 / /mnt rw - ext4 /dev/vdc rw
33 21 0:43 / /mnt rw - fuse.sshfs me@host: rw
damaged
"""


@pytest.mark.skipif(sys.platform != "linux", reason="poll(2) refuses ordinary files elsewhere")
def test_remote_file_systems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = tmp_path / "mountinfo"
    table.write_text(REMOTE)
    monkeypatch.setattr(mounts, "_MOUNTS", str(table))
    mounts_now = Mounts()
    rows = [("/src", ""), ("/home/me/x", "nfs4"), ("/home/me/local disk/x", ""), ("/mnt", "fuse.sshfs"), ("/mntx", "")]
    for path, expected in rows:
        assert expected in mounts_now.unreported(Path(path)).get("", "none"), path
        assert ("" in mounts_now.unreported(Path(path))) == bool(expected), path
    assert mounts_now.unreported(Path("/")) == {
        place: f"not all changes on a {kind} file system are reported here"
        for place, kind in (("home", "nfs4"), ("mnt", "fuse.sshfs"))
    }
    assert mounts_now.over(Path("/home/me/local disk/x")) == "/home/me/local\\040disk"
    mounts_now.close()


@pytest.mark.skipif(sys.platform != "linux", reason="poll(2) refuses ordinary files elsewhere")
def test_single_files_that_are_mounted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """inotify names them in the directory that they come from, so they are looked at in turns."""
    for place in ("root/a b", "root/of", "rooted"):
        (tmp_path / place).mkdir(parents=True)
    for name in ("root/a b/x.py", "root/of/twice.py", "rooted/y.py"):
        (tmp_path / name).touch()
    mounted = ("root/a b/x.py", "root/of/twice.py", "root/of/twice.py", "root/of", "root/gone", "rooted/y.py")
    rows = [f"{mount}".replace(" ", "\\040") for mount in mounted]
    table = tmp_path / "mountinfo"
    table.write_text("".join(f"3{n} 22 0:31 /f {tmp_path}/{row} rw - ext4 /dev/vda rw\n" for n, row in enumerate(rows)))
    monkeypatch.setattr(mounts, "_MOUNTS", str(table))
    mounts_now = Mounts()
    assert set(mounts_now.unreported(tmp_path / "root")) == {"a b/x.py", "of/twice.py"}
    assert mounts_now.unreported(tmp_path / "root/of/twice.py") == {}
    mounts_now.close()


def test_without_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mounts, "_MOUNTS", str(tmp_path / "none"))
    mounts_now = Mounts()
    assert mounts_now.below(Path("/")) == frozenset() and mounts_now.unreported(Path("/")) == {}
    mounts_now.close()
