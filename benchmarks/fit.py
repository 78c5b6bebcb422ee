"""`python -m benchmarks fit`: fit the ranking's weights to annotated questions, and say what they are worth.

The candidates are those of the engine itself, with the feature values that `--explain` shows. Every figure comes twice:
as fitted on all questions, and with each repository left out of the fit that it is judged by. The latter counts.

Questions are asked of the folders that they were annotated for, and of whole checkouts, where tests, documentation and
other packages compete with the answer. Weights fitted to bare source folders alone were 0.007 worse on the latter.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.annotations import Repository, by_category, by_language, load, overall, table
from benchmarks.daemons import machine, private_daemon
from benchmarks.fitting import Asked, Vector, by_repository, fit, judged, left_out, without
from benchmarks.metrics import Found, Worth
from benchmarks.retrieval import opened
from regend.embedding.base import LocalEncoder
from regend.embedding.registry import local_encoder
from regend.search.engine import Engine
from regend.search.options import SearchOptions
from regend.search.query.parse import parse_query
from regend.search.ranking import weights as table_module
from regend.search.ranking.features import FEATURES
from regend.store.base import Snapshot

HELD = frozenset(
    ("rare_word", "whole_definition", "named_path", "named_line", "exact_phrase", "same_file_again", "symbol_words",
     "verbatim_name", "best_of_file")
)  # fmt: skip
"""Weights that these questions cannot settle: some are promises (a name finds its definition), some are about queries
that no question has (paths, quotes), some choose among the chunks of one file, while the answers here are files."""
PRIOR = 0.3
"""Every fitted weight is drawn towards this. It was never fitted, so that it knows nothing of what is left out."""
STRENGTH = 0.01
STRENGTHS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0)
"""Strengths of the vectors that a sweep tries."""
CANDIDATES = 40
"""Results asked of the engine for each question. It hydrates ten more."""
_NAMES = tuple(feature.name for feature in FEATURES)
FITTED = tuple(name for name in _NAMES if name not in HELD)


@dataclass(frozen=True, slots=True)
class Collection:
    """Questions with their candidates, over one way of indexing the repositories."""

    title: str
    repositories: tuple[Repository, ...]
    asked: tuple[Asked, ...]


def collect(
    snapshot: Snapshot,
    repositories: Sequence[Repository],
    encoder: LocalEncoder,
    model_strength: float = table_module.MODEL_STRENGTH,
) -> list[Asked]:
    """Ask the engine each question and keep its candidates' feature values."""
    engine = Engine(lambda text: np.asarray(encoder.encode([text], "query")[0]), model_strength)
    columns = [_NAMES.index(name) for name in FITTED]
    held = np.array([0.0 if f.name not in HELD or f.scope == "order" else f.weight for f in FEATURES])
    asked = []
    for repository in repositories:
        for question in repository.questions:
            options = SearchOptions(
                parse_query(question.text), root=str(repository.directory), explain=True, k=CANDIDATES
            )
            results = engine.search(snapshot, options).results
            values = np.array([[share.value for share in r.explain] for r in results]).reshape(
                len(results), len(_NAMES)
            )
            found = tuple(Found(repository.full_path(r.path), r.start_line, r.end_line) for r in results)
            asked.append(Asked(repository, question, found, values[:, columns], values @ held))
    return asked


class Bench:
    """The questions' repositories, indexed both ways; what is indexed stays in `state_dir`.

    Args:
        stack: closes the two stores that are opened here.
    """

    def __init__(self, file: Path, checkouts: Path, state_dir: Path, only: Sequence[str], stack: ExitStack) -> None:
        self.encoder = local_encoder()
        repositories = load(file, checkouts, only)
        whole = [replace(r, root="", directory=(checkouts / r.name).resolve()) for r in repositories]
        self.parts: list[tuple[str, list[Repository], Snapshot]] = []
        for title, those in (("folders", repositories), ("checkouts", whole)):
            place = (state_dir / title).resolve()
            with private_daemon() as daemon:
                daemon.state_dir = place
                daemon.start(*(repository.directory for repository in those))
                daemon.flush()
                daemon.stop()
            self.parts.append((title, those, stack.enter_context(opened(place, self.encoder))))

    def collections(self, model_strength: float = table_module.MODEL_STRENGTH) -> list[Collection]:
        """Ask all questions."""
        return [
            Collection(title, tuple(those), tuple(collect(snapshot, those, self.encoder, model_strength)))
            for title, those, snapshot in self.parts
        ]


@dataclass(frozen=True, slots=True)
class Fitted:
    """The outcome of one fit.

    Attributes:
        fitted, crossed: by collection, what each question's ranking is worth, with weights that saw its repository and
            with weights that did not.
    """

    weights: Vector
    fitted: tuple[list[Worth], ...]
    crossed: tuple[list[Worth], ...]


def fitted(found: Sequence[Collection], strength: float = STRENGTH, drop: int | None = None) -> Fitted:
    """Fit to all collections together, with and without each repository.

    Args:
        drop: a fitted feature to leave out, by its number.
    """
    asked = [one for collection in found for one in collection.asked]
    prior = np.full(len(FITTED), PRIOR)
    if drop is not None:
        asked, prior = without(asked, drop), prior[1:]
    charge = table_module.WEIGHTS["same_file_again"]
    weights = fit(asked, prior, strength)
    return Fitted(
        weights,
        _split(found, judged(asked, weights, charge)),
        _split(found, left_out(asked, prior, strength, charge)),
    )


def _split(found: Sequence[Collection], results: Sequence[Worth]) -> tuple[list[Worth], ...]:
    parts = []
    at = 0
    for collection in found:
        parts.append(list(results[at : at + len(collection.asked)]))
        at += len(collection.asked)
    return tuple(parts)


def page(found: Sequence[Collection], outcome: Fitted) -> str:
    """Format the figures of one fit as tables."""
    parts = []
    for collection, as_fitted, crossed in zip(found, outcome.fitted, outcome.crossed, strict=True):
        both = [by_repository(collection.asked, results) for results in (as_fitted, crossed)]
        rows = [("mean of repositories", [overall(answers).ndcg for answers in both])]
        for group in (by_category, by_language):
            one, other = (group(collection.repositories, answers) for answers in both)
            rows += [(name, [one[name].ndcg, other[name].ndcg]) for name in one]
        parts.append(table(collection.title, ("fitted", "left out"), rows))
    return "\n\n".join(parts)


def ablation(found: Sequence[Collection], outcome: Fitted) -> str:
    """Tabulate NDCG@10 of left-out repositories without each fitted feature."""
    titles = [collection.title for collection in found]
    whole = [_crossed(c, r) for c, r in zip(found, outcome.crossed, strict=True)]
    rows = [("all features", [0.0, *whole])]
    for number, name in enumerate(FITTED):
        lacking = fitted(found, drop=number)
        figures = [_crossed(c, r) for c, r in zip(found, lacking.crossed, strict=True)]
        rows.append((f"without {name}", [outcome.weights[number], *figures]))
    return table("left out", ["weight", *titles], rows)


def _crossed(collection: Collection, results: Sequence[Worth]) -> float:
    return overall(by_repository(collection.asked, list(results))).ndcg


def sweep(bench: Bench) -> str:
    """Tabulate NDCG@10 of left-out repositories with the vectors weighing less and more."""
    rows = []
    for strength in STRENGTHS:
        found = bench.collections(strength)
        outcome = fitted(found)
        rows.append((f"{strength:g}", [_crossed(c, r) for c, r in zip(found, outcome.crossed, strict=True)]))
    return table("model strength", [title for title, *_ in bench.parts], rows)


def rewritten(source: str, weights: Vector) -> str:
    """Put new fitted weights into the source of `regend/search/ranking/weights.py`; everything else stays as it is."""
    lines = source.splitlines(keepends=True)
    new = dict(zip(FITTED, weights, strict=True))
    for number, line in enumerate(lines):
        name = line.strip().split('"')[1] if line.startswith('    "') else ""
        if name in new:
            lines[number] = f'    "{name}": {new[name]:.3g},\n'
    return "".join(lines)


def run(
    file: Path,
    checkouts: Path,
    state_dir: Path,
    only: Sequence[str] = (),
    *,
    ablate: bool = False,
    sweep_strength: bool = False,
    write: bool = False,
) -> None:
    """Fit, print the figures, and put the weights into the package where asked."""
    with ExitStack() as stack:
        bench = Bench(file, checkouts, state_dir, only, stack)
        print(f"{machine()}, model {bench.encoder.info.model_id}\n")
        found = bench.collections()
        outcome = fitted(found)
        print(page(found, outcome))
        print(
            "\n" + "\n".join(f"{name:<24}{weight:8.3f}" for name, weight in zip(FITTED, outcome.weights, strict=True))
        )
        if ablate:
            print("\n" + ablation(found, outcome))
        if sweep_strength:
            print("\n" + sweep(bench))
    if write:
        place = Path(table_module.__file__)
        place.write_text(rewritten(place.read_text(), outcome.weights))
        print(f"\nwritten to {place}")
