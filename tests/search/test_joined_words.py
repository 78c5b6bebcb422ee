"""Words that signs join are found to the letter, and named where no file holds them."""

from __future__ import annotations

from regend.chunking.tokens import words_in
from tests.search.conftest import Corpus
from tests.search.test_literal import found

REFERENCES = ("ORA-00942", "CVE-2021-44228", "192.168.17.45", "DYN4-153")
JOINED = (
    *REFERENCES, "+49-30-1234567", "$19.99", "C++17", "1.2.3-rc4", "${VAR:-other}", "2024-01-15",
    "me+you@mail.example.org", "git@github.com:foo/bar.git", "550e8400-e29b-41d4-a716-446655440000",
    "https://example.com/v2?limit=10&sort=asc#top",
)  # fmt: skip


def test_what_signs_join_is_one_word(corpus: Corpus) -> None:
    """Other files hold its words, in the same order, too."""
    files = [
        (f"src/{number}_{at}.py", f"worker {apart.join(words_in(text))} queue {at}", "python")
        for number, text in enumerate(JOINED)
        for at, apart in enumerate((" ", " of "))
    ]
    held = [
        (f"tests/{number}.py", f"queue queue worker({text}) worker", "python") for number, text in enumerate(JOINED)
    ]
    corpus.fill(corpus.add_root("/repo"), files + held)
    for number, text in enumerate(JOINED):
        holder = f"tests/{number}.py"
        for typed in (text, f"({text.upper()}),"):
            paths, notes = found(corpus, typed)
            assert (paths[0], notes) == (holder, ()), (typed, paths, notes)
        if any(map(str.isdigit, text)):
            absent = next(text.replace(digit, "7", 1) for digit in reversed(text) if digit.isdigit() and digit != "7")
            paths, notes = found(corpus, absent)
            assert paths and notes and absent.strip("$") in notes[0] and "No indexed file in scope" in notes[0], (
                absent,
                notes,
            )
    for number, text in enumerate(REFERENCES):
        for asked in ("queue {}", "see {}, worker", "how does the worker handle {}?"):
            assert found(corpus, asked.format(text))[0][0] == f"tests/{number}.py", (asked, text)
        passing = found(corpus, f"the queue hands of one worker to another worker ({text})")
        assert not any(text in note for note in passing[1]) and passing[0][0] != f"tests/{number}.py", passing
        paths, notes = found(corpus, f"queue {text[:-1]}6 worker")
        assert f"{text[:-1]}6" in notes[0] and paths, notes
