"""Annotated questions over repositories, and tables of what the answers were worth.

A questions file is a list of repositories: `{name, language, root, queries: [{query, relevant, secondary, category}]}`
and what else it says; a target is a path or `{path, start_line, end_line}`. `root` limits the index to a folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.metrics import Target, Worth, mean_worth


@dataclass(frozen=True, slots=True)
class Question:
    """One question and every place that answers it, main ones first.

    Attributes:
        commit: what the question was made from; later ones know its answer.
    """

    text: str
    targets: tuple[Target, ...]
    category: str
    commit: str = ""


@dataclass(frozen=True, slots=True)
class Repository:
    """A checkout and its questions.

    Attributes:
        root: folder inside the checkout to which the index is limited, or empty.
        directory: what is indexed, an absolute path.
        revision: that of the checkout, or empty.
    """

    name: str
    language: str
    root: str
    directory: Path
    questions: tuple[Question, ...]
    revision: str = ""

    def full_path(self, path: str) -> str:
        """Turn a path relative to `directory` into one relative to the checkout."""
        return f"{self.root}/{path}" if self.root else path


def load(file: Path, checkouts: Path, only: Iterable[str] = ()) -> list[Repository]:
    """Read the repositories of a questions file, in its order.

    Args:
        checkouts: folder that holds each repository's checkout under its name.
        only: names to which the answer is limited; none means all.

    Raises:
        SystemExit: the file cannot be read or is not as described above, or a checkout is not there; the message names
            the place and what to change.
    """
    wanted = set(only)
    entries = _entries(file)
    known = [entry["name"] for entry in entries]
    if unknown := wanted - set(known):
        raise SystemExit(f"{file} has no repository {', '.join(sorted(unknown))}; it has {', '.join(known)}.")
    if not checkouts.is_dir():
        raise SystemExit(f"{checkouts} is not a folder; name one that holds a checkout of each repository.")
    found, missing = [], []
    for entry in entries:
        if wanted and entry["name"] not in wanted:
            continue
        root = entry.get("root", "").strip("/")
        directory = (checkouts / entry["name"] / root).resolve()
        if not directory.is_dir():
            missing.append(f"{directory} is not a folder; check out {entry.get('github', entry['name'])} there.")
        questions = tuple(
            Question(
                q["query"], tuple(map(_target, [*q["relevant"], *q["secondary"]])), q["category"], q.get("commit", "")
            )
            for q in entry["queries"]
        )
        revision = entry.get("revision", "")
        found.append(Repository(entry["name"], entry["language"], root, directory, questions, revision))
    if missing:
        raise SystemExit("\n".join([*missing, "`--only` takes the names of those that are there."]))
    return found


def _entries(file: Path) -> list[dict[str, Any]]:
    """Read the entries of a questions file, and check the form of each."""
    try:
        entries = json.loads(file.read_text("utf-8"))
    except OSError as error:
        raise SystemExit(
            f"The questions {file} cannot be read: {error.strerror}; name a file with `--questions`."
        ) from error
    except ValueError as error:
        raise SystemExit(f"The questions {file} are not JSON ({error}); correct the file.") from error
    if not isinstance(entries, list) or not entries:
        raise SystemExit(f"{file} holds no list of repositories; see the top of benchmarks/annotations.py.")
    names: set[str] = set()
    for number, entry in enumerate(entries):
        place = f"{file}, repository {number + 1}"
        _check(place, entry, {"name": str, "language": str, "queries": list})
        _check(place, {"root": "", **entry}, {"root": str})
        if entry["name"] in names:
            raise SystemExit(f"{place}: {entry['name']!r} was there before; give each repository one entry.")
        names.add(entry["name"])
        if not entry["queries"]:
            raise SystemExit(f"{place} ({entry['name']}): `queries` is empty; add one, or leave the repository out.")
        for count, query in enumerate(entry["queries"]):
            _check_query(f"{place} ({entry['name']}), query {count + 1}", query)
    return entries


def _check_query(place: str, query: Any) -> None:
    _check(place, query, {"query": str, "relevant": list, "secondary": list, "category": str})
    if not query["query"].strip() or not query["relevant"] + query["secondary"]:
        raise SystemExit(f"{place}: it asks for nothing; give `query` words and `relevant` a path.")
    for target in [*query["relevant"], *query["secondary"]]:
        if not isinstance(target, str):
            _check(f"{place}, target", target, {"path": str, "start_line": int, "end_line": int})


def _check(place: str, value: Any, wanted: Mapping[str, type]) -> None:
    """Check that `value` is an object that has these keys with values of these types."""
    if not isinstance(value, dict):
        raise SystemExit(f"{place}: {value!r} is no object; it needs {', '.join(map('`{}`'.format, wanted))}.")
    for key, kind in wanted.items():
        if key not in value:
            raise SystemExit(f"{place}: `{key}` is missing; it is {_KINDS[kind]}.")
        if not isinstance(value[key], kind):
            raise SystemExit(f"{place}: `{key}` is {value[key]!r}; it must be {_KINDS[kind]}.")


_KINDS: Mapping[type, str] = {str: "a string", list: "a list", int: "a number"}


def _target(raw: str | dict[str, Any]) -> Target:
    return Target(raw) if isinstance(raw, str) else Target(raw["path"], raw["start_line"], raw["end_line"])


Answers = Mapping[str, Sequence[Worth]]
"""By repository name, in the order of its questions."""


def overall(answers: Answers) -> Worth:
    """Return the mean of the repositories' means."""
    return mean_worth([mean_worth(rows) for rows in answers.values()])


def by_category(repositories: Sequence[Repository], answers: Answers) -> dict[str, Worth]:
    """Return the mean over all questions of each category."""
    rows: dict[str, list[Worth]] = {}
    for repository in repositories:
        for question, value in zip(repository.questions, answers[repository.name], strict=True):
            rows.setdefault(question.category, []).append(value)
    return {category: mean_worth(rows[category]) for category in sorted(rows)}


def by_language(repositories: Sequence[Repository], answers: Answers) -> dict[str, Worth]:
    """Return the mean of the means of each language's repositories."""
    rows: dict[str, list[Worth]] = {}
    for repository in repositories:
        rows.setdefault(repository.language, []).append(mean_worth(answers[repository.name]))
    return {language: mean_worth(rows[language]) for language in sorted(rows)}


def table(title: str, columns: Sequence[str], rows: Iterable[tuple[str, Sequence[float]]]) -> str:
    """Format figures as a plain table with three decimals."""
    widths = [max(7, len(column)) for column in columns]
    lines = [f"{title:<24}" + "".join(f"  {c:>{w}}" for c, w in zip(columns, widths, strict=True))]
    for name, values in rows:
        lines.append(f"{name:<24}" + "".join(f"  {v:>{w}.3f}" for v, w in zip(values, widths, strict=True)))
    return "\n".join(lines)
