"""The trees that are measured: fetched, copied by a list of files that all programs get, or made.

Packages come from their registries through the ordinary clients, `pip` and `apt-get`, and only when a tree is named
that is not there.
"""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

BUILD = Path(__file__).resolve().parent.parent / "build" / "trees"
CODE = (".py", ".js", ".ts", ".tsx", ".c", ".h", ".cc", ".cpp", ".hpp", ".go", ".rs", ".java", ".rb", ".php", ".cs")
"""Suffixes of the files that each program gets when programs are compared; each of them indexes these."""
DJANGO, LINUX = "django==5.2.19", "linux-source-6.1"
_WORD = re.compile(r"[A-Za-z_]{5,}")


def fetched(name: str) -> Path:
    """Return the tree `django` or `linux`, fetched and unpacked below `BUILD` the first time.

    Raises:
        SystemExit: no such tree is known, or its package cannot be fetched.
    """
    known = {"django": _fetch_django, "linux": _fetch_linux}
    if name not in known:
        raise SystemExit(f"{name} is no directory; name one, or one of the trees that are fetched: {', '.join(known)}.")
    tree = BUILD / name
    if not tree.is_dir():
        parcel = BUILD / f"{name}.parcel"
        shutil.rmtree(parcel, ignore_errors=True)
        parcel.mkdir(parents=True)
        archive = known[name](parcel)
        with tarfile.open(archive) as packed:
            packed.extractall(parcel / "unpacked", filter="data")
        (unpacked,) = (parcel / "unpacked").iterdir()
        # Debian's `.gitignore` of the kernel excludes everything.
        (unpacked / ".gitignore").unlink(missing_ok=True)
        unpacked.rename(tree)
        shutil.rmtree(parcel)
    return tree


def same_files(tree: Path, into: Path, suffixes: Sequence[str] = CODE) -> list[str]:
    """Copy the files with these suffixes, and nothing that rules which files count; return their paths, sorted."""
    paths = sorted(
        str(file.relative_to(tree)) for file in tree.rglob("*")
        if file.suffix in suffixes and file.is_file() and not file.is_symlink()
    )  # fmt: skip
    for path in paths:
        copy = into / path
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(tree / path, copy)
    return paths


def words_of(tree: Path, count: int = 400, seed: int = 1) -> list[str]:
    """Make queries of one to four words that occur in the tree; the same for the same tree and seed."""
    rng = random.Random(seed)
    files = [f for f in sorted(tree.rglob("*")) if f.suffix in (*CODE, ".md", ".txt", ".rst") and f.is_file()]
    words: set[str] = set()
    for file in rng.sample(files, min(len(files), 300)):
        words.update(re.findall(r"(?<!\w)[A-Za-z_]{4,30}(?!\w)", file.read_text(errors="ignore"))[:200])
    ordered = sorted(words)
    if not ordered:
        raise SystemExit(f"{tree} has no file of source code or prose to ask about.")
    return [" ".join(rng.sample(ordered, min(len(ordered), rng.randint(1, 4)))) for _ in range(count)]


def grown(tree: Path, into: Path, copies: int) -> None:
    """Copy the code of a tree several times, each time with other words, so that no chunk is another's copy."""
    paths = [path for path in sorted(tree.rglob("*")) if path.suffix in CODE and path.is_file()]
    for number in range(copies):
        for path in paths:
            text = path.read_text(errors="replace")
            changed = text if not number else _WORD.sub(lambda match: f"{match[0]}_{number:x}", text)  # noqa: B023
            copy = into / f"copy{number}" / path.relative_to(tree)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(changed)


def many_directories(into: Path, count: int) -> None:
    """Make a tree of so many directories, one small file in each."""
    for number in range(count):
        directory = into / f"d{number // 100}" / f"e{number % 100}"
        directory.mkdir(parents=True)
        (directory / "m.py").write_text(f"def function_{number}():\n    return {number}\n")


def _fetch_django(parcel: Path) -> Path:
    _run(
        [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--no-binary",
            ":all:",
            "--dest",
            str(parcel),
            DJANGO,
        ]
    )
    return next(parcel.glob("*.tar.gz"))


def _fetch_linux(parcel: Path) -> Path:
    _run(["apt-get", "download", LINUX], parcel)
    _run(["dpkg-deb", "-x", str(next(parcel.glob("*.deb"))), str(parcel / "package")])
    return next((parcel / "package" / "usr" / "src").glob("*.tar.xz"))


def _run(command: list[str], cwd: Path | None = None) -> None:
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    except OSError as error:
        raise SystemExit(f"{command[0]} cannot be started: {error.strerror}; give a directory instead.") from error
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed; give a directory instead. It said: {done.stderr.strip()[-500:]}")
