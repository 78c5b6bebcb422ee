"""After a flush the index equals a fresh one, however the files changed."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.rig import Daemon, assert_as_fresh, daemon, wait_for


def git(root: Path, *arguments: str) -> str:
    environ = {
        **os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org",
        "GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org",
    }  # fmt: skip
    done = subprocess.run(["git", "-C", str(root), *arguments], env=environ, capture_output=True, text=True, check=True)
    return done.stdout


_NOUNS = """
account balance cache cursor document engine filter gateway handler invoice journal kernel ledger mailbox node order
parser queue record session ticket upload vector window archive batch channel device event folder
"""
_VERBS = "build check close collect copy count create drop fetch merge move open parse read send split store trim"
NOUNS, VERBS = _NOUNS.split(), _VERBS.split()


def module(n: int, extra: str = "") -> str:
    """A module whose words tell it from its neighbours, as those of real ones do."""
    rng = random.Random(n)
    about, other, third = rng.sample(NOUNS, 3)
    methods = "".join(
        f"    def {verb}_{noun}(self, amount):\n"
        f'        """{verb.title()} the {noun} of the {rng.choice(NOUNS)}."""\n'
        f"        {rng.choice(NOUNS)} = self.{about} * {rng.randint(2, 99)}{extra}\n"
        f"        return {rng.choice(VERBS)}_{rng.choice(NOUNS)}(amount, {rng.randint(2, 99)})\n\n"
        for verb, noun in zip(rng.sample(VERBS, 4), rng.sample(NOUNS, 4), strict=True)
    )
    return (
        f'"""How a {about} becomes a {other} in module {n}."""\n\nimport {third}\n\n\n'
        f'class Thing{n}:\n    """Holds the {other} and its {third}."""\n\n{methods}\n'
        f"def helper{n}(item):\n    return Thing{n}().{rng.choice(VERBS)}(item)\n"
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A git repository of sixty files in two commits, tagged one and two."""
    made = tmp_path.resolve() / "repo"
    for n in range(60):
        file = made / f"pkg{n % 4}" / f"mod{n}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(module(n))
    (made / "README.md").write_text("# Things\n\nAll about things.\n\n## Usage\n\nCall a helper.\n")
    (made / ".gitignore").write_text("build/\n*.log\n")
    git(made, "init", "-q", "-b", "main")
    git(made, "add", "-A")
    git(made, "commit", "-q", "-m", "one")
    git(made, "tag", "one")
    for n in range(0, 60, 3):
        (made / f"pkg{n % 4}" / f"mod{n}.py").write_text(module(n, " + 1"))
    (made / "pkg0" / "mod0.py").unlink()
    (made / "pkg1" / "added.py").write_text(module(100))
    git(made, "add", "-A")
    git(made, "commit", "-q", "-m", "two")
    git(made, "tag", "two")
    return made


@pytest.fixture
def served(root: Path) -> Iterator[Daemon]:
    with daemon() as made:
        made.start(root)
        assert made.flush()["complete"]
        yield made


def test_edit_create_delete_rename_and_atomic_save(served: Daemon, root: Path) -> None:
    (root / "pkg0" / "mod4.py").write_text(module(4, " - edited_just_now"))
    (root / "pkg0" / "brand_new.py").write_text("def brand_new_function():\n    return 1\n")
    (root / "pkg1" / "mod5.py").unlink()
    (root / "pkg2" / "mod6.py").rename(root / "pkg3" / "renamed.py")
    saved = root / "pkg3" / "mod7.py.tmp"
    saved.write_text(module(7, " + atomically_saved"))
    saved.replace(root / "pkg3" / "mod7.py")
    served.flush()
    assert served.paths("edited_just_now")[0] == "pkg0/mod4.py"
    assert served.paths("brand_new_function")[0] == "pkg0/brand_new.py"
    assert served.paths("atomically_saved")[0] == "pkg3/mod7.py"
    assert "pkg3/renamed.py" in served.paths("Thing6") and "pkg2/mod6.py" not in served.paths("Thing6", k=100)
    assert "pkg1/mod5.py" not in served.paths("Thing5", k=100)
    assert_as_fresh(served, root)


def test_a_rename_embeds_nothing(served: Daemon, root: Path) -> None:
    before = served.status()["counters"]["embedded_chunks"]
    (root / "pkg0").rename(root / "moved")
    served.flush()
    assert "moved/mod4.py" in served.paths("Thing4")
    assert served.status()["counters"]["embedded_chunks"] == before
    assert_as_fresh(served, root)


def test_a_checkout_and_back_embeds_nothing_on_the_way_back(served: Daemon, root: Path) -> None:
    at_two = served.export(root)
    git(root, "checkout", "-q", "one")
    assert_as_fresh(served, root)
    before = served.status()["counters"]["embedded_chunks"]
    git(root, "checkout", "-q", "two")
    served.flush()
    assert served.status()["counters"]["embedded_chunks"] == before
    assert served.export(root).tree == at_two.tree
    assert_as_fresh(served, root)


def test_a_second_worktree_embeds_nothing(served: Daemon, root: Path, tmp_path: Path) -> None:
    before = served.status()["counters"]["embedded_chunks"]
    other = tmp_path.resolve() / "worktree"
    git(root, "worktree", "add", "-q", str(other), "two")
    added = served.call("add", path=str(other))
    assert added["pool"] == served.root(root)["pool"]
    served.flush()
    assert served.root(other)["files_indexed"] == served.root(root)["files_indexed"]
    assert served.status()["counters"]["embedded_chunks"] == before
    assert_as_fresh(served, other)
    served.call("remove", path=str(other))
    assert_as_fresh(served, root)


def test_a_write_through_any_name_of_a_file(served: Daemon, root: Path, tmp_path: Path) -> None:
    """The names were made after the file was indexed, in the same root, another one, or outside."""
    other = tmp_path.resolve() / "other"
    other.mkdir()
    served.call("add", path=str(other))
    (root / ".gitattributes").write_text("declared.py linguist-language=Python\n")

    def written(through: Path, older: Path, number: int) -> None:
        with through.open("a") as stream:
            stream.write(f"\n\ndef written_{number}():\n    pass\n")
        assert served.flush()["complete"]
        for name in (through, older):
            symbols = [symbol["name"] for symbol in served.call("outline", file=str(name))["symbols"]]
            assert f"written_{number}" in symbols, name

    steps = [(root / "here.py", ""), (root / "pkg1/there.py", ""), (other / "far.py", ""), (root / "in.py", "outside")]
    for number, (new, first) in enumerate(steps):
        older = root / f"pkg0/{'declared' if number == 1 else 'old'}.py"
        for is_flushed in (True, False):
            older.unlink(missing_ok=True)
            new.unlink(missing_ok=True)
            older.write_text(module(200 + number))
            served.flush()
            made = tmp_path / first if first else new
            os.link(older, made)
            made.rename(new)
            if is_flushed:
                served.flush()
            written(new, older, 2 * number + is_flushed)
            written(older, new, 10 + number)


def test_directories_moved_in_and_out(served: Daemon, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    (root / "pkg1").rename(outside)
    served.flush()
    assert not any(path.startswith("pkg1/") for path in served.paths("Thing1 Thing5", k=200))
    outside.rename(root / "came_back")
    served.flush()
    assert any(path.startswith("came_back/") for path in served.paths("Thing1"))
    assert_as_fresh(served, root)


def test_a_root_deleted_and_recreated(served: Daemon, root: Path) -> None:
    shutil.move(root, root.with_name("elsewhere"))
    wait_for(lambda: served.root(root)["state"] == "gone", "the root is reported gone")
    assert served.root(root)["files_indexed"] > 50, "nothing is deleted because the root is away"
    assert not served.status()["complete"]
    root.mkdir()
    (root / "only.py").write_text("def the_only_function():\n    return 1\n")
    wait_for(lambda: served.root(root)["state"] != "gone", "the root is found again")
    served.flush()
    assert served.paths("the_only_function")[0] == "only.py"
    assert served.root(root)["files_indexed"] == 1
    assert_as_fresh(served, root)


@pytest.mark.parametrize("rules", [".gitignore", pytest.param(".regenignore", marks=pytest.mark.slow)])
def test_a_new_ignore_rule_purges_and_its_removal_brings_back(served: Daemon, root: Path, rules: str) -> None:
    (root / "loose").mkdir()
    (root / "loose" / "new.py").write_text("def untracked_thing():\n    return 1\n")
    served.flush()
    assert served.paths("untracked_thing")[0] == "loose/new.py"
    (root / rules).write_text("loose/\npkg2/\n")
    served.flush()
    assert "loose/new.py" not in served.paths("untracked_thing", k=200)
    # Files that git tracks are left out by regend's own rules only.
    assert ("pkg2/mod2.py" in served.paths("Thing2 Thing6", k=200)) == (rules == ".gitignore")
    assert served.call("why", file=str(root / "loose" / "new.py"))["rule"]["pattern"] == "loose/"
    assert_as_fresh(served, root)
    (root / rules).write_text("")
    served.flush()
    assert served.paths("untracked_thing")[0] == "loose/new.py"
    assert "pkg2/mod2.py" in served.paths("Thing2")
    assert_as_fresh(served, root)


def test_restart_is_ready_at_once_and_sees_what_happened_meanwhile(served: Daemon, root: Path) -> None:
    before = served.export(root)
    assert served.stop() == 0
    (root / "pkg0" / "mod8.py").write_text(module(8, " + changed_while_away"))
    (root / "pkg1" / "mod9.py").unlink()
    served.start()
    served.flush()
    assert served.paths("changed_while_away")[0] == "pkg0/mod8.py"
    assert served.status()["counters"]["embedded_chunks"] <= 6, "only what changed is embedded after a restart"
    assert len(served.export(root).tree) == len(before.tree) - 1
    assert_as_fresh(served, root)


def test_sync_queries_see_every_write_before_them(served: Daemon, root: Path) -> None:
    for n in range(30):
        (root / "pkg0" / "mod12.py").write_text(f"def marker_number_{n}():\n    return {n}\n")
        assert served.paths(f"marker_number_{n}", sync=True, k=1) == ["pkg0/mod12.py"]


def test_pause_and_resume(served: Daemon, root: Path) -> None:
    assert served.call("pause") == {"paused": True}
    (root / "pkg0" / "late.py").write_text("def written_while_paused():\n    pass\n")
    assert served.root(root)["state"] == "paused"
    with pytest.raises(Exception, match="paused"):
        served.flush()
    assert served.call("resume") == {"paused": False}
    served.flush()
    assert served.paths("written_while_paused")[0] == "pkg0/late.py"


def test_new_limits_hold_after_a_flush(served: Daemon, root: Path) -> None:
    (root / "long.py").write_text("def quincunx():\n    return 1\n" + "# dots\n" * 1_000)
    served.flush()
    assert "long.py" in served.paths("quincunx")
    for limit_bytes, state in ((5_000, "skipped"), (50_000, "indexed"), (6_000, "skipped")):
        (root / ".regend.toml").write_text(f"[limits]\nmax_file_bytes = {limit_bytes}\n")
        served.flush()
        assert served.call("why", file=str(root / "long.py"))["state"] == state


def test_why_tells_of_every_kind_of_file(served: Daemon, root: Path, tmp_path: Path) -> None:
    (root / "blob.bin").write_bytes(b"\0\1\2" * 100)
    (root / "huge.py").write_text("x = 1\n" * 300_000)
    (root / "link.py").symlink_to(root / "README.md")
    (root / ".env").write_text("KEY=secret\n")
    (root / "noise.log").write_text("noise\n")
    served.flush()
    expected = {
        "README.md": "indexed", "blob.bin": "skipped", "huge.py": "skipped", "link.py": "skipped", ".env": "ignored",
        "noise.log": "ignored", "nowhere.py": "missing",
    }  # fmt: skip
    assert {name: served.call("why", file=str(root / name))["state"] for name in expected} == expected
    assert served.call("why", file=str(tmp_path / "x"))["state"] == "outside"
    reasons = served.root(root)["skipped_by_reason"]
    assert reasons == {"binary": 1, "too_large": 1, "symlink": 1}
    listed = served.call("files", root=str(root), state="skipped")["files"]
    assert {f["path"]: f["reason"] for f in listed} == {
        "blob.bin": "binary", "huge.py": "too_large", "link.py": "symlink",
    }  # fmt: skip
