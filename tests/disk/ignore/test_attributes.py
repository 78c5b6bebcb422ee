"""`.gitattributes` declares the language of files and what they are; git itself is the oracle of which line holds."""

from __future__ import annotations

import os
import random
import subprocess
from pathlib import Path

import pytest

from regend.disk.ignore.attributes import MARKS
from regend.disk.ignore.rules import IgnoreRules
from regend.types import NOT_DECLARED, UNSURE, Declared, StatSig

NAMES = ("a.js", "b.min.js", "c.py", "x y.js", "é.js", "lib", "Makefile")
FOLDERS = ("", "src", "src/lib", "vendor", "vendor/lib", "a b")
PATTERNS = (
    "*", "*.js", "a.js", "/a.js", "lib/", "lib/*", "vendor/**", "**/lib/*", "src", "src/**/*.js", '"x y.js"',
    '"a b/*"', "[ab].*", "*.min.*", "?.py", "!a.js", "\\!a.js", '"\\303\\251.js"', "é.js", "VENDOR/**", "/src/lib/a.js",
)  # fmt: skip
WORDS = (
    "linguist-generated", "-linguist-generated", "!linguist-generated", "linguist-generated=false",
    "linguist-vendored", "-linguist-vendored", "linguist-vendored=true", "linguist-language=C++",
    "linguist-language=Emacs-Lisp", "-linguist-language", "linguist-documentation", "-linguist-documentation",
    "linguist-detectable", "text", "-diff", "made", "-made", "!made", "taken", "eol=lf", "-bad=", "=bad",
)  # fmt: skip


def git(top: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(top), *arguments], capture_output=True, check=True)
    return done.stdout.decode("utf-8", "surrogateescape")


def random_attributes(rng: random.Random, macros: bool) -> str:
    lines = ["# of a test", ""]
    if macros:
        lines += ["[attr]made linguist-generated taken", "[attr]taken linguist-vendored -linguist-documentation"]
    for _ in range(rng.randint(1, 6)):
        gap = rng.choice((" ", "\t", "   "))
        lines.append(
            gap.join((rng.choice(PATTERNS), *rng.choices(WORDS, k=rng.randint(0, 3)))) + rng.choice(("", "\r", " "))
        )
    return "\n".join(lines) + rng.choice(("", "\n"))


def said_by_git(top: Path, paths: list[str]) -> dict[str, Declared]:
    asked = ["linguist-language", *MARKS]
    out = subprocess.run(
        ["git", "-C", str(top), "check-attr", "-z", "--stdin", *asked],
        input="\0".join(paths).encode(), capture_output=True, check=True,
    ).stdout.decode()  # fmt: skip
    fields = out.split("\0")
    found: dict[str, dict[str, str]] = {path: {} for path in paths}
    for path, attribute, value in zip(fields[::3], fields[1::3], fields[2::3], strict=False):
        found[path][attribute] = value
    declared = {}
    for path, values in found.items():
        language = values["linguist-language"]
        marks = [
            ("-" if values[name] in ("unset", "false") else "") + mark
            for name, mark in MARKS.items()
            if values[name] != "unspecified"
        ]
        declared[path] = Declared(
            "" if language in ("unset", "set", "unspecified") else language, " ".join(sorted(marks))
        )
    return declared


@pytest.mark.parametrize("seed", range(25))
def test_as_git_says(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    top = tmp_path / "top"
    top.mkdir()
    git(top, "init", "--quiet")
    if rng.random() < 0.3:
        git(top, "config", "core.ignoreCase", "true")
    paths = []
    for folder in FOLDERS:
        (top / folder).mkdir(exist_ok=True)
        if folder == "" or rng.random() < 0.5:
            (top / folder / ".gitattributes").write_text(random_attributes(rng, macros=rng.random() < 0.5))
        paths += [f"{folder}/{name}" if folder else name for name in NAMES if not (top / folder / name).is_dir()]
    if rng.random() < 0.5:
        (top / ".git/info").mkdir(exist_ok=True)
        (top / ".git/info/attributes").write_text(random_attributes(rng, macros=True))
    for path in paths:
        if path != "src/lib" and path != "vendor/lib":
            (top / path).touch()
    expected = said_by_git(top, paths)
    rules = IgnoreRules(top)
    assert {path: rules.attributes(path).declared(path) for path in paths} == expected
    for below in ("src", "a b"):  # A root within the worktree: what lies above it holds.
        rules = IgnoreRules(top / below)
        inner = {path: said for path, said in expected.items() if path.startswith(f"{below}/")}
        assert {
            path: rules.attributes(path[len(below) + 1 :]).declared(path[len(below) + 1 :]) for path in inner
        } == inner


def test_a_plain_folder_has_attributes_too(tmp_path: Path) -> None:
    (tmp_path / ".gitattributes").write_text("*.js linguist-vendored\n")
    assert IgnoreRules(tmp_path).attributes("a.js").declared("a.js") == Declared("", "vendored")


def test_a_nested_repository_has_its_own(tmp_path: Path) -> None:
    (tmp_path / ".gitattributes").write_text("* linguist-vendored\n")
    inner = tmp_path / "inner"
    inner.mkdir()
    git(inner, "init", "--quiet")
    (inner / ".gitattributes").write_text("[attr]mine linguist-generated\n*.js mine\n")
    rules = IgnoreRules(tmp_path)
    assert rules.attributes("a.js").declared("a.js").marks == "vendored"
    assert rules.attributes("inner/a.js").declared("inner/a.js").marks == "generated"
    assert rules.attributes("inner/a.py").declared("inner/a.py") == NOT_DECLARED


def test_who_says_so(tmp_path: Path) -> None:
    (tmp_path / ".gitattributes").write_text("\n*.js text linguist-generated\n*.inc linguist-language=PHP\n")
    attributes = IgnoreRules(tmp_path).attributes("a.js")
    assert [said.sentence for said in attributes.declarations("a.js")] == [
        "`*.js text linguist-generated` in .gitattributes:2 marks it as generated."
    ]
    assert [said.sentence for said in attributes.declarations("a.inc")] == [
        "`*.inc linguist-language=PHP` in .gitattributes:3 declares its language as PHP."
    ]


@pytest.mark.parametrize(
    "content", [b"\xff\xfe* linguist-generated", b'"a linguist-generated', b"*.js\0 x", b"=", b"[attr]"]
)
def test_odd_files_say_nothing(tmp_path: Path, content: bytes) -> None:
    (tmp_path / ".gitattributes").write_bytes(content)
    assert IgnoreRules(tmp_path).attributes("a.js").declared("a.js") == NOT_DECLARED


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("* linguist-generated\n")
    os.symlink("real", tmp_path / ".gitattributes")
    assert IgnoreRules(tmp_path).attributes("a.js").declared("a.js") == NOT_DECLARED


def test_other_declarations_make_another_signature() -> None:
    sig = StatSig(1, 2, 3, 4)
    said = [Declared(language, marks) for language in ("", "C") for marks in ("", "generated", "-generated")]
    assert len({one.sign(sig) for one in said}) == len(said) and {one.sign(sig).inode for one in said} == {sig.inode}
    assert NOT_DECLARED.sign(sig) == sig
    assert said[-1].sign(UNSURE) == UNSURE
