"""Words are found where words begin, weighed by what they are worth, and counted once by stem."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regend.search.ranking.coverage import coverage_of, rarity, word_weights

WEIGHTS = word_weights({"retry": 3.0, "failed": 1.0, "jobs": 1.0})


def test_weights_are_shares_by_stem() -> None:
    assert sum(WEIGHTS.shares.values()) == pytest.approx(1.0)
    assert WEIGHTS.share_of(WEIGHTS.held(["retr", "job"])) == pytest.approx(0.8)
    assert word_weights({"job": 1.0, "jobs": 3.0}).shares == {"job": 1.0}
    assert word_weights({"nowhere": 0.0}).share_of(1) == 0.0


def test_a_rare_word_is_worth_more_and_an_absent_one_nothing() -> None:
    assert rarity(1, 1_000) > rarity(100, 1_000) > rarity(1_000, 1_000) > 0.0
    assert rarity(0, 1_000) == 0.0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("def retry_job(): ...", 2),
        ("doRetry(failedJobs)", 3),
        ("the retries", 1),
        ("HTTPRetry", 0),  # A run of capitals may end anywhere.
        ("unfailed", 0),
        ("", 0),
        ("RETRY", 1),
        ("İretry retry", 1),
    ],
)
def test_words_are_found_where_words_begin(text: str, words: int) -> None:
    assert coverage_of(text, WEIGHTS).held.bit_count() == words


def test_a_word_that_its_stem_does_not_begin_is_found_as_typed() -> None:
    assert coverage_of("auth(user)", word_weights({"auth": 1.0})).held


@pytest.mark.parametrize(
    ("text", "together"),
    [
        ("retry the failed jobs", 1.0),
        ("retry, and much later on what has failed", 0.0),
        ("failed_jobs", 0.5),
        ("jobs failed", 0.0),
    ],
)
def test_words_that_stand_together(text: str, together: float) -> None:
    assert coverage_of(text, WEIGHTS).together == together


@given(
    st.text(max_size=200), st.dictionaries(st.text(st.characters(categories=["Ll", "Lo"]), min_size=1), st.floats(0, 9))
)
def test_any_text_has_a_share(text: str, worth: dict[str, float]) -> None:
    weights = word_weights(worth)
    found = coverage_of(text, weights)
    assert 0.0 <= weights.share_of(found.held) <= 1.0 + 1e-9
    assert 0.0 <= found.together <= 1.0
