"""Turn packages into pairs: an author's text about a piece of code, and the code.

    python -m training.pairs      packages of the manifest -> build/training/pairs/*.jsonl

A record holds one definition, or one stretch of it, with everything that may serve as a question: its doc comment, its
name, the words of its file's path. Training draws one of them each time that it sees the record.
Definitions are found by the same grammars as in the index, so that the model learns on what it will be given.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath

from regend.chunking.chunker import is_generated
from regend.chunking.detection import detect_language
from regend.chunking.structure import structure_of
from regend.chunking.symbols import Definition
from training.comments import clean_comment, docstring_rows, is_comment, leading_rows, mostly_licence
from training.held_out import is_excluded_path
from training.licences import FileLicences
from training.mine import BUILD, Package, binary_tar, copyright_text, read_manifest

PAIRS = BUILD / "pairs"
LANGUAGES = frozenset(
    [
        "bash",
        "c",
        "cpp",
        "csharp",
        "elixir",
        "erlang",
        "go",
        "haskell",
        "java",
        "javascript",
        "kotlin",
        "lua",
        "markdown",
        "ocaml",
        "ocaml_interface",
        "php",
        "python",
        "restructuredtext",
        "ruby",
        "rust",
        "scala",
        "swift",
        "tsx",
        "typescript",
        "perl",
        "clojure",
        "dart",
    ]
)
_FAMILIES = {"ocaml_interface": "ocaml", "tsx": "typescript"}
_MAX_FILE_BYTES = 150_000
_MAX_PACKAGE_BYTES = 5_000_000
_LARGE_PACKAGE_BYTES = 60_000_000
"""For the few packages that carry most of their language: mono (C#), kotlin, scala, elixir, Go's and Erlang's libraries."""
_MAX_BODY_LINES = 60
_MAX_BODY_CHARS = 4_000
_MIN_BODY_CHARS = 60
_MAX_DOC_CHARS = 500
_PARSE_S = 3.0
_WINDOW = 45
_TYPES = frozenset(
    ("class", "interface", "struct", "trait", "enum", "module", "object", "protocol", "impl", "type", "extension")
)
_FUNCTIONS = frozenset(("function", "method", "macro", "constructor"))
_UNWANTED = re.compile(
    r"(^|/)(vendor|third_party|thirdparty|node_modules|testdata|fixtures?|\.git|locales?|i18n|dist|umd|min)(/|$)|\.min\.|\.d\.ts$|_pb2?\.|\.pb\."
)
_TESTS = re.compile(
    r"(^|/)(tests?|specs?|__tests__|testing|benchmarks?|examples?)(/|$)|(_test|\.test|\.spec|_spec)\.\w+$|(^|/)test_",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Record:
    """One piece of code with what was said of it.

    Attributes:
        kind: ``function``, ``type``, ``window`` (part of a type), ``block`` (after a comment), ``section`` (of prose).
        symbol: qualified name, or the heading of a section.
        doc: what its author wrote of it, markers stripped; may be empty.
        body: the code without that comment.
    """

    language: str
    package: str
    path: str
    kind: str
    symbol: str
    doc: str
    body: str

    def key(self) -> str:
        """Hash of the body without spaces: equal pieces in different packages have equal keys."""
        return hashlib.blake2b("".join(self.body.split()).encode("utf-8", "replace"), digest_size=10).hexdigest()


def read_records(file: Path) -> Iterator[Record]:
    """Read the records of one package."""
    with file.open() as lines:
        for line in lines:
            yield Record(**json.loads(line))


def main() -> None:
    packages = read_manifest()
    PAIRS.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(2) as processes:
        for done, (name, count) in enumerate(processes.map(_mine_package, packages, chunksize=4), 1):
            if done % 100 == 0 or count > 20_000:
                print(f"{done} of {len(packages)} packages; {name}: {count} records", flush=True)


def _mine_package(package: Package) -> tuple[str, int]:
    target = PAIRS / f"{package.source}-{package.name.replace('/', '+')}.jsonl"
    if target.exists():
        return package.name, 0
    count = 0
    part = target.with_suffix(".part")
    with part.open("w") as out:
        try:
            for path, content in code_files(package):
                for record in records_of(content, path, f"{package.source}/{package.name}"):
                    out.write(json.dumps(asdict(record), ensure_ascii=False) + "\n")
                    count += 1
        except (OSError, EOFError, tarfile.TarError, zipfile.BadZipFile) as error:
            print(f"{package.name}: {error}", file=sys.stderr)
    part.rename(target)
    return package.name, count


def code_files(package: Package) -> Iterator[tuple[str, bytes]]:
    """Yield (path, content) of files of a package that may be learnt from."""
    archive = package.folder() / package.archive
    if not archive.exists():
        return
    licences = FileLicences(copyright_text(package.folder() / package.copyright)) if package.copyright else None
    left = _LARGE_PACKAGE_BYTES if package.group == "large" else _MAX_PACKAGE_BYTES
    for path, content in _members(archive):
        if is_excluded_path("/" + path) or _UNWANTED.search(path):
            continue
        if licences is not None and not licences.allows(path):
            continue
        if left < len(content):
            return
        left -= len(content)
        yield path, content


def _members(archive: Path) -> Iterator[tuple[str, bytes]]:
    """Yield files within the size limit, of languages that are learnt, by their path within the package."""
    if archive.suffix in (".whl", ".zip"):
        with zipfile.ZipFile(archive) as file:
            for info in sorted(file.infolist(), key=lambda i: _shuffled(i.filename)):
                if info.file_size <= _MAX_FILE_BYTES and detect_language(info.filename) in LANGUAGES:
                    yield info.filename, file.read(info)
        return
    opened = binary_tar if archive.suffix == ".deb" else tarfile.open
    with opened(archive) as tar:
        members = [m for m in tar if m.isfile() and m.size <= _MAX_FILE_BYTES and detect_language(m.name) in LANGUAGES]
    members.sort(key=lambda m: _shuffled(m.name))
    wanted, total = [], 0
    for member in members:
        total += member.size
        if total > _LARGE_PACKAGE_BYTES:
            break
        wanted.append(member)
    order = {member.name: place for place, member in enumerate(wanted)}
    found: dict[int, tuple[str, bytes]] = {}
    with opened(archive) as tar:
        for member in tar:
            place = order.get(member.name)
            if place is not None and member.isfile():
                content = tar.extractfile(member)
                assert content is not None
                found[place] = (PurePosixPath(*PurePosixPath(member.name).parts[1:]).as_posix(), content.read())
    for place in sorted(found):
        yield found[place]


def _shuffled(name: str) -> bytes:
    return hashlib.sha256(name.encode("utf-8", "replace")).digest()


def records_of(content: bytes, path: str, package: str) -> Iterator[Record]:
    """Yield the records of one file."""
    language = detect_language(path)
    text = content.decode("utf-8", "replace")
    if "\0" in text or is_generated(text) or max(map(len, text.split("\n")), default=0) > 1_000:
        return
    if language in ("markdown", "restructuredtext"):
        yield from _sections(text, language, package, path)
        return
    definitions = structure_of(text, language, _PARSE_S)
    if not definitions:
        return
    lines = text.split("\n")
    is_test = bool(_TESTS.search(path))
    named = _FAMILIES.get(language, language)
    for definition in definitions:
        if definition.scope_only or (is_test and definition.kind not in _FUNCTIONS):
            continue
        if definition.kind in _FUNCTIONS or definition.kind in _TYPES:
            yield from _definition(definition, lines, named, package, path)


def _definition(definition: Definition, lines: list[str], language: str, package: str, path: str) -> Iterator[Record]:
    first, last = definition.start_row, min(definition.end_row, len(lines) - 1)
    doc_rows = leading_rows(lines, definition.first_row, first, language)
    inner = docstring_rows(lines, first, last, language)
    doc = clean_comment([lines[row] for row in (*doc_rows, *inner)], language)[:_MAX_DOC_CHARS]
    if mostly_licence(doc):
        doc = ""
    hidden = set(inner)
    body = [lines[row] for row in range(first, last + 1) if row not in hidden]
    is_type = definition.kind in _TYPES
    head = _limited(body[:_MAX_BODY_LINES])
    if len(head) >= _MIN_BODY_CHARS:
        yield Record(language, package, path, "type" if is_type else "function", definition.path, doc, head)
    if is_type and doc:
        for start in range(_WINDOW, min(len(body), 6 * _WINDOW), 2 * _WINDOW):
            window = _limited(body[start : start + _WINDOW])
            if len(window) >= _MIN_BODY_CHARS:
                yield Record(language, package, path, "window", definition.path, doc, window)
    if not is_type:
        yield from _blocks(body, definition.path, language, package, path)


def _blocks(body: list[str], symbol: str, language: str, package: str, path: str) -> Iterator[Record]:
    """Yield comments of at least four words within a function, with the lines that follow them; at most two."""
    row = found = 0
    while row < len(body) and found < 2:
        start = row
        while row < len(body) and is_comment(body[row], language):
            row += 1
        if row == start:
            row += 1
            continue
        doc = clean_comment(body[start:row], language)
        following = body[row : row + 12]
        if start > 0 and len(doc.split()) >= 4 and len(_limited(following)) >= _MIN_BODY_CHARS:
            found += 1
            yield Record(language, package, path, "block", symbol, doc[:_MAX_DOC_CHARS], _limited(following))


def _sections(text: str, language: str, package: str, path: str) -> Iterator[Record]:
    """Yield headings with the text below them, at most twenty of a file."""
    heading = (
        re.compile(r"^#{1,4} +(.+?) *#*$", re.MULTILINE)
        if language == "markdown"
        else re.compile(r"^(\S.{3,70})\n[=\-~^]{4,}$", re.MULTILINE)
    )
    marks = list(heading.finditer(text))[:20]
    for at, mark in enumerate(marks):
        end = marks[at + 1].start() if at + 1 < len(marks) else len(text)
        body = _limited(text[mark.end() : end].strip().split("\n")[:_MAX_BODY_LINES])
        if len(body) >= 150 and len(mark[1].split()) >= 2:
            yield Record(language, package, path, "section", "", mark[1].strip(), body)


def _limited(lines: list[str]) -> str:
    return "\n".join(lines).strip("\n")[:_MAX_BODY_CHARS]


if __name__ == "__main__":
    main()
