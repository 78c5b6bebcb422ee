"""Quoted text is found, or left out, however many chunks rank higher that hold only its words."""

import pytest

from regend.search.engine import Engine
from regend.search.legs.conditions import ENOUGH_VERIFIED
from regend.search.options import SearchOptions
from regend.search.query.parse import parse_query
from regend.search.results.outcome import SearchOutcome
from tests.search.conftest import Corpus
from tests.search.memory import hashed_vector

ENGINE = Engine(hashed_vector)
APART = "def fn_{n}(velvet):\n    crimson = velvet\n    velvet = crimson\n    crimson = velvet\n    return crimson\n"
TOGETHER = (
    "def patterns_{n}(one, two, three, four):\n    one, two, three, four = four, three, two, one\n"
    "    # A long text about many other things, of which crimson velvet is one among all of them.\n"
)


def ask(corpus: Corpus, query: str, **options: object) -> SearchOutcome:
    return ENGINE.search(corpus.snapshot, SearchOptions(parse_query(query), **options))  # type: ignore[arg-type]


@pytest.fixture
def woven(corpus: Corpus) -> Corpus:
    """Three chunks with a text, and 300 that are more about its words."""
    root = corpus.add_root("/r/app")
    corpus.fill(root, [(f"a/apart_{n:03}.py", APART.format(n=n), "python") for n in range(300)])
    corpus.fill(root, [(f"t/together_{n}.py", TOGETHER.format(n=n), "python") for n in range(3)])
    return corpus


@pytest.mark.parametrize("options", [{}, {"k": 1_000}, {"files": True}, {"budget": 500}])
def test_quoted_text_is_found_below_many_chunks_with_its_words(woven: Corpus, options: dict[str, object]) -> None:
    outcome = ask(woven, '"crimson velvet"', **options)
    assert {result.path for result in outcome.results} == {f"t/together_{n}.py" for n in range(3)}
    assert outcome.notes == ()


def test_chunks_with_an_excluded_text_leave_room_for_the_others(woven: Corpus) -> None:
    outcome = ask(woven, 'velvet -"crimson = velvet"')
    assert {result.path for result in outcome.results} == {f"t/together_{n}.py" for n in range(3)}


def test_pages_of_a_common_text_fit_together(woven: Corpus) -> None:
    pages: list[str] = []
    offset: int | None = 0
    while offset is not None:
        outcome = ask(woven, '"crimson = velvet"', k=30, offset=offset)
        pages += [result.path for result in outcome.results]
        offset = outcome.next_offset
    assert len(pages) == len(set(pages)) >= ENOUGH_VERIFIED
