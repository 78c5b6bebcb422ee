"""A change of a file with several names is hinted for each of them, in every root, before a barrier passes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from regend.types import RootId
from tests.watch.watch_rig import ROOT, Rig, rig

OTHER = RootId(2)


def append(file: Path) -> None:
    with file.open("a") as stream:
        stream.write("more")


def truncate(file: Path) -> None:
    os.truncate(file, 0)


def touch(file: Path) -> None:
    os.utime(file)


def note(made: Rig, root: RootId, top: Path, path: str) -> None:
    made.watcher.linked.note(root, path, (top / path).lstat())


@pytest.mark.parametrize("change", [append, truncate, touch])
@pytest.mark.parametrize("through", [(0, "a.py"), (0, "src/b.py"), (1, "c.py")])
def test_all_names_are_hinted(tmp_path: Path, change: object, through: tuple[int, str]) -> None:
    tops = [tmp_path / "one", tmp_path / "two"]
    names = [(0, "a.py"), (0, "src/b.py"), (1, "c.py")]
    (tops[0] / "src").mkdir(parents=True)
    tops[1].mkdir()
    (tops[0] / "a.py").write_text("text")
    for at, path in names[1:]:
        os.link(tops[0] / "a.py", tops[at] / path)
    with rig(tmp_path / "cookies") as made:
        for root, top in zip((ROOT, OTHER), tops, strict=True):
            made.watch(top, root)
        for at, path in names:
            note(made, (ROOT, OTHER)[at], tops[at], path)
        assert callable(change)
        change(tops[through[0]] / through[1])
        made.barrier()
        assert made.paths() == {"a.py", "src/b.py"} and made.paths(OTHER) == {"c.py"}

        made.events.clear()
        made.watcher.remove(OTHER)
        change(tops[0] / "a.py")
        made.barrier()
        assert made.paths(OTHER) == set(), "nothing is hinted in a root that is not served"


def test_one_name_costs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    top = tmp_path / "tree"
    top.mkdir()
    (top / "a.py").write_text("text")
    with rig(tmp_path / "cookies") as made:
        made.watch(top)
        (top / "a.py").write_text("other")
        made.barrier()
        assert made.paths() == {"a.py"} and made.watcher.linked.others(ROOT, "a.py", str(top / "a.py")) == []
