"""Legs: what ties where a leg is cut off is neither half there nor lost."""

import pytest

from regend.search.engine import Engine
from regend.search.legs.conditions import conditions_of
from regend.search.legs.legs import blended_candidates
from regend.search.legs.scope import ScopeResolver
from regend.search.options import SearchOptions
from regend.search.query.filters import Filters
from regend.search.query.parse import parse_query
from regend.search.results.outcome import SearchOutcome
from regend.types import DOC_ORDINAL_BITS
from tests.search.conftest import Corpus
from tests.search.memory import hashed_vector

ENGINES = {"words": Engine(), "words and meaning": Engine(hashed_vector)}
EQUAL, BETTER = 150, 4


@pytest.fixture
def licensed(corpus: Corpus) -> Corpus:
    """Many files with texts that score alike, and a few that hold their word more often."""
    root = corpus.add_root("/r/app")
    equal = [(f"equal/e{n:03}.py", f"def same():\n    return license(){' ' * n}\n", "python") for n in range(EQUAL)]
    better = [
        (f"b/b{n}.py", f"def same():\n    return license(license, license){' ' * n}\n", "python") for n in range(BETTER)
    ]
    other = [(f"o/o{n}.py", f"def other_{n}():\n    return nothing({n})\n", "python") for n in range(30)]
    corpus.fill(root, equal + better + other)
    return corpus


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("files", [False, True])
@pytest.mark.parametrize("k", [30, 100])
def test_pages_reach_all_of_many_equal_chunks(licensed: Corpus, engine: str, files: bool, k: int) -> None:
    def ask(offset: int) -> SearchOutcome:
        options = SearchOptions(parse_query("license"), k=k, offset=offset, files=files)
        return ENGINES[engine].search(licensed.snapshot, options)

    pages: list[str] = []
    offset: int | None = 0
    while offset is not None:
        outcome = ask(offset)
        pages += [result.path for result in outcome.results]
        offset = outcome.next_offset
    assert len(pages) == len(set(pages))
    holding = [path for path in pages if not path.startswith("o/")]
    assert len(holding) == EQUAL + BETTER


@pytest.mark.parametrize("query", ["license", '"return license()"', "license kind:function", "same -other_1"])
def test_equal_chunks_get_equal_scores(licensed: Corpus, query: str) -> None:
    """Also where a leg looks at more than it keeps: which of them came first is an accident of the index's history."""
    parsed = parse_query(query)
    filters = Filters(inline=parsed.inline)
    scope = ScopeResolver().resolve(licensed.snapshot, filters)
    conditions = conditions_of(parsed, filters, parsed.phrases)
    blended = blended_candidates(scope, parsed.terms, hashed_vector(query), 0.5, 10, conditions).blended
    scores: dict[str, set[float]] = {}
    for doc, score in blended.items():
        entry = scope.entry(doc >> DOC_ORDINAL_BITS)
        assert entry is not None
        scores.setdefault(entry.path.split("/")[0], set()).add(round(score, 6))
    assert len(scores["equal"]) == 1
    assert len(scores["b"]) == 1
