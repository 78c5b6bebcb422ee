"""`python -m benchmarks corpus`: write the trees of the manifest's repositories, and the questions over them.

Each repository's questions are kept in a file of their own, so an interrupted run goes on where it stopped.
"""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.corpus.kinds import asked, commit, doc, error, heading, rare, symbol, test_name, title
from benchmarks.corpus.manifest import MAX_FILE_BYTES, PARTS, Entry, chosen, parts_of, read_manifest, write_manifest
from benchmarks.corpus.material import Material, Question
from benchmarks.corpus.mirrors import Mirror, blobs_of, commits_of, contents_of, ignored_among, mirrors_in
from benchmarks.corpus.prose import normalised

VERSION = 3
"""Raise it when the same revisions would give other trees or questions: all is made again."""
KINDS: Mapping[str, Callable[[Material], list[Question]]] = {
    "commit": commit.questions,
    "doc": doc.questions,
    "title": title.questions,
    "error": error.questions,
    "test": test_name.questions,
    "rare": rare.questions,
    "symbol": symbol.questions,
    "heading": heading.questions,
    "asked": asked.questions,
}
"""In the order in which they are made: `doc` takes sentences out of the tree that the later ones read."""


def select(mirrors: Path) -> None:
    """Write the manifest afresh from every repository of a folder."""
    entries = list(chosen(mirrors_in(mirrors)))
    write_manifest(entries)
    languages = Counter(entry.language for entry in entries)
    print(f"{len(entries)} repositories in {len(languages)} languages: {dict(languages.most_common())}")


def run(
    mirrors: Path, out: Path, only: Sequence[str] = (), manifest: Sequence[Entry] | None = None, part: str = ""
) -> None:
    """Write `trees/NAME`, and `questions-PART.json` for train, choose and test, below `out`.

    Args:
        only: names of repositories (``OWNER+NAME``) to which the work is limited; none means all.
        part: to which all repositories belong; empty: they are split.
    """
    entries = read_manifest() if manifest is None else list(manifest)
    parts = {entry.name: part for entry in entries} if part else parts_of(entries)
    if only:
        entries = [entry for entry in entries if entry.name in only]
    fetched = {mirror.name.lower(): mirror for mirror in mirrors_in(mirrors)}
    if missing := [entry.github for entry in entries if entry.name.lower() not in fetched]:
        raise SystemExit(f"{mirrors} lacks {', '.join(missing)}; fetch each with its history as OWNER+NAME there.")
    made = []
    for number, entry in enumerate(entries, 1):
        began_at = time.monotonic()
        queries = _made(entry, fetched[entry.name.lower()], out)
        made.append((entry, queries))
        print(
            f"{number}/{len(entries)} {entry.github}: {len(queries)} questions in {time.monotonic() - began_at:.1f} s",
            flush=True,
        )
    for one in (part,) if part else PARTS:
        _write(out / f"questions-{one}.json", [
            {"name": entry.name, "github": entry.github, "revision": entry.revision, "language": entry.language,
             "root": "", "queries": queries}
            for entry, queries in made if queries and parts[entry.name] == one
        ])  # fmt: skip
    for line in counts(made, parts):
        print(line)


def counts(made: Sequence[tuple[Entry, list[dict[str, Any]]]], parts: Mapping[str, str]) -> list[str]:
    """Format how many repositories and questions of each kind each part has."""
    names = [part for part in PARTS if part in parts.values()] or sorted(set(parts.values()))
    rows: dict[str, Counter[str]] = {part: Counter() for part in names}
    for entry, queries in made:
        rows[parts[entry.name]].update(["repositories", *(query["category"] for query in queries)])
    lines = [f"{'':<14}" + "".join(f"{part:>9}" for part in names)]
    lines += [f"{kind:<14}" + "".join(f"{rows[part][kind]:>9}" for part in names) for kind in ("repositories", *KINDS)]
    return lines


def _made(entry: Entry, mirror: Mirror, out: Path) -> list[dict[str, Any]]:
    """Return a repository's questions and write its tree, unless an earlier run did."""
    record, tree = out / "made" / f"{entry.name}.json", out / "trees" / entry.name
    if record.exists() and tree.is_dir():
        said = json.loads(record.read_text("utf-8"))
        if (said["version"], said["revision"]) == (VERSION, entry.revision):
            queries: list[dict[str, Any]] = said["queries"]
            return queries
    contents = contents_of(mirror, blobs_of(mirror, entry.revision), MAX_FILE_BYTES)
    material = Material(entry.name, contents, commits_of(mirror, entry.revision), ignored_among(mirror, contents))
    queries = queries_of(material)
    _write_tree(tree, material.contents)
    _write(record, {"version": VERSION, "revision": entry.revision, "queries": queries})
    return queries


def queries_of(material: Material) -> list[dict[str, Any]]:
    """Make the questions of all kinds, each text once."""
    made: dict[str, dict[str, Any]] = {}
    for kind, questions in KINDS.items():
        for question in questions(material):
            made.setdefault(normalised(question.query), question.as_json(kind))
    return list(made.values())


def _write_tree(folder: Path, contents: Mapping[str, bytes]) -> None:
    """Write a tree's files. It is replaced as a whole; one that is as it should be is left alone, with its times."""
    if _is_written(folder, contents):
        return
    unfinished, former = folder.with_name(f".{folder.name}.new"), folder.with_name(f".{folder.name}.old")
    for place in (unfinished, former):
        shutil.rmtree(place, ignore_errors=True)
    unfinished.mkdir(parents=True)
    for path, content in contents.items():
        file = unfinished / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    if folder.exists():
        folder.rename(former)
    unfinished.rename(folder)
    shutil.rmtree(former, ignore_errors=True)


def _is_written(folder: Path, contents: Mapping[str, bytes]) -> bool:
    there = {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()}
    return there == set(contents) and all((folder / path).read_bytes() == content for path, content in contents.items())


def _write(file: Path, value: object) -> None:
    """Write JSON so that a reader sees the old file or the new one."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(file.name + ".new")
    unfinished.write_text(json.dumps(value, indent=1, ensure_ascii=False), "utf-8")
    unfinished.replace(file)
