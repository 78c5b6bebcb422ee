"""Fetched repositories, read with git: their files at a revision, and their commits. Nothing here writes to them."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

COMMIT_COUNT = 3_000
"""Newest commits of a repository that are looked at."""
_CHANGE = re.compile(r":(\d{6}) (\d{6}) ([0-9a-f]{40}) ([0-9a-f]{40}) ([A-Z])\d*\t(.+)")


@dataclass(frozen=True, slots=True)
class Mirror:
    """A repository with its history.

    Attributes:
        name: ``OWNER+NAME``, also the name of the folder that it lies in.
        git_dir: the folder with its objects.
    """

    name: str
    git_dir: Path

    @property
    def github(self) -> str:
        return self.name.replace("+", "/", 1)


@dataclass(frozen=True, slots=True)
class Blob:
    """A plain file of a revision; links and submodules are left out."""

    path: str
    object_id: str


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit that is no merge.

    Attributes:
        changed: paths whose content it changed or added.
        removed: paths that it took away.
    """

    object_id: str
    author: str
    subject: str
    body: str
    changed: tuple[str, ...]
    removed: tuple[str, ...]


def mirrors_in(folder: Path) -> list[Mirror]:
    """List the repositories of a folder by name: ``OWNER+NAME``, a checkout or a bare repository, or one in `repo`."""
    found = []
    for place in sorted(folder.glob("*+*")):
        for git_dir in (place / ".git", place, place / "repo" / ".git", place / "repo"):
            if (git_dir / "HEAD").is_file() and (git_dir / "objects").is_dir():
                found.append(Mirror(place.name, git_dir))
                break
    return found


def head_of(mirror: Mirror) -> str:
    """Return the newest revision of the repository's main branch."""
    return _git(mirror, "rev-parse", "--verify", "HEAD^{commit}").decode().strip()


def blobs_of(mirror: Mirror, revision: str) -> list[Blob]:
    """List the plain files of a revision by path; names that cannot be written as they are, are left out."""
    blobs = []
    for record in _git(mirror, "ls-tree", "-r", "-z", revision).split(b"\0"):
        head, _, raw_path = record.partition(b"\t")
        if not head.startswith(b"100"):
            continue
        try:
            path = raw_path.decode()
        except UnicodeDecodeError:
            continue
        if not {"", ".", "..", ".git"} & set(path.lower().split("/")):
            blobs.append(Blob(path, head.split()[2].decode()))
    return sorted(blobs, key=lambda blob: blob.path)


def sizes_of(mirror: Mirror, blobs: Iterable[Blob]) -> dict[str, int]:
    """Return the bytes of each path; what the mirror lacks is left out."""
    listed = list(blobs)
    lines = _git(mirror, "cat-file", "--batch-check=%(objectsize)", lines=_objects(listed)).decode().splitlines()
    return {blob.path: int(line) for blob, line in zip(listed, lines, strict=True) if line.isdigit()}


def contents_of(mirror: Mirror, blobs: Iterable[Blob], max_bytes: int) -> dict[str, bytes]:
    """Read files; those that are larger, or that the mirror lacks, are left out."""
    listed = list(blobs)
    sizes = sizes_of(mirror, listed)
    wanted = [blob for blob in listed if sizes.get(blob.path, max_bytes + 1) <= max_bytes]
    answer = _git(mirror, "cat-file", "--batch", lines=_objects(wanted))
    found, at = {}, 0
    for blob in wanted:
        start = answer.index(b"\n", at) + 1
        found[blob.path] = answer[start : start + sizes[blob.path]]
        at = start + sizes[blob.path] + 1
    return found


def commits_of(mirror: Mirror, revision: str, count: int = COMMIT_COUNT) -> list[Commit]:
    """Read the newest commits, newest first.

    Trees are compared and no contents: counts of lines (`--numstat`) take ten times as long, and need files that a
    mirror may lack.
    """
    stream = _git(
        mirror, "-c", "core.quotePath=false", "log", "--no-merges", f"--max-count={count}", "--raw", "--no-renames",
        "--no-abbrev", "--format=%x00%x01%x00%H%x00%an%x00%s%x00%b%x00", revision,
    ).decode("utf-8", "replace")  # fmt: skip
    return list(_commits(stream))


def _commits(stream: str) -> Iterator[Commit]:
    for record in stream.split("\0\1\0")[1:]:
        object_id, author, subject, rest = record.split("\0", 3)
        body, _, changes = rest.rpartition("\0")
        changed: list[str] = []
        removed: list[str] = []
        for change in map(_CHANGE.fullmatch, changes.splitlines()):
            # A link, a submodule or a change of the mode alone asks for nothing.
            if change is None or change[3] == change[4] or not change[2].startswith(("100", "000")):
                continue
            (removed if change[5] == "D" else changed).append(change[6])
        yield Commit(object_id, author, subject.strip(), body.strip(), tuple(changed), tuple(removed))


def ignored_among(mirror: Mirror, contents: Mapping[str, bytes]) -> frozenset[str]:
    """Return committed paths that the tree's own rules ignore: an index of the folder lacks them."""
    rules = {path: content for path, content in contents.items() if path.rpartition("/")[2] == ".gitignore"}
    with TemporaryDirectory() as folder:
        for path, content in rules.items():
            file = Path(folder, path)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
        answer = _git(
            mirror, "-c", "core.bare=false", f"--work-tree={folder}", "check-ignore", "--no-index", "-z", "--stdin",
            lines="\0".join(contents), good=(0, 1),
        )  # fmt: skip
    return frozenset(answer.decode().split("\0")) - {""}


def _objects(blobs: Iterable[Blob]) -> str:
    return "".join(f"{blob.object_id}\n" for blob in blobs)


def _git(mirror: Mirror, *arguments: str, lines: str = "", good: Sequence[int] = (0,)) -> bytes:
    """Run git with `lines` on its input; every exit status but the good ones is an error."""
    # Neither the user's configuration nor the network may have a say.
    environment = {
        **os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0",
        "GIT_NO_LAZY_FETCH": "1", "GIT_NO_REPLACE_OBJECTS": "1",
    }  # fmt: skip
    done = subprocess.run(
        ["git", f"--git-dir={mirror.git_dir}", *arguments], input=lines.encode(), capture_output=True, env=environment,
        check=False,
    )  # fmt: skip
    if done.returncode not in good:
        said = done.stderr.decode("utf-8", "replace").strip()
        raise SystemExit(f"git cannot read {mirror.name} ({said}); fetch it again with its history.")
    return done.stdout
