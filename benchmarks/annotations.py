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
    """One question and every place that answers it, main ones first."""

    text: str
    targets: tuple[Target, ...]
    category: str


@dataclass(frozen=True, slots=True)
class Repository:
    """A checkout and its questions.

    Attributes:
        root: folder inside the checkout to which the index is limited, or empty.
        directory: what is indexed, an absolute path.
    """

    name: str
    language: str
    root: str
    directory: Path
    questions: tuple[Question, ...]

    def full_path(self, path: str) -> str:
        """A path relative to `directory` as one relative to the checkout."""
        return f"{self.root}/{path}" if self.root else path


def load(file: Path, checkouts: Path, only: Iterable[str] = ()) -> list[Repository]:
    """The repositories of a questions file, in its order.

    Args:
        checkouts: folder that holds each repository's checkout under its name.
        only: names to which the answer is limited; none means all.
    """
    wanted = set(only)
    entries = json.loads(file.read_text())
    unknown = wanted - {entry["name"] for entry in entries}
    if unknown:
        raise SystemExit(f"{file} has no repository {', '.join(sorted(unknown))}; it has {_names(entries)}.")
    found = []
    for entry in entries:
        if wanted and entry["name"] not in wanted:
            continue
        root = entry.get("root", "").strip("/")
        directory = (checkouts / entry["name"] / root).resolve()
        if not directory.is_dir():
            raise SystemExit(f"{directory} is not a folder; check out {entry.get('github', entry['name'])} there.")
        questions = tuple(
            Question(q["query"], tuple(map(_target, [*q["relevant"], *q["secondary"]])), q["category"])
            for q in entry["queries"]
        )
        found.append(Repository(entry["name"], entry["language"], root, directory, questions))
    return found


def _names(entries: list[dict[str, Any]]) -> str:
    return ", ".join(entry["name"] for entry in entries)


def _target(raw: str | dict[str, Any]) -> Target:
    return Target(raw) if isinstance(raw, str) else Target(raw["path"], raw["start_line"], raw["end_line"])


Answers = Mapping[str, Sequence[Worth]]
"""By repository name, in the order of its questions."""


def overall(answers: Answers) -> Worth:
    """The mean of the repositories' means."""
    return mean_worth([mean_worth(rows) for rows in answers.values()])


def by_category(repositories: Sequence[Repository], answers: Answers) -> dict[str, Worth]:
    """The mean over all questions of each category."""
    rows: dict[str, list[Worth]] = {}
    for repository in repositories:
        for question, value in zip(repository.questions, answers[repository.name], strict=True):
            rows.setdefault(question.category, []).append(value)
    return {category: mean_worth(rows[category]) for category in sorted(rows)}


def by_language(repositories: Sequence[Repository], answers: Answers) -> dict[str, Worth]:
    """The mean of the means of each language's repositories."""
    rows: dict[str, list[Worth]] = {}
    for repository in repositories:
        rows.setdefault(repository.language, []).append(mean_worth(answers[repository.name]))
    return {language: mean_worth(rows[language]) for language in sorted(rows)}


def table(title: str, columns: Sequence[str], rows: Iterable[tuple[str, Sequence[float]]]) -> str:
    """A plain table of figures with three decimals."""
    widths = [max(7, len(column)) for column in columns]
    lines = [f"{title:<24}" + "".join(f"  {c:>{w}}" for c, w in zip(columns, widths, strict=True))]
    for name, values in rows:
        lines.append(f"{name:<24}" + "".join(f"  {v:>{w}.3f}" for v, w in zip(values, widths, strict=True)))
    return "\n".join(lines)
