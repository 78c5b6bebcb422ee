"""Files that commits like the question changed stand before others, and nothing but the order depends on them."""

from __future__ import annotations

import math
import random
from collections import defaultdict

import pytest

from regend.chunking.tokens import STOP_WORDS, asked_tokens
from regend.search.engine import Engine
from regend.search.options import SearchOptions
from regend.search.query.parse import parse_query
from regend.search.query.words import stem
from regend.search.ranking.history import MAX_FILES, History
from regend.types import Change
from tests.search.conftest import Corpus

WORDS = [
    "retry",
    "queue",
    "timeout",
    "parser",
    "cache",
    "socket",
    "index",
    "commit",
    "batch",
    "worker",
    "vector",
    "token",
]


def words_of(subject: str) -> set[str]:
    return {stem(word) for word in asked_tokens(subject).split()} - STOP_WORDS


def naive(changes: list[Change], terms: list[str]) -> dict[str, float]:
    """The same, said once more without arrays."""
    held = [words_of(change.subject) for change in changes]
    mean = sum(map(len, held)) / len(held)
    scores = []
    for number, words in enumerate(held):
        score = 0.0
        for term in {stem(term) for term in terms} & words:
            count = sum(term in other for other in held)
            rarity = math.log(1.0 + (len(held) - count + 0.5) / (count + 0.5))
            score += rarity * 2.2 / (1.0 + 1.2 * (0.25 + 0.75 * len(words) / mean))
        scores.append((-score, number))
    sums: dict[str, list[float]] = defaultdict(list)
    for negative, number in sorted(scores)[:50]:
        paths = changes[number].paths
        for path in paths if len(paths) <= MAX_FILES and negative < 0.0 else ():
            sums[path].append(-negative / math.sqrt(len(paths)))
    found = {path: sum(sorted(each, reverse=True)[:5]) for path, each in sums.items()}
    return {path: value / max(found.values()) for path, value in found.items()}


@pytest.mark.parametrize("seed", range(12))
def test_shares_are_those_of_bm25_over_subjects(seed: int) -> None:
    rng = random.Random(seed)
    changes = [
        Change(
            " ".join(rng.choices(WORDS, k=rng.randint(1, 8))),
            tuple(f"src/{n}.py" for n in rng.sample(range(60), rng.choice([1, 1, 2, 3, 20, 21, 40]))),
        )
        for _ in range(rng.choice([1, 10, 300]))
    ]
    history = History(changes)
    for _ in range(10):
        terms = rng.choices([*WORDS, "unknown", "retries", "queues"], k=rng.randint(1, 4))
        found, wanted = history.shares(terms), naive(changes, terms)
        assert found.keys() == wanted.keys()
        for path, share in wanted.items():
            assert found[path] == pytest.approx(share), (terms, path)


@pytest.mark.parametrize("changes", [[], [Change("", ("a.py",))], [Change("the of and", ("a.py",))], [Change("x", ())]])
def test_a_history_that_says_nothing(changes: list[Change]) -> None:
    assert History(changes).shares(["retry", "x", "the"]) == {}
    assert History(changes).shares([]) == {}
    assert len(History(changes)) == len(changes)


@pytest.fixture
def alike(corpus: Corpus) -> Corpus:
    """Ten files that differ by numbers only."""
    files = [
        (f"src/mod{n}.py", f"def handle_{n}(request):\n    return request.send(n{n})\n", "python") for n in range(10)
    ]
    corpus.fill(corpus.add_root("/repo"), files)
    return corpus


def paths(engine: Engine, corpus: Corpus, text: str, explain: bool = False) -> list[str]:
    options = SearchOptions(parse_query(text), explain=explain)
    return [result.path for result in engine.search(corpus.snapshot, options).results]


def test_the_file_that_was_changed_for_it_comes_first(alike: Corpus) -> None:
    asked = "where is a request sent again after a timeout"
    before = paths(Engine(), alike, asked)
    for path in before:
        history = History([Change("Repeat a request after a timeout", (path,)), Change("Format", tuple(before))])
        after = paths(Engine(history_of=lambda _, history=history: history), alike, asked)
        assert after[0] == path
        assert sorted(after) == sorted(before)


def test_its_share_is_explained(alike: Corpus) -> None:
    history = History([Change("Repeat a request", ("src/mod3.py",))])
    options = SearchOptions(parse_query("repeat the request"), explain=True)
    first = Engine(history_of=lambda _: history).search(alike.snapshot, options).results[0]
    shares = {share.name: share for share in first.explain}
    assert first.path == "src/mod3.py"
    assert shares["history"].value == 1.0
    assert first.score == pytest.approx(sum(share.contribution for share in first.explain))


def test_an_answer_is_remembered_until_the_history_is_another_one(alike: Corpus) -> None:
    known: list[History] = []
    engine = Engine(history_of=lambda _: known[-1] if known else None)
    before = paths(engine, alike, "request timeout")
    last = before[-1]
    known.append(History([Change("Give the request a timeout", (last,))]))
    assert paths(engine, alike, "request timeout") == before
    engine.forget()
    assert paths(engine, alike, "request timeout")[0] == last
