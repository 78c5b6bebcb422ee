"""`python -m benchmarks fit`: fit the ranking's weights to questions, and judge them on other repositories.

The candidates are those of the engine's first look, with the feature values that `--explain` shows. Weights are fitted
to one part of the corpus and judged by another, which no weight has seen; features and settings are chosen by the
latter. Nothing is chosen by the third part.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmarks.annotations import Answers, Repository, by_category, by_language, load, overall, table
from benchmarks.boosting import learn
from benchmarks.daemons import machine, private_daemon
from benchmarks.fitting import Asked, Vector, by_repository, fit, judged, without
from benchmarks.metrics import Found
from benchmarks.retrieval import opened
from regend.embedding.static import StaticEncoder, built_in
from regend.search.engine import Engine
from regend.search.options import SearchOptions
from regend.search.query.parse import parse_query
from regend.search.ranking import weights as table_module
from regend.search.ranking.features import FEATURES
from regend.search.ranking.pairs import FILE as PAIRS
from regend.store.base import Snapshot

HELD = frozenset(
    ("rare_word", "whole_definition", "named_path", "named_line", "exact_phrase", "pairs", "same_file_again",
     "worse_in_file", "best_of_file", "chunk_meaning", "chunk_words", "chunk_symbol", "chunk_together", "asked_data",
     "asked_document", "asked_topic", "asked_test", "asked_use",
     "unasked_translation", "unasked_vendor", "unasked_generated", "unasked_migration",
     "history")
)  # fmt: skip
"""Weights that these questions cannot settle: some are promises (a name finds its definition), some are about queries
that no question has (paths, quotes), some choose among the chunks of one file, while most answers here are files."""
STRENGTH = 0.001
TOTAL = 4.5
"""Sum of the fitted weights in use: the promises' weights are made to exceed it."""
_NAMES = tuple(feature.name for feature in FEATURES)
FITTED = tuple(name for name in _NAMES if name not in HELD)


def collect(snapshot: Snapshot, repositories: Sequence[Repository], encoder: StaticEncoder) -> list[Asked]:
    """Ask the engine each question and keep its candidates' feature values."""
    engine = Engine(
        lambda text: np.asarray(encoder.encode([text], "query")[0]), knows=encoder.knows, importance=encoder.importance
    )
    columns = [_NAMES.index(name) for name in FITTED]
    held = np.array(
        [0.0 if f.name not in HELD or f.name == "pairs" or f.scope == "order" else f.weight for f in FEATURES]
    )
    asked = []
    for repository in repositories:
        for question in repository.questions:
            options = SearchOptions(parse_query(question.text), root=str(repository.directory))
            context, rows = engine.candidates(snapshot, options)
            values = np.array([[f.value(row.candidate, context) for f in FEATURES] for row in rows])
            values = values.reshape(len(rows), len(FEATURES))
            found = tuple(
                Found(repository.full_path(row.candidate.entry.path), row.view.start_line, row.view.end_line)
                for row in rows
            )
            asked.append(Asked(repository, question, found, values[:, columns], values @ held))
    return asked


def indexed(file: Path, checkouts: Path, state_dir: Path, only: Sequence[str]) -> list[Asked]:
    """Index the repositories of a questions file, and ask its questions.

    Args:
        state_dir: what is indexed stays below it, under the file's name.
    """
    encoder = built_in()
    repositories = load(file, checkouts, only)
    place = (state_dir / file.stem).resolve()
    with private_daemon() as daemon:
        daemon.state_dir = place
        daemon.start(*(repository.directory for repository in repositories))
        daemon.flush()
        daemon.stop()
    with opened(place, encoder) as snapshot:
        return collect(snapshot, repositories, encoder)


def answers_of(asked: Sequence[Asked], weights: Vector) -> Answers:
    """Judge the ranking by `weights`, by repository."""
    charges = (table_module.WEIGHTS[name] for name in ("same_file_again", "worse_in_file"))
    return by_repository(asked, judged(asked, weights, *charges))


def page(parts: Mapping[str, Sequence[Asked]], weights: Vector) -> str:
    """Tabulate what the weights are worth on each part, by kind of question and by language."""
    tables = []
    for title, asked in parts.items():
        answers = answers_of(asked, weights)
        repositories = list({one.repository.name: one.repository for one in asked}.values())
        rows = [("mean of repositories", overall(answers))]
        rows += [*by_category(repositories, answers).items(), *by_language(repositories, answers).items()]
        tables.append(table(title, ("NDCG@10", "MRR", "recall"), rows))
    return "\n\n".join(tables)


def ablation(learnt: Sequence[Asked], judging: Sequence[Asked], weights: Vector, strength: float = STRENGTH) -> str:
    """Tabulate what each fitted feature earns: the loss without it, and the standard error over repositories."""
    whole = answers_of(judging, weights)
    rows = []
    for number, name in enumerate(FITTED):
        lacking = answers_of(without(judging, number), used(fit(without(learnt, number), strength)))
        earned = [overall({r: whole[r]}).ndcg - overall({r: lacking[r]}).ndcg for r in whole]
        rows.append((name, [weights[number], float(np.mean(earned)), float(np.std(earned) / np.sqrt(len(earned)))]))
    return table("without", ("weight", "earns", "error"), rows)


def used(weights: Vector) -> Vector:
    """Bring fitted weights to the scale in use: an order stays the same, whatever they sum to."""
    return weights * (TOTAL / (float(weights.sum()) or 1.0))


def rewritten(source: str, weights: Vector) -> str:
    """Put new fitted weights into the source of `regend/search/ranking/weights.py`; everything else stays as it is."""
    lines = source.splitlines(keepends=True)
    new = dict(zip(FITTED, weights, strict=True))
    for number, line in enumerate(lines):
        name = line.strip().split('"')[1] if line.startswith('    "') else ""
        if name in new:
            lines[number] = f'    "{name}": {max(new[name], 0.001):.3g},\n'
    return "".join(lines)


def run(
    questions: Path,
    judge: Path,
    checkouts: Path,
    state_dir: Path,
    only: Sequence[str] = (),
    *,
    ablate: bool = False,
    write: bool = False,
) -> None:
    """Fit the weights, print the figures, and put the weights into the package where asked."""
    print(f"{machine()}, model {built_in().info.model_id}\n")
    learnt = indexed(questions, checkouts, state_dir, only)
    judging = indexed(judge, checkouts, state_dir, only)
    weights = used(fit(learnt, STRENGTH))
    print(page({questions.stem: learnt, judge.stem: judging}, weights))
    print("\n" + "\n".join(f"{name:<24}{weight:8.3f}" for name, weight in zip(FITTED, weights, strict=True)))
    if ablate:
        print("\n" + ablation(learnt, judging, weights))
    if write:
        place = Path(table_module.__file__)
        place.write_text(rewritten(place.read_text(), weights))
        print(f"\nwritten to {place}")


def run_pairs(
    questions: Path, judge: Path, checkouts: Path, state_dir: Path, only: Sequence[str] = (), *, write: bool = False
) -> None:
    """Learn the trees on top of the package's weights, print the figures, and put them into the package where asked."""
    print(f"{machine()}, model {built_in().info.model_id}\n")
    weights = np.array([table_module.WEIGHTS[name] for name in FITTED])
    trees = learn(indexed(questions, checkouts, state_dir, only), weights, FITTED)
    if write:
        place = Path(table_module.__file__).with_name(PAIRS)
        place.write_text(trees.dumped())
        print(f"written to {place}\n")
    judging = indexed(judge, checkouts, state_dir, only)
    with_trees = [replace(one, held=one.held + trees.values(one.values)) for one in judging]
    print(page({judge.stem: judging}, weights))
    print("\n" + page({f"{judge.stem} with pairs": with_trees}, weights))
