"""Words as the ranking compares them: stems, the words of paths and symbols, and the role a path gives its file.

Pure and cached: a path or symbol is taken apart once, not once per query. Tokens for the lexical leg are
`chunking.tokens`' business; here are only coarse stems that let ``completions.go`` answer "completion".
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from regend.chunking.tokens import STOP_WORDS, folded, normalised, split_identifier
from regend.search.query.abbreviations import WORD_OF
from regend.search.query.declarations import implementations_of
from regend.search.query.translations import Translation, translation_of


def listed(text: str) -> frozenset[str]:
    """Return the words of a text."""
    return frozenset(text.split())


QUESTION_WORDS = STOP_WORDS | listed(
    """class classes code defined definition definitions does file files find function functions get gets handle handled
    handles implement implementation implemented implements implementing like method methods no not one please return
    returns shall show work works 如何 怎么 怎样 什么 哪里 哪儿 どう どこ なぜ 何故 어떻 떻게 어디 무엇"""
)
"""Words that say how a question is asked, not what it is about.

Code words (class, function) count too, because in a question they carry no topic; a query made of nothing else keeps
them (see `parse.parse_query`). They stay in the index: `chunking.tokens` leaves out fewer.
"""


def plain(text: str) -> str:
    """Return the text for comparisons to the letter: case does not count, and any white space is like one space.

    Nor does it count how a letter is encoded, see `tokens.normalised`.
    """
    return " ".join(normalised(text).casefold().split())


_SUFFIXES = (
    "izations", "ization", "ations", "ation", "ators", "ator", "ating", "ates", "ated", "ate", "ments", "ment",
    "ables", "able", "ings", "ing", "ungen", "ung", "aciones", "acion", "iones", "acoes", "acao", "ions",
    "ion", "ers", "er", "ors", "or", "ies", "ied", "ed", "es", "s", "y", "e",
)  # fmt: skip
_MIN_STEM_CHARS = 4


def _endings(text: str) -> tuple[str, ...]:
    return tuple(sorted(text.split(), key=len, reverse=True))


_ENDINGS = (
    (re.compile("[a-z]"), 4, _endings("en em")),
    (re.compile("[а-яєіїґ]"), 3, _endings(
        "ениями ениях ением ений ения ению ении ение иями ями ами ыми ими ого его ому ему иях ией ием ать ять ить еть "
        "ает яет ует ают яют уют ешь ишь ый ий ой ей ая яя ое ее ые ие ую юю ых их ым им ом ем ам ям ах ях ов ев ів "
        "ет ит ут ют ат ят ия ию ии а я о е ы и у ю ь й і ї"
    )),
    (re.compile("[α-ω]"), 3, _endings("ουσ ων οσ ου οι εσ ησ ασ εισ α η ο ι ε")),
)  # fmt: skip
"""By script how many letters stay, and endings of words that are not English: of German words that an accent shows,
of Russian and Ukrainian ones, of Greek ones. Chosen by hand."""


@lru_cache(maxsize=16_384)
def stem(word: str) -> str:
    """Return a coarse stem of a lower-case word: ``completions`` and ``complete`` give ``complet``.

    One suffix is taken off, at most, and never below four letters; a doubled final consonant is made single
    (``mapping`` -> ``map``). A Porter stemmer was not used: it conflates more, costs more, and identifiers are
    mostly nouns and verbs in few forms. A usual short form has the stem of its word: ``args`` that of ``argument``.
    Words with other letters lose their accents and an ending of `_ENDINGS`: ``größen`` and ``größe`` give ``gross``.
    """
    if word.isascii():
        return _english_stem(WORD_OF.get(word, word))
    word = folded(word)
    shorter = _english_stem(word) if word.isascii() else word
    if shorter != word:
        return shorter
    for script, least, endings in _ENDINGS:
        if script.match(word):
            fitting = (len(word) - len(end) for end in endings if word.endswith(end))
            return word[: next((length for length in fitting if length >= least), len(word))]
    return word


def _english_stem(word: str) -> str:
    if len(word) <= _MIN_STEM_CHARS - 1 or word.endswith("ss"):
        return word
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= (3 if suffix in ("s", "es") else _MIN_STEM_CHARS):
            return _undoubled(word[: -len(suffix)])
    return word


_FORM_SUFFIXES = ("", "e", "s", "es", "ed", "ing", "er", "or", "ion", "ation", "ies", "y")


@lru_cache(maxsize=16_384)
def forms(word: str) -> tuple[str, ...]:
    """Return the usual forms of a lower-case word, itself among them: those that have its stem."""
    own = stem(word)
    if not word.isascii() or not word.isalpha() or len(own) < _MIN_STEM_CHARS - 1:
        return (word,)
    made = (own + suffix for suffix in _FORM_SUFFIXES)
    doubled = (own + own[-1] + suffix for suffix in ("ed", "ing", "er"))
    return tuple(dict.fromkeys((word, *(form for form in (*made, *doubled) if stem(form) == own))))


def _undoubled(word: str) -> str:
    if len(word) > 3 and word[-1] == word[-2] and word[-1] not in "aeioulsz":
        return word[:-1]
    return word


@lru_cache(maxsize=32_768)
def identifier_stems(name: str) -> frozenset[str]:
    """Return the stems of a name's words: ``HTTPServer.handle_requests`` -> http, serv, handl, request."""
    return frozenset(stem(word) for word in split_identifier(name) if len(word) > 1 or not word.isascii())


class PathWords(NamedTuple):
    """A path, as the ranking knows it.

    Attributes:
        name: stems of the file's name without extension.
        folders: stems of the folders' names.
        folder: the path without the file's name.
        role: `file_role`.
        translation: what the path says of it, if it is one; the ranking leaves it out where the original is missing.
        implementations: paths of files that may implement what it declares; the ranking leaves out those not there.
    """

    name: frozenset[str]
    folders: frozenset[str]
    role: str
    folder: str
    translation: Translation | None = None
    implementations: tuple[str, ...] = ()


@lru_cache(maxsize=65_536)
def path_words(path: str, marks: str = "") -> PathWords:
    """Take a relative path apart, once; `marks` as `file_role` takes them."""
    *folders, base = path.split("/")
    name = base.lstrip(".").split(".", 1)[0] or base
    # The name of an index file says nothing; its folder is what people call it.
    own = identifier_stems(folders[-1] if folders and name.lower() in _INDEX_NAMES else name)
    if of_tool := _OF_TOOL.fullmatch(base):
        own = identifier_stems(of_tool["rc"] or of_tool["file"])
    stems = frozenset[str]().union(*map(identifier_stems, folders))
    folder = path.rpartition("/")[0]
    return PathWords(own, stems, file_role(path, marks), folder, translation_of(path), implementations_of(path))


_OF_TOOL = re.compile(r"\.(?P<rc>[a-z]{2,})rc(\.\w+)?|(?P<file>[A-Z][a-z]{2,})file(\.\w+)?")
"""Settings whose names hold that of a tool: ``.eslintrc.json``, ``Dockerfile``."""
_INDEX_NAMES = frozenset({"__init__", "index", "mod", "main", "lib", "init"})

_ROLE_FOLDERS = {
    **dict.fromkeys(
        ("test", "tests", "testdata", "__tests__", "spec", "specs", "fixtures", "__mocks__", "mocks",
         "__snapshots__", "e2e", "t", "xt", "testing", "testcases", "fuzz", "fuzzing", "fuzzers", "fuzz_targets"),
        "test"),
    **dict.fromkeys(
        ("vendor", "vendored", "node_modules", "third_party", "thirdparty", "third-party", "_vendor", "site-packages",
         "externals", "bower_components"), "vendor"),
    **dict.fromkeys(("generated", "__generated__", "dist", "autogen"), "generated"),
    **dict.fromkeys(
        ("example", "examples", "demo", "demos", "sample", "samples", "tutorial", "tutorials", "benchmark",
         "benchmarks", "bench", "benches", "benchs", "playground", "eg"), "example"),
}  # fmt: skip
_ROLE_FILES = {
    "spec": re.compile(
        r".*\.(?:rb|[cm]?[jt]sx?|coffee|vue|lua|moon|cr|php|erl|exs?|sh|bash|el|hs|ml|ya?ml|json|txt|snap)"
    ),
    "testing": re.compile(r".*\.(?:c|cc|cpp|cxx|h|hh|hpp)"),
    "dist": re.compile(r".*\.(?:[cm]?js|css|map|d\.[cm]?ts|html?|json|svg|wasm)"),
}
"""The files for which a folder with another meaning tells the role: in Go and Java, `spec` often holds the code of a
specification, `dist` that of a distribution, and `testing` what a product offers for tests. A folder `gen` tells
nothing, because what a tool wrote says so."""
_DOCUMENTED_IN = frozenset({"doc", "docs", "website"})
"""Outermost folders in which code is that of examples or of the documentation's pages."""
_TEST_FOLDER = re.compile(
    r".+\.(?:\w*Tests?|Specs?)|[a-z][A-Za-z0-9]*[a-z0-9]Tests?|[A-Z][\w-]*Tests|.+[-_](?:tests|specs)"
    r"|tests?[-_](?:d?ts|data|files|fixtures|suites?|cases)"
    r"|(?:integration|unit|functional|acceptance|system|smoke|perf|performance|regression)[-_]?tests?"
)
"""Further names of folders of tests, such as `*.Tests`, `*Tests`, `jvmTest` and `runtime-tests`. One like
`app-test` is no sign of tests: it often holds a product for testing."""
_ROLE_FILES["specs"] = _ROLE_FILES["spec"]
_ROLE_NAMES = (
    ("generated", re.compile(r".*(_pb2(_grpc)?\.pyi?|\.pb\.(go|cc|h)|\.min\.(js|css)|\.g\.(dart|cs)|\.designer\.cs"
                             r"|[._-]generated\.\w+|\.lock|-lock\.(json|yaml)|\.snap|go\.sum)", re.IGNORECASE)),
    ("vendor", re.compile(r"gradlew(\.bat)?|mvnw(\.cmd)?|ltmain\.sh|install-sh|config\.(guess|sub)|depcomp"
                          r"|versioneer\.py|jquery([.-][\w.-]*)?\.js", re.IGNORECASE)),
    ("stub", re.compile(r".*(\.pyi|\.d\.[cm]?ts|\.rbi)")),
    ("test", re.compile(
        r"test_.*\.py|conftest\.py|.*\.(?:bats|t)|.+_SUITE\.erl|.*\.test-d\.[cm]?tsx?"
        r"|tests?\.(?:rs|[cm]?tsx?|hs|ml|zig|sh)|tests\.\w+"
        r"|.*[_.-]tests?\.(?:[cm]?[jt]sx?|py|go|rb|rs|exs?|lua|php|dart|c|cc|cpp|cxx|h|hpp|m|mm|jl|clj[cs]?|cljs|zig|R|r"
        r"|hs|ml|scala|kt|java|swift|nim|cr|sh|bash|zsh|el|coffee|vue|svelte|erl|pl|d|ps1)"
        r"|.*[_.-]specs?\.(?:[cm]?[jt]sx?|rb|lua|py|ex|exs|ml|cr|moon|dart|coffee|php|hs|sh|erl|el)"
        r"|.+(?:Test|Tests|TestCase|IT|ITCase)\.(?:java|kts?|scala|groovy|swift|cs|fs|vb|php|mm?|cc|cpp|h|[jt]sx?|dart|hs)"
        r"|.+Specs?\.(?:scala|groovy|hs|php|coffee)|.+\.Tests\.ps1")),
    ("prose", re.compile(
        r".*\.(md|mdx|markdown|rst|adoc|asciidoc|org|pod|rdoc|rd|rmd|qmd|mld)|(?!requirements|constraints|robots|.*lists\.txt).*\.(txt|text)"
        r"|(licen[cs]e|copying|copyright|changelog|changes|history|news|authors|contributors|contributing|hacking|maintainers|notice|readme|todo)"
        r"([._-](?!(?:[\w.-]*\.)?(?:py|pyi|rb|js|jsx|ts|tsx|mjs|cjs|go|rs|java|kt|kts|scala|c|cc|cpp|h|hpp|cs|php|swift|lua|sh"
        r"|bash|pl|pm|ex|exs|erl|hs|ml|mli|clj[cs]?|zsh|xslt?|dtd|dart|jl|r|m|mm|vue|svelte|html?|json|ya?ml|toml|xml|css|scss|sql|zig|el|proto"
        r"|tmpl|erb|cmake|gradle|groovy|ps1|nix|vim|d|nim|cr|hbs|j2|in)$)[\w.-]*)?",
        re.IGNORECASE)),
    ("data", re.compile(
        r".*\.(json|jsonc|ya?ml|toml|ini|cfg|csv|tsv|xml|svg|html?|css|scss|less|properties|po|pot|xlf|xliff|resx|resw"
        r"|strings|stringsdict|arb|plist|xib|storyboard|pbxproj|xcscheme|xcworkspacedata|sln|har|geojson|webmanifest)"
        r"|.*\.(sbt|gradle|gradle\.kts|gemspec|podspec|rockspec|cabal|opam|csproj|fsproj|vbproj|vcxproj|nuspec)"
        r"|CMakeLists\.txt|Package\.swift|mix\.exs|project\.clj|dune|Gemfile|Podfile|Cartfile", re.IGNORECASE)),
)  # fmt: skip


_MIGRATIONS = re.compile(
    r"(?:.*/)?(?:(?:\w+[_-])?migrations?|migrate|(?:alembic|migrations)/versions)/"
    r"(?:[VUR]?\d[\d.]*__?\w|\d{3,}[-_.]?\w|[0-9a-f]{12}_\w).*",
    re.IGNORECASE,
)
"""Migrations of a database, which are numbered or dated; `django/db/migrations/loader.py` is source."""
_MARKED = {"vendored": "vendor", "documentation": "prose", "generated": "generated"}
_DENIED = {
    "-vendored": frozenset({"vendor"}),
    "-generated": frozenset({"generated"}),
    "-documentation": frozenset({"prose", "example"}),
    "detectable": frozenset({"prose", "data"}),
}
"""Roles that a file with the mark does not have, whatever its path says."""
_KEPT = frozenset({"vendor", "test"})
"""Roles that say more of a file than that a tool wrote it."""


def file_role(path: str, marks: str = "") -> str:
    """Return the role of a file: ``test vendor generated example stub prose data migration``, or ``source``.

    Folders decide before names, and the outermost one first: ``vendor/x/tests`` is vendored code. A folder ``testing``
    is a sign of tests in C and C++ only: in Go and PHP frameworks it is the product. So is ``test.py`` in many.

    Args:
        marks: words that the file's first lines and `.gitattributes` say of it, which decide before its path.
    """
    if not marks:
        return _path_role(path)
    said = marks.split()
    role = _path_role(path, frozenset[str]().union(*(_DENIED.get(mark, ()) for mark in said)))
    marked = next((role for mark, role in _MARKED.items() if mark in said), role)
    return role if marked == "generated" and role in _KEPT else marked


def _path_role(path: str, denied: frozenset[str] = frozenset()) -> str:
    *folders, base = path.split("/")
    for folder in folders:
        role = _ROLE_FOLDERS.get(folder.lower()) or ("test" if _TEST_FOLDER.fullmatch(folder) else None)
        if role is None or role in denied:
            continue
        if (files := _ROLE_FILES.get(folder.lower())) is None or files.fullmatch(base.lower()):
            return role
    role = name_role(base, denied)
    if role == "source" and _MIGRATIONS.fullmatch(path):
        return "migration"
    return "example" if role == "source" and folders and folders[0].lower() in _DOCUMENTED_IN else role


def name_role(name: str, denied: frozenset[str] = frozenset()) -> str:
    """Return the role that a file's own name gives it, or ``source``."""
    return next((role for role, pattern in _ROLE_NAMES if role not in denied and pattern.fullmatch(name)), "source")


_DOCUMENTS = frozenset({"markdown", "restructuredtext", "asciidoc", "org", "latex", "text"})
_SETTINGS = frozenset({"json", "yaml", "toml", "ini", "xml", "hcl", "csv", "properties", "dockerfile", "nix"})


def file_group(path: str, language: str, marks: str = "") -> str:
    """Return what a file is for a person: ``docs``, ``config`` or ``code``, wherever it lies; `marks` decide first."""
    said = marks.split()
    if "documentation" in said:
        return "docs"
    if "detectable" in said:
        return "code"
    if language in _SETTINGS:
        return "config"
    role = name_role(path.rpartition("/")[2])
    if language in _DOCUMENTS and "-documentation" not in said:
        return "docs" if language != "text" or role == "prose" else "config" if role == "data" else "code"
    return "code"


_LESSER_FOLDERS = listed(
    """archive archived attic backup backups bak compat copies copy deprecated legacy obsolete old previous stubs"""
)
_STANDINGS = {
    "source": 0, "migration": 1, "data": 2, "prose": 2, "example": 3, "stub": 3, "test": 4, "generated": 5, "vendor": 6,
}  # fmt: skip


def standing(path: str, wanted_roles: frozenset[str] = frozenset(), marks: str = "") -> int:
    """Return how far behind a file stands among others with the same text or name: 0 for source, more for most others.

    Args:
        wanted_roles: roles that the query asks for, which come before source.
        marks: as `file_role` takes them.
    """
    role = file_role(path, marks)
    if role in wanted_roles:
        return -1
    if role == "source" and not _LESSER_FOLDERS.isdisjoint(path.lower().split("/")[:-1]):
        return 1
    return _STANDINGS[role]


def _stems(text: str) -> frozenset[str]:
    return frozenset(map(stem, text.split()))


ROLE_WORDS = {
    "test": _stems("test tests testing spec specs fixture mock unittest assert"),
    "vendor": _stems("vendor vendored dependency"),
    "generated": _stems("generated protobuf lockfile lock"),
    "example": _stems("example sample demo tutorial benchmark bench"),
    "stub": _stems("stub stubs typing pyi declaration"),
    "prose": _stems("readme docs documentation changelog license guide tutorial markdown"),
    "data": _stems("config configuration settings json yaml toml xml html css workflow schema"),
    "migration": _stems("migration migrations migrate ddl schema table tables column columns alter"),
    "source": frozenset(),
}
"""Stems by which a query asks for a role."""
