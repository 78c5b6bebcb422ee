"""Names of tests, in words -> the source file that a test's path says it tests."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from benchmarks.corpus.material import Material, Question
from benchmarks.corpus.prose import content_words, without_references, words_of
from benchmarks.corpus.sources import is_code, is_test

LIMIT = 8
_PER_FILE = 1
_WORDS = 3
_MAX_CHARS = 140
_ASIDE = re.compile(
    r"^(?:test|tests|spec|check)[-_.]|[-_.](?:tests?|spec|specs|suite|e2e|unit|t)$|(?:Tests?|Specs?|Suite|TestCase|IT|TestSuite)$|"
    r"_SUITE$|^(?:Test)(?=[A-Z])|^t?\d+[-_]"
)
_NAMED = re.compile(
    r"\b(?:def|fn|func|fun|function|void|sub|Task)\s+(?:\([^)]*\)\s*)?`?(?P<name>(?:test_?|Test|should|Should|it_|can_|when)\w{6,}"
    r"|(?<=`)[^`\n]{8,})`?\s*\(|\(deftest\s+(?P<lisp>[\w-]{8,})|^(?P<erl>[a-z]\w{6,})_test_?\(\)|"
    r"(?:@Test[^\n]*\n(?:\s*@[^\n]*\n)*|\[(?:Fact|Theory|Test|TestMethod|TestCase)[^\n]*\n(?:\s*\[[^\n]*\n)*)"
    r"\s*(?:public |private |internal |override |async |final |static )*(?:void|Task|fun|ValueTask)\s+`?"
    r"(?P<marked>[^`(\n]{8,}?)`?\s*\("
    r"|\bTEST(?:_F|_P)?\(\s*\w+\s*,\s*(?P<cpp>\w{8,})\s*\)",
    re.MULTILINE,
)
_SAID = re.compile(
    r"\b(?:it|test|specify|scenario|it_behaves_like|testWidgets|test_that|TEST_CASE|SECTION|subtest|testing|property|"
    r"@testset|should|blocTest(?:<[^>]*>)?|example|tc|deftest|testProperty|prop|context)\s*[( ]\s*"
    r"(?P<quote>[\"'`])(?P<text>(?:(?!(?P=quote))[^\\\n]|\\.){10,160})(?P=quote)"
)


def questions(material: Material) -> list[Question]:
    """Ask up to `LIMIT` questions, at most `_PER_FILE` about one source file."""
    stems: dict[str, list[str]] = {}
    for path in material.sources:
        stems.setdefault(_stem(path), []).append(path)
    tests = [path for path in material.contents if is_test(path) and is_code(path) and tested(path, stems)]
    asked: dict[str, Question] = {}
    taken: dict[str, int] = {}
    for path in material.drawn("test", tests, str):
        source = tested(path, stems)
        names = material.drawn("test " + path, dict.fromkeys(names_in(material.text(path))), str)
        if len(asked) < LIMIT and taken.get(source, 0) < _PER_FILE and names:
            taken[source] = taken.get(source, 0) + 1
            asked.setdefault(names[0], Question(names[0], (source,)))
    return list(asked.values())


def names_in(text: str) -> Iterator[str]:
    """Yield the names of a file's tests as words; names that say little are left out."""
    for match in _NAMED.finditer(text):
        name = next(filter(None, match.groups()))
        if " " not in name:
            words = words_of(name)
            while words and words[0].lower() in ("test", "tests", "it"):
                words.pop(0)
            name = " ".join(words)
        if _asks(name):
            yield name
    for match in _SAID.finditer(text):
        said = without_references(match["text"].replace("\\", "")).strip(" .:")
        if _asks(said) and not re.search(r"[$#%]\{|\$\w|%s|\{\}|https?:|[{}=<>;]", said):
            yield said


def _asks(name: str) -> bool:
    return sum(len(word) > 2 for word in content_words(name)) >= _WORDS and len(name) <= _MAX_CHARS


def tested(path: str, stems: Mapping[str, list[str]]) -> str:
    """Return the source file that a test is about, by its name and its folders; "" if there is none or several.

    Args:
        stems: source files by `_stem`.
    """
    stem = path.rpartition("/")[2].partition(".")[0] if not path.endswith(".t") else path.rpartition("/")[2][:-2]
    named = [path.rpartition("/")[2].rpartition(".")[0], stem]
    for name in named:
        bare = name
        for _ in range(2):
            bare = _ASIDE.sub("", bare)
        found = stems.get(_plain(bare), []) if bare and _plain(bare) != _plain(path) else []
        same = [source for source in found if _suffix(source) == _suffix(path)] or found
        if len(same) == 1:
            return same[0]
        if same:
            folders = set(path.lower().split("/")[:-1])
            scores = sorted(
                ((len(folders & set(source.lower().split("/")[:-1])), source) for source in same), reverse=True
            )
            if scores[0][0] > scores[1][0]:
                return scores[0][1]
    return ""


def _stem(path: str) -> str:
    return _plain(path.rpartition("/")[2].partition(".")[0])


def _plain(name: str) -> str:
    return re.sub(r"[-_.]", "", name).lower()


def _suffix(path: str) -> str:
    return re.sub(r"x$", "", path.rpartition(".")[2]).replace("mjs", "js").replace("cjs", "js")
