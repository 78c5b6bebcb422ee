"""Compare two exported models, such as the shipped one and what `make model` has made of nothing.

    python -m training.compare A.npz B.npz [--split test] [--pool 1000]

Prints MRR@10 of both on held-back packages by language, their mean with its standard error, and the mean of the
differences question by question with its own; with `REGEND_CHECKOUTS` the search questions, too.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from regend.embedding.static import StaticEncoder
from training.dataset import Ints, load
from training.evaluate import SearchQuestions, best_files, ndcg, ranks, reciprocal, tasks
from training.report import texts_of


def gains(model: StaticEncoder, questions: list[str], documents: list[str], right: Ints) -> npt.NDArray[np.float64]:
    """Compute 1/rank of each question's document among all, 0 beyond ten."""
    scores = model.encode(questions, "query") @ model.encode(documents, "document").T
    return reciprocal(ranks(scores, right))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs=2, type=Path)
    parser.add_argument("--split", choices=("dev", "test"), default="test")
    parser.add_argument("--pool", type=int, default=1_000)
    options = parser.parse_args()
    models = [StaticEncoder(path.read_bytes()) for path in options.models]
    data = load()
    chosen = tasks(data, options.split, pool=options.pool)
    texts = texts_of(np.concatenate([task.rows for task in chosen]))
    rows = []
    for task in chosen:
        documents = [texts[row][1] for row in task.rows.tolist()]
        questions = [texts[row][0] for row in task.rows[task.asked].tolist()]
        first, second = (gains(model, questions, documents, task.asked) for model in models)
        rows.append([*_mean(first), *_mean(second), *_mean(second - first)])
        print(f"{task.language:12} {rows[-1][0]:.3f}  {rows[-1][2]:.3f}", flush=True)
    table = np.array(rows)
    for place, name in enumerate((*map(str, options.models), "second - first")):
        error = np.sqrt((table[:, 2 * place + 1] ** 2).sum()) / len(table)
        print(f"mean of {len(table)} languages, {name}: MRR@10 {table[:, 2 * place].mean():.3f} ± {error:.3f}")
    if folder := os.environ.get("REGEND_CHECKOUTS", ""):
        _search(models, SearchQuestions(Path(folder), data.vocabulary))


def _search(models: list[StaticEncoder], search: SearchQuestions) -> None:
    """Print NDCG@10 of vectors alone: the mean of repositories, and of the differences question by question."""
    means: list[list[float]] = []
    apart: list[float] = []
    for _, paths, chunks, queries in search.corpora:
        own = []
        for model in models:
            scores = (
                model.encode([str(query["query"]) for query in queries], "query") @ model.encode(chunks, "document").T
            )
            own.append([ndcg(best_files(row, paths), query) for row, query in zip(scores, queries, strict=True)])
        means.append([float(np.mean(values)) for values in own])
        apart += [second - first for first, second in zip(*own, strict=True)]
    first, second = np.mean(means, axis=0)
    mean, error = _mean(np.array(apart))
    print(f"search questions: NDCG@10 {first:.3f} and {second:.3f}; apart by {mean:.3f} ± {error:.3f} a question")


def _mean(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    return float(values.mean()), float(values.std() / np.sqrt(len(values)))


if __name__ == "__main__":
    main()
