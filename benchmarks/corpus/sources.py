"""Which files of a repository are its source: code that does the work, not tests, documents, data or copies.

These rules are the corpus's own. If they were the ranking's (`regend.search.query.words`), the ranking would be judged
by its own opinion.
"""

from __future__ import annotations

import re

from regend.chunking.detection import detect_language

_CODE = (
    "bash c clojure cpp csharp dart elixir elm erlang go groovy haskell java javascript julia kotlin lua objc ocaml "
    "ocaml_interface perl php powershell python r ruby rust scala solidity svelte swift tsx typescript verilog vue "
    "zig"
)
CODE = frozenset(_CODE.split())
"""Languages whose files are source."""
PROSE = frozenset({"markdown", "restructuredtext"})

_TEST_FOLDERS = re.compile(
    r"(?:.*[-_.])?(?:tests?|specs?)|__tests__|__mocks__|test[-_]?(?:data|suites?|utils?|helpers?|cases|kit)|fixtures?|"
    r"e2e|t|xt|\w*Tests|(?:android|common|jvm|js|native|integration|functional|shared|unit)\w*Test|mocks?|"
    r"(?:test|spec)[-_].*|testing|gtest|unittests?|acceptance|cassettes|golden|snapshots?|__snapshots__",
)
_TEST_NAMES = re.compile(
    r"tests?[-_.].*|.*[-_.](?:tests?|spec|specs|suite|e2e|mock|stories|cy)\.\w+(?:\.\w+)?|.+(?:Tests?|Spec|Suite|"
    r"TestCase|IT)\.\w+|.*_SUITE\.erl|conftest\.py|tests?\.\w+|(?:spec|test)_?helper\.\w+|.*\.t",
)
_OTHER_FOLDERS = (
    "doc docs documentation website site wiki man manual manpages example examples sample samples demo demos tutorial "
    "tutorials playground playgrounds sandbox bench benches benchmark benchmarks perf vendor vendored third_party "
    "thirdparty third-party 3rdparty node_modules external extern externals _vendor deps bower_components pods "
    "carthage dist contrib changelog changelogs generated gen __generated__ ci locale locales i18n po "
    "translations templates stories storybook codemods migrations buildsrc build-logic"
)
_OTHER_FOLDER_SET = frozenset(_OTHER_FOLDERS.split())
_OTHER_FOLDER_ENDS = re.compile(
    r".*[-_.](?:demos?|examples?|samples?|bench(?:es|marks?)?|docs?|playground|fuzz)|fuzz\w*"
)
_OTHER_NAMES = re.compile(
    r"(?:gulpfile|gruntfile|rakefile|gemfile|podfile|fastfile|appfile|dangerfile|jakefile|guardfile|vagrantfile|brewfile|"
    r"capfile|steepfile|setup|conf|noxfile|fabfile|makefile|configure|bootstrap|changelog|_?_?version_?_?|package|"
    r"_?about|releases?|build(?:\.zig)?|project|bsconfig|dune|mix|fuzz\w*)\.\w+|(?:gem|rake|pod|danger|guard|vagrant|brew|cap)file|"
    r"gradlew(?:\.bat)?|mvnw(?:\.cmd)?|rebar3?|configure|autogen\.sh|"
    r"\.\w.*|.*\.(?:config|conf|setup|rc)\.\w+|.*\.(?:gemspec|podspec|gradle|gradle\.kts|sbt|rake|rockspec)|"
    r".*[-.]min\.\w+|.*(?:\.pb|_pb2|_pb2_grpc|\.g|\.gen|\.generated|_generated|\.freezed|\.gr|\.designer|-lock|\.lock)"
    r"\.\w+|webpack.*\.js|rollup.*\.js|karma.*\.js|.*\.d\.[mc]?ts",
    re.IGNORECASE,
)


def is_test(path: str) -> bool:
    """Tell whether a path is that of a test, or of data for one."""
    *folders, name = path.split("/")
    if "src/main/" in path:
        return False
    return (
        any(map(_TEST_FOLDERS.fullmatch, (*folders, *map(str.lower, folders))))
        or _TEST_NAMES.fullmatch(name) is not None
    )


def is_aside(path: str) -> bool:
    """Tell whether a path is that of documents, examples, copies, generated code, or of the build."""
    *folders, name = path.split("/")
    for folder in map(str.lower, folders):
        if folder in _OTHER_FOLDER_SET or folder[0] == "." or _OTHER_FOLDER_ENDS.fullmatch(folder):
            return True
    return _OTHER_NAMES.fullmatch(name) is not None


def is_code(path: str, head: bytes = b"") -> bool:
    """Tell whether a file is code of any role, by its name and the beginning of its content."""
    return detect_language(path, head) in CODE


def is_source(path: str, head: bytes = b"") -> bool:
    """Tell whether a file is code that does the repository's work."""
    return is_code(path, head) and not is_test(path) and not is_aside(path)
