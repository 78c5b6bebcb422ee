"""Decisions equal git's, in random repositories and in the special places; the other groups come in their order."""

from __future__ import annotations

import random
import subprocess
import threading
import time
from pathlib import Path

import pytest

from regend.disk.ignore.builtin import SECRETS
from regend.disk.ignore.decision import NOT_IGNORED, Decision
from regend.disk.ignore.rules import IgnoreRules
from regend.disk.ignore.sources import MAX_RULE_FILE_BYTES
from regend.disk.repository import find_repository, identify
from tests.disk.ignore_zoo import bare_git_dir, environment, git, git_verdicts, random_rule_file, random_tree


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without git configuration, for git and for us."""
    made = tmp_path / "home"
    made.mkdir()
    for name in ("XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_DIR", "GIT_WORK_TREE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment(made).items():
        monkeypatch.setenv(name, value)
    return made


def rules_of(root: Path, user: tuple[str, ...] = (), excluded: tuple[Path, ...] = ()) -> IgnoreRules:
    identity = identify(root)
    return IgnoreRules(identity.path, user, excluded)


def check_equals_git(root: Path, home: Path, made: list[tuple[str, bool]], note: object) -> int:
    """Compare every path's decision, and the rule that made it, with git's; returns how many are ignored."""
    verdicts = git_verdicts(root, [path for path, _ in made], home)
    rules = rules_of(root)
    ignored = 0
    for path, is_dir in made:
        expected = verdicts[path]
        actual = rules.decide(path, is_dir)
        assert actual.ignored == expected.ignored, (note, path, is_dir, actual, expected)
        assert actual.line == expected.line, (note, path, is_dir, actual, expected)
        ignored += actual.ignored
    return ignored


@pytest.mark.parametrize("block", range(4))
def test_zoo_equals_git(tmp_path: Path, home: Path, block: int) -> None:
    """400 random repositories of up to 40 paths: `.gitignore` at all levels, `info/exclude`, global excludes, case."""
    ignored = total = 0
    for seed in range(block * 100, block * 100 + 100):
        rng = random.Random(seed)
        top = tmp_path / f"zoo{seed}"
        top.mkdir()
        config = "\tignorecase = true\n" if rng.random() < 0.2 else ""
        if rng.random() < 0.3:
            (home / "excludes").write_bytes(random_rule_file(rng, 3))
            config += f"\texcludesFile = {rng.choice(['~', str(home)])}/excludes\n"
        bare_git_dir(top / ".git", config)
        if rng.random() < 0.4:
            (top / ".git/info/exclude").write_bytes(random_rule_file(rng, 3))
        made = random_tree(rng, top, 40)
        ignored += check_equals_git(top, home, made, f"seed {seed}")
        total += len(made)
    assert total > 3_000 and total * 0.1 < ignored < total * 0.9


@pytest.mark.slow
def test_large_zoo_equals_git(tmp_path: Path, home: Path) -> None:
    for seed in range(10_000, 14_000):
        rng = random.Random(seed)
        top = tmp_path / f"zoo{seed}"
        top.mkdir()
        bare_git_dir(top / ".git", "\tignorecase = true\n" if rng.random() < 0.2 else "")
        check_equals_git(top, home, random_tree(rng, top, 40), f"seed {seed}")


def lay(top: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_text(text)


def tree_of(top: Path) -> list[tuple[str, bool]]:
    found = [(path.relative_to(top).as_posix(), path.is_dir() and not path.is_symlink()) for path in top.rglob("*")]
    return sorted((path, is_dir) for path, is_dir in found if ".git" not in path.split("/"))


def test_dot_directories_pattern_equals_git(tmp_path: Path, home: Path) -> None:
    bare_git_dir(tmp_path / "r/.git")
    lay(tmp_path / "r", {".gitignore": "/.*/\n!/.github/\n", ".venv/a": "", ".github/b": "", "s/.venv/c": "", ".f": ""})
    assert check_equals_git(tmp_path / "r", home, tree_of(tmp_path / "r"), "") == 2


def test_links_are_not_directories_and_linked_rule_files_do_not_count(tmp_path: Path, home: Path) -> None:
    top = tmp_path / "r"
    bare_git_dir(top / ".git")
    lay(top, {".gitignore": "build/\n", "real/x": "", "sub/y": "", "rules": "*\n"})
    (top / "build").symlink_to("real")
    (top / "sub/.gitignore").symlink_to("../rules")
    assert check_equals_git(top, home, tree_of(top), "") == 0


@pytest.mark.parametrize("where", ["xdg", "default", "GIT_CONFIG_GLOBAL", "off"])
def test_global_excludes_equal_git(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    top = tmp_path / "r"
    bare_git_dir(top / ".git")
    lay(top, {"a.log": "", "b.txt": "", "keep/a.log": "", ".gitignore": "!keep/a.log\n"})
    lay(home, {".config/git/ignore": "*.log\n", "xdg/git/ignore": "*.txt\n", "other": "a.*\n"})
    if where == "xdg":
        monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "xdg"))
    elif where == "GIT_CONFIG_GLOBAL":
        lay(home, {"config": f"[core]\n\texcludesFile = {home}/other\n"})
        monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(home / "config"))
    elif where == "off":
        lay(home, {".gitconfig": "[core]\n\texcludesFile =\n"})
    rules = rules_of(top)
    for path, is_dir in tree_of(top):
        asked = subprocess.run(["git", "-C", str(top), "check-ignore", "-q", "--no-index", path], check=False)
        assert rules.decide(path, is_dir).ignored == (asked.returncode == 0), (where, path)


def test_linked_worktrees_and_submodules_equal_git(tmp_path: Path, home: Path) -> None:
    main = tmp_path / "main"
    main.mkdir()
    git(main, "init", "-q", home=home)
    lay(main, {".gitignore": "*.o\n", "src/a.c": "", "src/a.o": ""})
    git(main, "add", ".", home=home)
    git(main, "-c", "user.name=n", "-c", "user.email=e@x", "commit", "-qm", "x", home=home)
    (main / ".git/info/exclude").write_text("*.tmp\n")
    git(main, "worktree", "add", "-q", str(tmp_path / "linked"), "-b", "other", home=home)
    git(main, "worktree", "add", "-q", str(main / "inside"), "-b", "third", home=home)
    lay(tmp_path / "linked", {"x.tmp": "", "src/b.o": "", "y": ""})
    assert check_equals_git(tmp_path / "linked", home, tree_of(tmp_path / "linked"), "linked") == 2

    rules = rules_of(main)
    assert rules.decide("inside", True).source == "nested_worktree"
    assert rules.decide("inside/src/a.c", False).ignored


def test_nested_repository_follows_its_own_rules(tmp_path: Path, home: Path) -> None:
    top = tmp_path / "r"
    bare_git_dir(top / ".git")
    bare_git_dir(top / "vendor/lib/.git")
    lay(top, {".gitignore": "*.log\n/vendor/skip\n", "a.log": "", "vendor/lib/.gitignore": "*.tmp\n"})
    lay(top, {"vendor/lib/a.log": "", "vendor/lib/b.tmp": "", "vendor/lib/sub/c.tmp": "", ".regenignore": "*.gen\n"})
    lay(top, {"vendor/lib/x.gen": "", "vendor/lib/y": "", "vendor/skip/z": ""})
    (top / "vendor/lib/.git/info/exclude").write_text("/sub/\n")
    outer = rules_of(top)
    nested = top / "vendor/lib"
    verdicts = git_verdicts(nested, [path for path, _ in tree_of(nested)], home)
    for path, is_dir in tree_of(nested):
        if not path.endswith(".gen"):
            assert outer.decide(f"vendor/lib/{path}", is_dir).ignored == verdicts[path].ignored, path
    assert outer.decide("vendor/lib/x.gen", False).source == ".regenignore"
    assert outer.decide("vendor/skip", True) == Decision(True, ".gitignore", 2, "/vendor/skip")
    assert outer.decide("vendor/lib/.git", True).ignored


def test_root_below_the_top_of_its_worktree(tmp_path: Path, home: Path) -> None:
    top = tmp_path / "r"
    bare_git_dir(top / ".git")
    lay(top, {".gitignore": "*.log\n/svc/api/gen/\nother/\n", "svc/.gitignore": "api/tmp\n"})
    lay(top, {"svc/api/a.log": "", "svc/api/gen/x": "", "svc/api/tmp": "", "svc/api/b": "", "other/c.log": ""})
    rules = rules_of(top / "svc/api")
    for path, is_dir in tree_of(top / "svc/api"):
        expected = git_verdicts(top, [f"svc/api/{path}"], home)[f"svc/api/{path}"].ignored
        assert rules.decide(path, is_dir).ignored == expected, path
    # Who adds an ignored directory wants it indexed.
    assert rules_of(top / "other").decide("c.log", False) == NOT_IGNORED


def test_order_of_groups(tmp_path: Path) -> None:
    top = tmp_path / "r"
    bare_git_dir(top / ".git")
    lay(top, {".gitignore": "git-out\ngen/\nboth\n", ".regenignore": "!gen/\nown-out\n!both\n!.env\n!user-out\n"})
    lay(top, {".regend.toml": '[ignore]\npatterns = ["toml-out", "!own-out"]\n', "gen/.regenignore": "deep\n"})
    (top / "gen").mkdir(exist_ok=True)
    rules = rules_of(top, ("user-out", "!git-out", "both", "!.env"))
    assert not rules.decide("git-out", False).ignored
    assert rules.decide("gen/deep", False) == Decision(True, "gen/.regenignore", 1, "deep")
    assert rules.decide("gen/x", False) == NOT_IGNORED
    assert rules.decide("own-out", False).ignored, "`.regenignore` comes after `.regend.toml`"
    assert rules.decide("toml-out", False).source == ".regend.toml"
    assert rules.decide("user-out", False) == Decision(True, "user configuration", 1, "user-out")
    assert rules.decide("both", False).ignored
    assert rules.decide(".env", False) == Decision(True, "built-in secret list", 0, ".env")


SECRET = [".env", ".env.local", "a/.ENV.production", "prod.env", "server.pem", "ID_RSA", "id_rsa.bak", "id_ed25519"]
SECRET += ["x.key", ".netrc", ".pgpass", ".ssh/config", "home/.aws/credentials", "credentials", ".git-credentials"]
SECRET += ["deep/Credentials", "AuthKey.p8", ".cargo/credentials.toml", "home/.config/gh/hosts.yml", ".bash_history"]
SECRET += [".gitconfig", "home/.config/git/config", ".hgrc", ".cvspass", ".subversion/auth/svn.simple/1"]
SECRET += [".docker/config.json", "home/.Docker/Config.json"]
OPEN = [
    "credentials/tls.go",
    "pkg/credentials/google/google.go",
    "config/gh/hosts.yml",
    ".env.example",
    "env.py",
    "environment.ts",
    "credentials.py",
    "pem.go",
    "keys.py",
    "monkey",
    "ssh/config",
]


@pytest.mark.parametrize("path", SECRET)
def test_secrets_are_never_indexed(tmp_path: Path, path: str) -> None:
    lay(tmp_path, {".gitignore": f"!{path}\n!*\n", ".regenignore": "!*\n"})
    assert rules_of(tmp_path, ("!*",)).decide(path, False).source == SECRETS.source


@pytest.mark.parametrize("path", OPEN)
def test_source_that_looks_like_a_secret_is_indexed(tmp_path: Path, path: str) -> None:
    assert rules_of(tmp_path).decide(path, False) == NOT_IGNORED


def test_state_directory_is_excluded(tmp_path: Path) -> None:
    (tmp_path / "r/state").mkdir(parents=True)
    rules = rules_of(tmp_path / "r", excluded=((tmp_path / "r/state").resolve(),))
    assert rules.decide("state/catalog.db", False).source == "state directory"
    assert not rules.decide("stated", True).ignored


@pytest.mark.parametrize("name", ["home/.ssh", "home/.AWS/deep", ".gnupg", "home/.docker"])
def test_a_root_that_holds_secrets_is_ignored_whole(tmp_path: Path, name: str) -> None:
    root = tmp_path.resolve() / name
    lay(root, {".gitignore": "!*\n", "deep/config": ""})
    rules = rules_of(root, ("!*",))
    for path, is_dir in (("", True), ("config", False), ("deep", True), ("deep/config", False), ("deep/er/x", False)):
        assert rules.decide(path, is_dir).source == SECRETS.source, path


@pytest.mark.parametrize("named", ["~nobody-of-that-name/x", "/dev/zero", "/", "x" * 5_000])
def test_odd_global_excludes_exclude_nothing(tmp_path: Path, named: str) -> None:
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    subprocess.run(["git", "-C", str(tmp_path), "config", "core.excludesFile", named], check=True)
    lay(tmp_path, {".gitignore": "y\n"})
    rules = rules_of(tmp_path)
    assert not rules.decide("x", False).ignored and rules.decide("y", False).ignored


def test_rules_beyond_the_bound_let_nothing_in(tmp_path: Path) -> None:
    lay(tmp_path, {"d/.gitignore": "x\n" * (MAX_RULE_FILE_BYTES // 2) + "private\n", "e/.gitignore": "x\n"})
    rules = rules_of(tmp_path)
    assert rules.decide("d/private", False).ignored
    assert "larger than 1048576 bytes" in rules.decide("d/other", False).source
    assert not rules.decide("e/other", False).ignored
    lay(tmp_path, {"d/.gitignore": "x\n" * (MAX_RULE_FILE_BYTES // 2)})
    rules.refresh()
    assert not rules.decide("d/other", False).ignored


def test_the_state_of_any_regend_is_excluded(tmp_path: Path) -> None:
    root = tmp_path.resolve()
    lay(root, {"state/lexical/1/meta.json": "", "other/lexical/meta.json": ""})
    inside = rules_of(root / "state/lexical", excluded=(root / "state",))
    assert inside.decide("1/meta.json", False).source == "state directory"
    rules = rules_of(root)
    assert not rules.decide("other/lexical/meta.json", False).ignored
    lay(root, {"other/index.db.roots": ""})
    assert rules.is_rule_file("other/index.db.roots")
    rules.invalidate("other/index.db.roots")
    assert rules.decide("other/lexical/meta.json", False).source == "state directory of a regend"


def test_a_mistake_in_the_repository_file_brings_in_nothing(tmp_path: Path) -> None:
    lay(tmp_path, {".regend.toml": '[ignore]\npatterns = ["private"]\n'})
    rules = rules_of(tmp_path)
    lay(tmp_path, {".regend.toml": '[ignore]\npatterns = ["private"]\n[embedding]\nurl = "http://x"\n'})
    rules.refresh()
    assert "embedding" in rules.problem and rules.decide("private", False).ignored
    # So it is after a restart, with what can be understood; what brings back does not count.
    lay(tmp_path, {".regend.toml": '[ignore]\npatterns = ["private", "!kept", 1]\n', ".gitignore": "kept\n"})
    fresh = rules_of(tmp_path)
    assert "one-line strings" in fresh.problem
    assert fresh.decide("private", False).ignored and fresh.decide("kept", False).ignored
    lay(tmp_path, {".regend.toml": "[ignore"})
    rules.refresh()
    assert "not valid TOML" in rules.problem and rules.decide("private", False).ignored
    lay(tmp_path, {".regend.toml": ""})
    rules.refresh()
    assert rules.problem == "" and not rules.decide("private", False).ignored


def test_invalidate_reads_again(tmp_path: Path) -> None:
    lay(tmp_path, {"a/b/.gitignore": "x\n", "a/b/x": "", "c/x": ""})
    rules = rules_of(tmp_path)
    assert rules.decide("a/b/x", False).ignored and rules.is_rule_file("a/b/.gitignore")
    lay(tmp_path, {"a/b/.gitignore": "y\n"})
    assert rules.invalidate("a/b/.gitignore") == "a/b"
    assert not rules.decide("a/b/x", False).ignored and rules.decide("a/b/y", False).ignored
    lay(tmp_path, {"a/.gitignore": "b/\n"})
    rules.invalidate("a/.gitignore")
    assert rules.decide("a/b/y", False) == Decision(True, "a/.gitignore", 1, "b/")


def test_broken_repository_file_is_reported_and_does_not_stop_the_rest(tmp_path: Path) -> None:
    lay(tmp_path, {".regend.toml": "[embedding]\nurl = 'http://x'\n", ".gitignore": "x\n"})
    rules = rules_of(tmp_path)
    assert "embedding" in rules.problem and rules.decide("x", False).ignored
    lay(tmp_path, {".regend.toml": "[ignore]\npatterns = ['y']\n"})
    rules.invalidate(".regend.toml")
    assert rules.problem == "" and rules.decide("y", False).ignored


def test_hostile_pattern_takes_no_time(tmp_path: Path) -> None:
    lay(tmp_path, {".gitignore": "*a" * 30 + "b\n" + "/".join(["**"] * 40) + "/x*a*a*a*a\n"})
    rules = rules_of(tmp_path)
    begun = time.perf_counter()
    assert not rules.decide("d/" * 30 + "a" * 200, False).ignored
    assert time.perf_counter() - begun < 2


def test_many_threads_agree_while_rules_change(tmp_path: Path) -> None:
    for n in range(20):
        lay(tmp_path, {f"d{n}/s/.gitignore": "x\n"})
    rules = rules_of(tmp_path)
    wrong: list[str] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            for n in range(20):
                x, y = rules.decide(f"d{n}/s/x", False), rules.decide(f"d{n}/s/y", False)
                if not x.ignored or y.ignored:
                    wrong.append(f"d{n}")

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for n in range(300):
        rules.invalidate(f"d{n % 20}") if n % 7 else rules.refresh()
    stop.set()
    for thread in threads:
        thread.join(20)
    assert not wrong


def test_a_hundred_thousand_decisions_are_fast(tmp_path: Path) -> None:
    bare_git_dir(tmp_path / ".git")
    patterns = [
        "*.pyc",
        "__pycache__/",
        "node_modules/",
        "/dist",
        "build/**/out",
        "*.tar.gz",
        ".idea",
        "*~",
        "doc/*.tmp",
    ]
    lay(tmp_path, {".gitignore": "\n".join(patterns * 3) + "\n"})
    rules = rules_of(tmp_path)
    paths = [f"pkg{n // 1000}/mod{n // 50 % 20}/file{n}.py" for n in range(100_000)]
    begun = time.process_time()
    for path in paths:
        rules.decide(path, False)
    assert time.process_time() - begun < 2.0  # 0.4 s measured; the rest is for slow machines.
    assert find_repository(tmp_path) is not None
