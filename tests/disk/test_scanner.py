"""A scan reports every file within its scopes once, concludes nothing of what it could not see, and follows no link."""

from __future__ import annotations

import os
import shutil
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from regend.core.commands import Observe
from regend.core.events import Observation, Observed
from regend.disk import scanner
from regend.disk.blob_names import name_blob
from regend.disk.ignore.rules import IgnoreRules
from regend.disk.repository import RootIdentity, identify
from regend.disk.safe_read import signature
from regend.disk.scanner import merge_scopes, scan
from regend.types import UNSURE, RootId, StatSig
from tests.watch.watch_rig import wait_for

LIMIT = 1_000


def lay(top: Path, files: Mapping[str, str]) -> None:
    for path, text in files.items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_text(text)


def age(top: Path) -> None:
    """Wait until every file's timestamps are old enough to be believed."""
    newest = max(p.lstat().st_ctime_ns for p in [top, *top.rglob("*")])
    wait_for(lambda: time.time_ns() - newest > 60_000_000, "older files")


def run(
    top: Path,
    *scopes: str,
    known: Mapping[str, StatSig] | None = None,
    rules: IgnoreRules | None = None,
    identity: RootIdentity | None = None,
    cancelled: Callable[[], bool] = lambda: False,
    own_files: frozenset[tuple[int, int]] = frozenset(),
) -> list[Observed]:
    identity = identity or identify(top)
    rules = rules or IgnoreRules(identity.path)
    parts: list[Observed] = []
    scan(Observe(7, RootId(1), scopes, known or {}), identity, rules, LIMIT, parts.append, cancelled, own_files)
    assert all(part.scan_id == 7 and len(part.files) <= 256 for part in parts)
    assert [part.last for part in parts] == [False] * (len(parts) - 1) + [True]
    return parts


def files_of(parts: list[Observed]) -> dict[str, Observation]:
    observed = [file for part in parts for file in part.files]
    found = {file.path: file for file in observed}
    assert len(found) == len(observed), "each path once"
    return found


@pytest.fixture
def top(tmp_path: Path) -> Path:
    made = tmp_path / "tree"
    lay(made, {"a.py": "a", "src/b.py": "b", "src/deep/c.py": "c", "src/deep/d.md": "d", "lib/e.py": "e"})
    return made


def test_whole_root_is_read_and_hashed(top: Path) -> None:
    age(top)
    found = files_of(run(top, ""))
    assert list(found) == ["a.py", "lib/e.py", "src/b.py", "src/deep/c.py", "src/deep/d.md"]
    for path, file in found.items():
        content = (top / path).read_bytes()
        sig = signature((top / path).stat())
        assert file == Observation(path, sig, name_blob(path, content)[0], size_bytes=len(content))


@pytest.mark.parametrize(
    ("scopes", "expected"),
    [
        (("src",), {"src/b.py", "src/deep/c.py", "src/deep/d.md"}),
        (("src/deep", "src/deep/c.py", "a.py"), {"src/deep/c.py", "src/deep/d.md", "a.py"}),
        (("src/deep", "src", ""), {"a.py", "lib/e.py", "src/b.py", "src/deep/c.py", "src/deep/d.md"}),
        (("missing", "a.py/below", "src/missing/deep"), set()),
        (("../tree/a.py", "src/../a.py", "/etc/passwd", ".", "src//b.py"), set()),
    ],
)
def test_scopes(top: Path, scopes: tuple[str, ...], expected: set[str]) -> None:
    parts = run(top, *scopes)
    assert set(files_of(parts)) == expected
    assert parts[-1].unsure == () and not parts[-1].root_gone


def test_merge_scopes() -> None:
    assert merge_scopes(["a/b", "a", "ab", "a/b/c", "ab"]) == ("a", "ab")
    assert merge_scopes(["x", "", "y"]) == ("",)
    assert merge_scopes(["a/b/c", "a/b"]) == ("a/b",)


def test_known_signature_is_not_read(top: Path) -> None:
    age(top)
    (top / "a.py").chmod(0)  # Could not be read by a plain user.
    sig = signature((top / "a.py").stat())
    assert files_of(run(top, "a.py", known={"a.py": sig}))["a.py"] == Observation("a.py", sig, unchanged=True)


def test_fresh_file_has_no_sure_signature(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("regend.disk.safe_read.RACY_NS", 60 * 10**9)  # A busy machine may pause for longer than usual.
    (top / "a.py").write_text("new")
    found = files_of(run(top, "a.py"))["a.py"]
    assert found.sig == UNSURE and found.blob is not None
    future = time.time() + 1_000
    os.utime(top / "src/b.py", (future, future))
    age(top / "src/deep")
    assert files_of(run(top, "src/b.py"))["src/b.py"].sig == UNSURE


def test_many_files_come_in_parts(tmp_path: Path) -> None:
    lay(tmp_path, {f"d{n % 7}/f{n}": str(n) for n in range(600)})
    parts = run(tmp_path, "")
    assert [len(part.files) for part in parts] == [256, 256, 88]
    assert len(files_of(parts)) == 600


def test_empty_scan_still_ends(tmp_path: Path) -> None:
    assert run(tmp_path, "") == [Observed(7, (), True)]


def test_special_files_are_skipped_by_reason(top: Path, tmp_path: Path) -> None:
    os.mkfifo(top / "fifo")
    (top / "link.py").symlink_to("a.py")
    (top / "dirlink").symlink_to(tmp_path)
    (top / "dangling").symlink_to("nowhere")
    (top / "big").write_text("x" * (LIMIT + 1))
    (top / "a.py~").write_text("x = 1")
    (top / "big.min.js").write_text("x" * (LIMIT + 1))
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(top / "sock"))
        reasons = {path: file.skip_reason for path, file in files_of(run(top, "")).items() if file.skip_reason}
    expected = {"fifo": "not_regular", "sock": "not_regular", "big": "too_large", "a.py~": "editor_file"}
    expected["big.min.js"] = "generated"
    assert reasons == expected | {"link.py": "symlink", "dirlink": "symlink", "dangling": "symlink"}
    assert files_of(run(top, "dirlink"))["dirlink"].sig == signature((top / "dirlink").lstat())
    assert files_of(run(top, "dirlink/tree/a.py")) == {}


def test_directory_that_became_a_link_is_not_followed(top: Path) -> None:
    (top / "src").rename(top / "real")
    (top / "src").symlink_to("real")
    assert files_of(run(top, "src/deep", "src/b.py")) == {}


def test_names_that_are_not_utf8(top: Path) -> None:
    (top / os.fsdecode(b"bad\xff.py")).touch()
    lay(top / os.fsdecode(b"dir\xfe"), {"x.py": "x"})
    found = files_of(run(top, ""))
    assert {path: f.skip_reason for path, f in found.items() if f.skip_reason} == {
        "bad\\xff.py": "name_not_utf8",
        "dir\\xfe": "name_not_utf8",
    }


def test_ignored_paths_are_not_reported(top: Path) -> None:
    lay(top, {".gitignore": "deep/\n*.md\n", "src/x.md": "", "secret.pem": "key"})
    assert set(files_of(run(top, ""))) == {".gitignore", "a.py", "lib/e.py", "src/b.py"}
    assert run(top, "src/deep", "src/deep/c.py", "src/x.md") == [Observed(7, (), True)]


def test_whole_scan_reads_changed_rules(top: Path) -> None:
    identity = identify(top)
    rules = IgnoreRules(identity.path)
    assert "lib/e.py" in files_of(run(top, "", rules=rules))
    lay(top, {".gitignore": "lib\n"})
    assert "lib/e.py" not in files_of(run(top, "", rules=rules))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_as_a_plain_user(top: Path) -> None:
    (top / "src").chmod(0)
    (top / "a.py").chmod(0)
    try:
        parts = run(top, "")
    finally:
        (top / "src").chmod(0o700)
    assert parts[-1].unsure == (("src", "unreadable"),)
    assert files_of(parts)["a.py"].skip_reason == "unreadable"


def test_refused_directories_and_files_are_named(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same for any user, by an `open` that refuses."""
    real_open = os.open

    def refuse(path: str | Path, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if path in ("deep", "a.py") and dir_fd is not None:
            raise PermissionError(13, "injected", path)
        if path == "e.py":
            raise OSError(5, "Input/output error", path)
        return real_open(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", refuse)
    parts = run(top, "")
    assert set(parts[-1].unsure) == {("src/deep", "unreadable"), ("lib/e.py", "os_error: Input/output error")}
    found = files_of(parts)
    assert set(found) == {"a.py", "src/b.py"}
    assert found["a.py"] == Observation("a.py", signature((top / "a.py").lstat()), skip_reason="unreadable")
    assert run(top, "src/deep/c.py")[-1].unsure == (("src/deep/c.py", "unreadable"),)


def test_root_gone_before(top: Path) -> None:
    identity = identify(top)
    rules = IgnoreRules(identity.path)
    shutil.rmtree(top)
    assert run(top, "", identity=identity, rules=rules) == [Observed(7, (), True, root_gone=True)]


def test_root_replaced_during_the_scan(top: Path) -> None:
    identity = identify(top)

    def replace() -> bool:
        if identity.path.exists() and not (top.parent / "away").exists():
            top.rename(top.parent / "away")
            top.mkdir()
        return False

    assert run(top, "", identity=identity, cancelled=replace)[-1].root_gone


def test_cancelled_scan_concludes_nothing(top: Path) -> None:
    asked = iter([False, False, False])
    parts = run(top, "src", "a.py", cancelled=lambda: next(asked, True))
    assert {scope for scope, _ in parts[-1].unsure} == {"src", "a.py"}


def test_failing_scan_concludes_nothing(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> object:
        raise ZeroDivisionError

    monkeypatch.setattr(scanner, "name_blob", fail)
    parts: list[Observed] = []
    identity = identify(top)
    with pytest.raises(ZeroDivisionError):
        scan(Observe(7, RootId(1), ("",), {}), identity, IgnoreRules(top), LIMIT, parts.append, lambda: False)
    assert parts == [Observed(7, (), True, (("", "scan_failed"),))]


def test_unchanged_tree_is_scanned_quickly(tmp_path: Path) -> None:
    for n in range(200):
        (tmp_path / f"d{n}").mkdir()
        for m in range(25):
            (tmp_path / f"d{n}/f{m}").touch()
    age(tmp_path / "d199")
    known = {path: file.sig for path, file in files_of(run(tmp_path, "")).items()}
    begun = time.process_time()
    found = files_of(run(tmp_path, "", known=known))
    assert all(file.unchanged for file in found.values()) and len(found) == 5_000
    assert time.process_time() - begun < 2.0  # 0.1 s measured; the rest is for slow machines.


def test_own_files_are_skipped_under_every_name_and_others_of_their_name_are_read(tmp_path: Path) -> None:
    lay(tmp_path, {"regend.log": "log\n", "d/regend.log": "another\n", "large": "x" * (LIMIT + 1)})
    (tmp_path / "d/nohup.out").hardlink_to(tmp_path / "regend.log")
    (tmp_path / "regend.log").rename(tmp_path / "regend.log.1")
    own = frozenset((s.st_dev, s.st_ino) for s in ((tmp_path / name).stat() for name in ("regend.log.1", "large")))
    for scopes in ("",), ("d", "large", "regend.log.1"):
        found = files_of(run(tmp_path, *scopes, own_files=own))
        skipped = {path: file.skip_reason for path, file in found.items()}
        assert skipped == {"d/nohup.out": "own_log", "d/regend.log": "", "large": "own_log", "regend.log.1": "own_log"}
