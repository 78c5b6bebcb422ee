"""Questions asked as if their commits had not been made yet: the ranking knows the history before, and nothing later.

The trees that are indexed have no history of their own, so the daemon ranks without one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np

from benchmarks.annotations import Repository
from benchmarks.corpus.mirrors import Mirror, commits_of, mirrors_in
from benchmarks.metrics import TOP, Found
from regend.embedding.static import StaticEncoder
from regend.search.engine import Engine
from regend.search.options import SearchOptions
from regend.search.query.parse import parse_query
from regend.search.ranking.history import History
from regend.store.base import Snapshot
from regend.types import Change


def rankings(
    snapshot: Snapshot, repository: Repository, mirrors: Path, encoder: StaticEncoder, rewrite: Callable[[str], str]
) -> list[list[Found]]:
    """Ask a repository's questions; return the first results of each, by paths relative to the indexed directory.

    Raises:
        SystemExit: the repository is not among the mirrors, or lacks a question's commit.
    """
    before = _histories(repository, mirrors)
    found = []
    for question in repository.questions:
        history = before(question.commit)
        engine = Engine(
            lambda text: np.asarray(encoder.encode([text], "query")[0]), knows=encoder.knows,
            importance=encoder.importance, history_of=lambda _, history=history: history,
        )  # fmt: skip
        options = SearchOptions(parse_query(rewrite(question.text)), root=str(repository.directory), k=TOP)
        results = engine.search(snapshot, options).results
        found.append([Found(result.path, result.start_line, result.end_line) for result in results])
    return found


def _histories(repository: Repository, folder: Path) -> Callable[[str], History]:
    """Return what gives the history before a commit; without one, all of it."""
    mirror: Mirror | None = next((one for one in mirrors_in(folder) if one.name == repository.name), None)
    if mirror is None:
        raise SystemExit(f"{folder} lacks {repository.name}; fetch it with its history there.")
    commits = commits_of(mirror, repository.revision)
    folder_name = f"{repository.root}/" if repository.root else ""
    changes = [
        Change(
            commit.subject,
            tuple(
                path.removeprefix(folder_name)
                for path in (*commit.changed, *commit.removed)
                if path.startswith(folder_name)
            ),
        )
        for commit in commits
    ]
    place = {commit.object_id: number for number, commit in enumerate(commits)}

    @lru_cache(maxsize=2)
    def before(commit: str) -> History:
        if commit and commit not in place:
            raise SystemExit(f"{repository.name} lacks commit {commit}; make the questions again.")
        return History(changes[place[commit] + 1 :] if commit else changes)

    return before
