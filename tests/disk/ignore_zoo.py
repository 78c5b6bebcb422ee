"""Random repositories full of ignore files, and what real git says about every path in them."""

from __future__ import annotations

import os
import random
import subprocess
from dataclasses import dataclass
from pathlib import Path

NAMES = ["a", "b", "foo", "bar", "foo.py", "bar.pyc", "Foo", "build", "x y", "é", "日本", ".hid", "[ab]", "a*", "a-b"]
NAMES += ["q!", "#h", "t ", "back\\slash", "foo.tar.gz", "fooXbar", "1", "~tmp", "lib", "src"]
PIECES = [
    "*",
    "**",
    "?",
    "foo",
    "bar",
    "a",
    "b",
    "[ab]",
    "[!a]",
    "[^f]*",
    "*.py",
    "*.py[co]",
    "f*",
    "*r",
    "[[:alpha:]]*",
]
PIECES += [
    "[[:digit:]]",
    "\\a",
    "\\*",
    "\\#h",
    "é",
    "日*",
    "x y",
    ".hid",
    ".*",
    "a**",
    "**b",
    "f**r",
    "*o*",
    "build",
    "Foo",
]
PIECES += [
    "[a-c]",
    "[",
    "[a",
    "[]a]",
    "[\\]a]",
    "[[:nope:]]",
    "q\\!",
    "t\\ ",
    "foo.*",
    "back\\\\slash",
    "[a-]*",
    "f?o",
    "lib",
    "src",
]
PIECES += ["[é]", "??", "*a*b*", "foo\\", "[[:upper:]]*", "[[:x]", "***", "lib**", "[f-]oo", "[--0]", "*\\*", "?*"]
SEPARATORS = ["/", "/", "/", "/**/", "/**/**/", "**/", "/*/", "//", "**\\/", "/**\\/"]


@dataclass(frozen=True)
class Verdict:
    """git's answer: which rule decided, if any."""

    source: str
    line: int
    pattern: str

    @property
    def ignored(self) -> bool:
        return bool(self.source) and not self.pattern.startswith("!")


def environment(home: Path) -> dict[str, str]:
    """An environment in which git sees no configuration but what lies in `home`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    kept.pop("XDG_CONFIG_HOME", None)
    return {**kept, "HOME": str(home), "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C.UTF-8"}


def git(directory: Path, *arguments: str, home: Path, stdin: bytes = b"", check: bool = True) -> bytes:
    done = subprocess.run(
        ["git", "-C", str(directory), *arguments], input=stdin, capture_output=True, env=environment(home), check=False
    )
    assert not check or done.returncode == 0, done.stderr
    return done.stdout


def bare_git_dir(directory: Path, config: str = "") -> None:
    """Make the directories and files that git needs, twenty times as fast as `git init`."""
    for part in ("objects", "refs", "info"):
        (directory / part).mkdir(parents=True)
    (directory / "HEAD").write_text("ref: refs/heads/main\n")
    (directory / "config").write_text(f"[core]\n\trepositoryformatversion = 0\n\tbare = false\n{config}")


def random_pattern(rng: random.Random) -> str:
    count = rng.choice([1, 1, 1, 2, 2, 3, 4])
    pattern = "".join(rng.choice(PIECES) + (rng.choice(SEPARATORS) if i + 1 < count else "") for i in range(count))
    if rng.random() < 0.1:
        pattern = rng.choice(NAMES)
    if rng.random() < 0.25:
        pattern = "/" + pattern
    if rng.random() < 0.25:
        pattern += "/"
    if rng.random() < 0.1:
        pattern += rng.choice(["/**", "/*", "*", "**"])
    if rng.random() < 0.3:
        pattern = "!" + pattern
    if rng.random() < 0.08:
        pattern += rng.choice([" ", "  ", "\t", "\\ ", "\\  "])
    return pattern


def random_rule_file(rng: random.Random, lines: int) -> bytes:
    end = "\r\n" if rng.random() < 0.12 else "\n"
    rows = [random_pattern(rng) for _ in range(rng.randint(1, lines))]
    if rng.random() < 0.2:
        rows.insert(
            rng.randrange(len(rows)), rng.choice(["# comment", "", "   ", "!", "/", "//", "/.*/", "!/", "\\", "*"])
        )
    text = end.join(rows) + (end if rng.random() < 0.8 else "")
    return (b"\xef\xbb\xbf" if rng.random() < 0.1 else b"") + text.encode()


def random_tree(rng: random.Random, top: Path, budget: int) -> list[tuple[str, bool]]:
    """Make files and directories with ignore files among them; returns (path, is directory)."""
    made: list[tuple[str, bool]] = []
    directories = [""]
    for _ in range(budget):
        parent = rng.choice(directories)
        path = f"{parent}/{rng.choice(NAMES)}".lstrip("/")
        if (top / path).exists():
            continue
        is_dir = rng.random() < 0.45 and path.count("/") < 4
        if is_dir:
            (top / path).mkdir()
            directories.append(path)
        else:
            (top / path).touch()
        made.append((path, is_dir))
    for directory in directories:
        if directory == "" or rng.random() < 0.3:
            (top / directory / ".gitignore").write_bytes(random_rule_file(rng, 6 if directory == "" else 3))
    return made


def git_verdicts(top: Path, paths: list[str], home: Path) -> dict[str, Verdict]:
    """Ask `git check-ignore` about all paths at once."""
    out = git(
        top,
        "check-ignore",
        "--no-index",
        "--stdin",
        "-z",
        "-v",
        "-n",
        home=home,
        stdin=b"".join(os.fsencode(path) + b"\0" for path in paths),
        check=False,
    )
    fields = out.split(b"\0")
    verdicts = {}
    for at in range(0, len(fields) - 3, 4):
        source, line, pattern, path = map(os.fsdecode, fields[at : at + 4])
        verdicts[path] = Verdict(source, int(line or 0), pattern)
    return verdicts
