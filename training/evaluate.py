"""How good a model is: on held-back packages, and on the development questions of the search evaluation."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from regend.chunking.chunker import chunk_content
from regend.chunking.detection import detect_language
from regend.config import LimitConfig
from regend.embedding.code_words import blocks
from regend.embedding.vocabulary import Vocabulary
from regend.types import UNSURE, embedded_text
from training.batches import bags, damped, keyed, merged
from training.dataset import SPLITS, Data, Ints
from training.held_out import EVAL
from training.model import Bags, WordBagModel, encode_all

_POOL = 3_000
_QUERIES = 300


@dataclass(frozen=True, slots=True)
class Task:
    """Find a record by its doc's first sentence among the records of its language.

    Attributes:
        rows: records in the pool, int64 [n].
        asked: which of `rows` are asked for.
    """

    language: str
    rows: Ints
    asked: Ints


def tasks(data: Data, split: str, queries: int = _QUERIES, pool: int = _POOL, seed: int = 5) -> list[Task]:
    """Make one task for each language that has at least a hundred documented functions or types in the split."""
    random = np.random.default_rng(seed)
    wanted = [data.names["kind"].index(kind) for kind in ("function", "type")]
    result = []
    for number, language in enumerate(data.names["language"]):
        mine = (data.split == SPLITS.index(split)) & (data.language == number) & np.isin(data.kind, wanted)
        rows = np.flatnonzero(mine)
        rows = rows[np.diff(data.fields["body"].start)[rows] >= 8]
        words = np.diff(data.fields["sentence"].start)[rows]
        # Each doc asks once: a sentence that stands at several places has no single answer.
        _, first = np.unique(data.same[0][rows], return_index=True)
        fit = np.zeros(len(rows), np.bool_)
        fit[first] = True
        fit &= (words >= 4) & (
            np.bincount(np.unique(data.same[0][rows], return_inverse=True)[1])[
                np.unique(data.same[0][rows], return_inverse=True)[1]
            ]
            == 1
        )
        if fit.sum() < 100:
            continue
        asked = random.permutation(rows[fit])[:queries]
        others = random.permutation(np.setdiff1d(rows, asked))[: max(0, pool - len(asked))]
        chosen = np.sort(np.concatenate([asked, others]))
        result.append(Task(language, chosen, np.searchsorted(chosen, np.sort(asked))))
    return result


def task_bags(data: Data, task: Task) -> tuple[Bags, Bags]:
    """Return (questions, documents) of a task; documents are qualified name and body, without the doc."""
    every = np.arange(len(task.rows))
    keys, counts = merged(
        [keyed(data.fields["body"], task.rows, every), keyed(data.fields["symbol"], task.rows, every)]
    )
    rows = task.rows[task.asked]
    questions = merged([keyed(data.fields["sentence"], rows, np.arange(len(rows)))])
    return bags(*questions, len(rows)), bags(keys, counts, len(task.rows))


def ranks(scores: npt.NDArray[np.float32], right: Ints) -> Ints:
    """Rank from 1 of the right document of each question; those that tie with it stand before it."""
    own = scores[np.arange(len(right)), right]
    return np.asarray((scores >= own[:, None]).sum(axis=1))


def reciprocal(found: Ints, cut: int = 10) -> npt.NDArray[np.float64]:
    """Compute 1/rank, 0 beyond the cut."""
    return np.where(found <= cut, 1.0 / found, 0.0)


class Judge:
    """Figures of a model while it is trained: the development packages, and the search questions where checkouts are.

    The checkouts are looked for in the folder that `REGEND_CHECKOUTS` names.
    """

    def __init__(self, data: Data) -> None:
        self._tasks = [(task, *task_bags(data, task)) for task in tasks(data, "dev", pool=2_000)]
        folder = os.environ.get("REGEND_CHECKOUTS", "")
        self._search = SearchQuestions(Path(folder), data.vocabulary) if folder else None

    def figures(self, model: WordBagModel) -> dict[str, float]:
        """Compute ``dev``, the mean of the languages' MRR@10, and ``search``, the NDCG@10 of vectors alone."""
        found = {"dev": float(np.mean(list(self.by_language(model).values())))}
        if self._search is not None:
            found |= self._search.figures(model)
        return found

    def by_language(self, model: WordBagModel) -> dict[str, float]:
        """Compute MRR@10 on the development packages."""
        result = {}
        for task, questions, documents in self._tasks:
            scores = encode_all(model, questions, "query") @ encode_all(model, documents, "document").T
            result[task.language] = float(reciprocal(ranks(scores, task.asked)).mean())
        return result


class SearchQuestions:
    """The development questions of the search evaluation, over the chunks that the index would hold."""

    def __init__(self, checkouts: Path, vocabulary: Vocabulary) -> None:
        self._checkouts = checkouts
        self._vocabulary = vocabulary
        self._entries = json.loads((EVAL / "search-dev.json").read_text())

    @cached_property
    def corpora(self) -> list[tuple[str, list[str], list[str], list[dict[str, object]]]]:
        """(name, path of each chunk, text of each chunk, questions)."""
        result = []
        for entry in self._entries:
            root = self._checkouts / entry["name"]
            paths, texts = [], []
            for file in sorted((root / entry["root"]).rglob("*")):
                name = file.relative_to(root).as_posix()
                if not file.is_file() or file.is_symlink() or "/.git/" in f"/{name}":
                    continue
                content = file.read_bytes()
                language = detect_language(name, content)
                for chunk in chunk_content(content, language, UNSURE, LimitConfig()).chunks:
                    paths.append(name)
                    texts.append(embedded_text(chunk.symbol, chunk.text, chunk.outline))
            result.append((entry["name"], paths, texts, entry["queries"]))
        return result

    @cached_property
    def _bagged(self) -> list[tuple[str, list[str], Bags, Bags, list[dict[str, object]]]]:
        return [
            (
                name,
                paths,
                text_bags(self._vocabulary, texts),
                text_bags(self._vocabulary, [str(q["query"]) for q in queries]),
                queries,
            )
            for name, paths, texts, queries in self.corpora
        ]

    def figures(self, model: WordBagModel) -> dict[str, float]:
        """Compute the mean over repositories, and over the questions of each category."""
        repositories, categories = [], {}
        for _name, paths, documents, asked, queries in self._bagged:
            scores = encode_all(model, asked, "query") @ encode_all(model, documents, "document").T
            own = [ndcg(best_files(row, paths), query) for row, query in zip(scores, queries, strict=True)]
            repositories.append(float(np.mean(own)))
            for value, query in zip(own, queries, strict=True):
                categories.setdefault(str(query["category"]), []).append(value)
        return {"search": float(np.mean(repositories))} | {n: float(np.mean(v)) for n, v in sorted(categories.items())}


def text_bags(vocabulary: Vocabulary, texts: list[str]) -> Bags:
    """Turn texts into bags as the encoder sees them."""
    starts, ids, counts = [np.zeros(1, np.int64)], [], []
    total = 0
    for _, block in blocks(texts):
        bag = vocabulary.bag(block)
        starts.append(bag.start[1:] + total)
        total += len(bag.ids)
        ids.append(bag.ids)
        counts.append(bag.counts)
    return Bags(np.concatenate(starts), np.concatenate(ids), damped(np.concatenate(counts)))


def best_files(scores: npt.NDArray[np.float32], paths: list[str], count: int = 10) -> list[str]:
    """List the files of the best chunks, each once."""
    found: dict[str, None] = {}
    for place in np.argsort(-scores, kind="stable"):
        found[paths[place]] = None
        if len(found) == count:
            break
    return list(found)


def ndcg(files: list[str], query: dict[str, object]) -> float:
    """Compute binary NDCG@10 over all targets by path; the best chunk of a target's file meets the target's lines here."""
    targets = [t if isinstance(t, str) else t["path"] for t in [*query["relevant"], *query["secondary"]]]  # type: ignore[misc]
    places = [
        next((rank for rank, path in enumerate(files) if _same(path, target)), None)
        for target in dict.fromkeys(targets)
    ]
    gained = sum(1.0 / np.log2(place + 2) for place in places if place is not None)
    ideal = sum(1.0 / np.log2(place + 2) for place in range(min(10, len(places))))
    return float(gained / ideal)


def _same(path: str, target: str) -> bool:
    return path == target or path.endswith("/" + target) or target.endswith("/" + path)
