"""Measure the ranking: annotated questions asked of a real daemon over its socket, beside simple rankings.

The daemon's results are chunks and are counted as they come, as the published figures count them: each target at its
best rank, and a second chunk of the same file takes a place. The baselines give one result per file.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import semble
from benchmarks.annotations import Answers, Repository, by_category, by_language, load, overall, table
from benchmarks.baselines import IndexedChunk, bm25, matching_words, vectors_alone
from benchmarks.daemons import PrivateDaemon, machine, percentile, private_daemon
from benchmarks.definitions import Named, missed, sampled
from benchmarks.metrics import TOP, WHOLE_FILE, Found, Worth, best_rank, worth
from benchmarks.past import rankings
from regend.embedding.base import LocalEncoder
from regend.embedding.registry import local_encoder
from regend.embedding.static import built_in
from regend.limits import MAX_RESULTS
from regend.rpc.client import Client
from regend.store.base import Snapshot
from regend.store.store import open_store

MODES = ("daemon", "past", "bm25", "vectors", "words", *semble.MODES)
_COLUMNS = ("NDCG@10", "MRR", "recall")
_ROUNDS = 3
"""Each question is asked so often; the first round warms up and is not timed."""


@dataclass(slots=True)
class Report:
    """Results of one measurement.

    Attributes:
        answers: by mode, then repository.
        latencies_ms: of warm queries over the socket, in the order of asking.
        skipped: sentences on what was left out.
        budget_tokens: what an answer for an agent may take, or 0 where that was not asked.
        within_budget: for each question whether such an answer held a right place.
        names_asked: exact unique names that were asked for.
        names_missed: those whose definition was not the first result.
    """

    repositories: list[Repository]
    answers: dict[str, dict[str, list[Worth]]] = field(default_factory=dict)
    latencies_ms: list[float] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    budget_tokens: int = 0
    within_budget: list[bool] = field(default_factory=list)
    names_asked: int = 0
    names_missed: list[Named] = field(default_factory=list)

    def note(self, mode: str, repository: Repository, rankings: Sequence[Sequence[Found]]) -> None:
        """Judge one mode's rankings of a repository's questions, paths relative to the indexed directory."""
        judged = []
        for question, ranking in zip(repository.questions, rankings, strict=True):
            full = [found._replace(path=repository.full_path(found.path)) for found in ranking]
            judged.append(worth(full, question.targets))
        self.answers.setdefault(mode, {})[repository.name] = judged


def run(
    file: Path,
    checkouts: Path,
    only: Sequence[str] = (),
    modes: Sequence[str] = MODES,
    rewrite: Callable[[str], str] = str,
    state_dir: Path | None = None,
    name_count: int = 0,
    budget_tokens: int = 0,
    mirrors: Path | None = None,
) -> Report:
    """Measure `modes` on the questions of `file`.

    Args:
        rewrite: changes each question before it is asked, such as a misspelling.
        state_dir: where the daemon keeps its index between runs; None indexes afresh and leaves nothing behind.
        budget_tokens: ask each question once more for an answer of at most so many tokens; 0 does not.
        name_count: so many exact unique names are asked for, too.
        mirrors: the repositories with their histories, for the mode ``past``, see `benchmarks.past`.
    """
    report = Report(load(file, checkouts, only), budget_tokens=budget_tokens)
    encoder = local_encoder()
    with private_daemon() as daemon:
        if state_dir is not None:
            daemon.state_dir = state_dir.resolve()
        daemon.start(*(repository.directory for repository in report.repositories))
        daemon.flush()
        if "daemon" in modes:
            for repository in report.repositories:
                ask(daemon, repository, report, rewrite)
                if budget_tokens:
                    ask_within_budget(daemon, repository, report, rewrite)
        daemon.stop()
        if name_count:
            with opened(daemon.state_dir, encoder) as snapshot:
                asked = sampled(snapshot, report.repositories, name_count)
            daemon.start()
            daemon.flush()
            report.names_asked, report.names_missed = len(asked), missed(daemon, asked)
            daemon.stop()
        if "past" in modes and mirrors is None:
            report.skipped.append("past: name the repositories with their histories by --mirrors DIR.")
        elif "past" in modes and mirrors is not None:
            with opened(daemon.state_dir, encoder) as snapshot:
                for repository in report.repositories:
                    report.note("past", repository, rankings(snapshot, repository, mirrors, built_in(), rewrite))
        if {"bm25", "vectors", "words"} & set(modes):
            with opened(daemon.state_dir, encoder) as snapshot:
                for repository in report.repositories:
                    baselines(snapshot, repository, report, modes, encoder, rewrite)
    if reason := semble.missing() if set(semble.MODES) & set(modes) else "":
        report.skipped.append(reason)
    elif set(semble.MODES) & set(modes):
        for repository in report.repositories:
            index = semble.SembleIndex(repository.directory, encoder)
            for mode in semble.MODES:
                if mode in modes:
                    report.note(mode, repository, [index.search(rewrite(q.text), mode) for q in repository.questions])
    return report


def ask(daemon: PrivateDaemon, repository: Repository, report: Report, rewrite: Callable[[str], str]) -> None:
    """Ask the daemon each question of a repository, over one connection."""
    rankings = []
    with Client(daemon.socket) as client:
        for turn in range(_ROUNDS):
            rankings = []
            for question in repository.questions:
                began_at = time.perf_counter()
                # Another number of results each time, because the daemon remembers what it was asked.
                asked = {"query": rewrite(question.text), "root": str(repository.directory), "k": TOP + turn}
                answer = client.call("search", **asked)
                if turn:
                    report.latencies_ms.append((time.perf_counter() - began_at) * 1e3)
                rankings.append([Found(r["path"], r["start_line"], r["end_line"]) for r in answer["results"][:TOP]])
    report.note("daemon", repository, rankings)


def ask_within_budget(
    daemon: PrivateDaemon, repository: Repository, report: Report, rewrite: Callable[[str], str]
) -> None:
    """Ask the daemon each question for an answer of `Report.budget_tokens`, and look for a right place in it."""
    with Client(daemon.socket) as client:
        for question in repository.questions:
            asked = {"query": rewrite(question.text), "root": str(repository.directory), "k": MAX_RESULTS}
            answer = client.call("search", **asked, budget=report.budget_tokens)
            found = [Found(repository.full_path(r["path"]), r["start_line"], r["end_line"]) for r in answer["results"]]
            report.within_budget.append(any(best_rank(found, target) for target in question.targets))


@contextmanager
def opened(state_dir: Path, encoder: LocalEncoder) -> Iterator[Snapshot]:
    """Open the index that a stopped daemon left, for reading."""
    store = open_store(state_dir, encoder.info)
    try:
        yield store.reads.snapshot
    finally:
        store.close()


def chunks_of(snapshot: Snapshot, directory: Path) -> list[IndexedChunk]:
    """List every chunk of a root, by path and line."""
    root = next(record for record in snapshot.roots.values() if record.path == str(directory))
    found = []
    for entry in sorted(snapshot.pools[root.pool].entries.values(), key=lambda entry: entry.path):
        first, step = entry.entry_id << 16, 64
        while views := snapshot.chunks(range(first, first + step)):
            found += [IndexedChunk(entry.path, view.symbol, view.text) for view in views]
            first += step
    return found


def baselines(
    snapshot: Snapshot,
    repository: Repository,
    report: Report,
    modes: Sequence[str],
    encoder: LocalEncoder,
    rewrite: Callable[[str], str],
) -> None:
    """Add the simple rankings of a repository's questions over the daemon's own chunks."""
    chunks = chunks_of(snapshot, repository.directory)
    queries = [rewrite(question.text) for question in repository.questions]
    if "bm25" in modes:
        report.note("bm25", repository, _files(bm25(chunks, queries)))
    if "vectors" in modes:
        report.note("vectors", repository, _files(vectors_alone(encoder, chunks, queries)))
    if "words" in modes:
        report.note("words", repository, _files(matching_words(chunks, queries)))


def _files(rankings: Sequence[Sequence[str]]) -> list[list[Found]]:
    return [[Found(path, 1, WHOLE_FILE) for path in ranking] for ranking in rankings]


def page(report: Report) -> str:
    """Format the report as tables for a person."""
    modes = list(report.answers)
    parts = [table("mean of repositories", _COLUMNS, [(m, overall(report.answers[m])) for m in modes])]
    for title, group in (("category", by_category), ("language", by_language)):
        grouped = {mode: group(report.repositories, report.answers[mode]) for mode in modes}
        names = list(next(iter(grouped.values()), {}))
        parts.append(table(f"NDCG@10 by {title}", modes, [(n, [grouped[m][n].ndcg for m in modes]) for n in names]))
    one = [(r.name, [overall({r.name: report.answers[m][r.name]}).ndcg for m in modes]) for r in report.repositories]
    parts.append(table("NDCG@10 by repository", modes, one))
    if report.latencies_ms:
        shown = ", ".join(f"{name} {value:.2f} ms" for name, value in latency(report.latencies_ms).items())
        parts.append(f"warm queries over the socket ({len(report.latencies_ms)}): {shown}")
    if report.within_budget:
        share = sum(report.within_budget) / len(report.within_budget)
        parts.append(f"a right place within {report.budget_tokens} tokens: {share:.1%} of the questions")
    if report.names_asked:
        right = report.names_asked - len(report.names_missed)
        parts.append(
            f"exact unique names: definition first for {right} of {report.names_asked} "
            f"({right / report.names_asked:.1%})"
            + "".join(f"\n  missed {m.name} in {m.path}:{m.line}" for m in report.names_missed[:20])
        )
    return "\n\n".join([*parts, *report.skipped])


def latency(values: list[float]) -> dict[str, float]:
    """Compute percentiles in milliseconds."""
    return {f"p{share}": round(percentile(values, share / 100), 3) for share in (50, 95, 99)}


def as_json(report: Report) -> dict[str, Any]:
    """Return everything in the report, with each question's figures."""

    def figures(answers: Answers) -> dict[str, Any]:
        return {
            "overall": overall(answers)._asdict(),
            "by_category": {k: v._asdict() for k, v in by_category(report.repositories, answers).items()},
            "by_language": {k: v._asdict() for k, v in by_language(report.repositories, answers).items()},
            "by_repository": {name: overall({name: rows})._asdict() for name, rows in answers.items()},
            "questions": [
                {"repository": r.name, "query": q.text, "category": q.category, **value._asdict()}
                for r in report.repositories
                for q, value in zip(r.questions, answers[r.name], strict=True)
            ],
        }

    return {
        "machine": machine(),
        "latency_ms": latency(report.latencies_ms) if report.latencies_ms else None,
        "skipped": report.skipped,
        "budget": {"tokens": report.budget_tokens, "answered": sum(report.within_budget)},
        "names": {"asked": report.names_asked, "missed": [named._asdict() for named in report.names_missed]},
        "modes": {mode: figures(answers) for mode, answers in report.answers.items()},
    }


def write(report: Report, out: Path | None) -> None:
    """Print the tables; write the JSON where asked."""
    print(page(report))
    if out is not None:
        out.write_text(json.dumps(as_json(report), indent=1))
        print(f"\nwritten to {out}")
