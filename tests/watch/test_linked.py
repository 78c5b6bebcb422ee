"""A change of a file with several names is hinted for each of them, in every root, before a barrier passes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from regend.core.commands import Observe
from regend.core.events import Observed
from regend.disk.ignore.rules import IgnoreRules
from regend.disk.linked import LinkedFiles, Name
from regend.disk.repository import identify
from regend.disk.scanner import scan
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
    made.watcher.linked.note(root, path, (top / path).lstat(), {})


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


def test_a_new_name_tells_the_older_ones_once(tmp_path: Path) -> None:
    linked, places = LinkedFiles(), [tmp_path / name for name in "abc"]
    places[0].touch()
    for place in places[1:]:
        os.link(places[0], place)
    found = places[0].lstat()
    told: list[dict[int, frozenset[Name]]] = []
    for paths in ("ab", "ab", "bc", "c"):
        told.append({})
        for path in paths:
            linked.note(ROOT, path, found, told[-1])
    inode = found.st_ino
    assert told == [{inode: frozenset()}, {}, {inode: frozenset({(ROOT, "a"), (ROOT, "b")})}, {}]


def test_names_that_are_gone_are_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the next scan of the whole root, unless it saw but a part. The room that they took is free again."""
    monkeypatch.setattr("regend.disk.linked._MAX_FILES", 5)
    top, kept = tmp_path / "tree", tmp_path / "kept"
    top.mkdir()
    kept.mkdir()
    identity, linked = identify(top), LinkedFiles()
    rules = IgnoreRules(identity.path)

    def look(scope: str = "", ends: bool = True) -> Observed:
        parts: list[Observed] = []
        command, asked = Observe(1, ROOT, (scope,), {}), iter([False] if not ends else [])
        scan(command, identity, rules, 1_000, parts.append, lambda: next(asked, not ends), linked=linked)
        return parts[-1]

    def names(path: str) -> list[str]:
        return [name for _, name in linked.others(ROOT, path, str(top / path))]

    linked.note(OTHER, "far", kept.lstat(), {})
    for step in range(8):
        a, b, c = (top / f"{name}{step}" for name in "abc")
        a.touch()
        os.link(a, b)
        assert look().linked == {a.lstat().st_ino: frozenset()} and names(a.name) == [b.name]
        os.link(a, c)
        look(c.name)
        assert look(ends=False).unsure and names(a.name) == [b.name, c.name]
        for file in (a, b, c):
            os.link(file, kept / file.name)  # So its inode is not used again.
            file.unlink()
    look()
    assert {name for names in linked._names.values() for name in names} == {(OTHER, "far")}
    files = [top / f"{name}{number}" for number in range(6) for name in "xy"]
    for x, y in zip(files[::2], files[1::2], strict=True):
        x.touch()
        os.link(x, y)
    assert len(look().linked) == 4, "there is room for no more"
    assert [bool(names(x.name)) for x in files[::2]] == [True] * 4 + [False] * 2
