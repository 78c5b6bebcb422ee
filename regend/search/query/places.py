"""Places: files, and lines in them, in every spelling that editors, compilers, stack traces and web pages have.

Pure, and only about text: the caller finds out which of the files there are. A place is a path whose name looks like
that of a file, or a path with a folder and a line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import unquote

from regend.chunking.detection import is_file_name

MAX_PLACES = 8
"""Maximum places of a text; a stack trace begins or ends with those that matter."""
_MAX_CANDIDATES = 64
_MAX_PATH_CHARS = 400
_MAX_POSSIBLE = 2
"""Maximum pieces of a text that are looked up because they might be files."""
_PATH_CHARS = r"[\w.@+~%&!$/\\-]"
_PATH = re.compile(
    rf"""
    (?P<quote>["'`«])(?P<quoted>[^"'`«»\n<>|*?]{{2,400}}?)["'`»]
    | (?P<plain>
        (?:(?:file|webpack|vscode|https?|git\+ssh|ssh)(?:-internal)?:/{{1,3}})?(?:[A-Za-z]:(?=[\\/])|\$\{{\w+\}}|%\w+%)?
        (?:{_PATH_CHARS}|:(?=\\)|\[[\w.-]*\](?=[/\w.-])|\([\w.-]+\)(?=/)|(?<=[\w#])\#(?=[\w.-]*/))+
      )
    """,
    re.VERBOSE,
)
_MAX_DIGITS = 9
_SPACED = re.compile(r"(?:[A-Za-z]:[\\/]|/)[^\n\"'`<>|*?:()]{1,200}?\.\w{1,12}(?=[:(#]L?\d|:line )")
"""An absolute path with spaces in it, which only a line right behind it tells."""
_LINE = re.compile(
    r"""
    (?:\?[\w=&%.-]*)?                                                   # of a web page
    (?:
      \#[Ll](?:ines?-)?(?P<hash>\d+)(?:C\d+)?(?:[-:~,][Ll]?(?P<hash_end>\d+)(?:C\d+)?)?
      | \#(?:n|lines-)?(?P<short_hash>\d+)(?:[-:](?P<short_end>\d+))?\b
      | :?[ ]?\((?P<bracket>\d+)(?:[,:;-][ ]?\d+)?(?:[,-][ ]?(?P<bracket_end>\d+),[ ]?\d+)?\)
        (?:-\((?P<pair_end>\d+),[ ]?\d+\))?
      | :?\[(?P<square>\d+)(?:[,:][ ]?\d+)?\]
      | \|(?P<quickfix>\d+)(?:[ ]col[ ]\d+)?\|
      | :(?P<from>\d+):\d+-(?P<to>\d+):\d+
      | :(?P<first>\d+)-(?P<last>\d+)(?![:\w])
      | :(?P<colon>\d+)(?:[:,.-]\d+)*
      | ["'`»]?[^\w\n]{0,5}\b(?:on|at|in|near)?[ ]?\b(?:[Ll]ines?|ln|LINE)[ =:"'.,]{1,5}(?P<word>\d+)
        (?:[ ]?(?:-|–|to)[ ]?(?P<word_end>\d+))?
      | ["'`»][,:][ ]?(?P<after>\d+)
      | -(?P<dash>\d+)-
      | (?:\n[ ]+|[ ])(?P<below>\d+):\d+[ ]{2,}(?=\w)                      # eslint, sass
      | :[ ](?P<spaced>\d+):(?=[ ])                                         # groovy
      | \n@@[ ]-[\d,]+[ ]\+(?P<hunk>\d+)
    )(?!\w*\.\w)
    """,
    re.VERBOSE,
)
_WHOLE = re.compile(r"[`']?(?P<path>[^`'\n:][^\n:]*?)(?::(?P<line>\d+)(?::\d+)?)?[`']?:?")
_PIECE = re.compile(
    r"(?<![^\s`'(\[])(?P<path>[^\s`'\"()\[\]<>,;:!?]+?)(?::(?P<line>\d+))?(?=[.:!?]*(?:[\s`'\")\],;]|$))"
)
_LIKE_A_FILE = re.compile(r"(?=.*[^\W\d])(?:.*/|\.\w|.*[^\s./]\.\w[\w+~-]*$)")
"""Has a folder, begins with a dot, or ends as with an extension."""
_BEFORE = re.compile(
    r"(?:(?:\+|\b[Ll]ines?\s)(?P<line>\d+)(?:\s?(?:-|–|to)\s?(?P<last>\d+))?(?:\s(?:of|in)(?:\s(?:the\s)?file)?)?\s+"
    r"|(?i:\b(?:file|in|at)\b)[\s:]*)$"
)
_FRAME = re.compile(r"(?<![\w$.])((?:[a-z_]\w*[./])+)[A-Z_$][\w$]*(?:\.[\w$<>]+)*\($")
"""Packages, class and method before the file of a Java frame."""
_SCHEME = re.compile(r"^(?:file|webpack|vscode|https?|git\+ssh|ssh)(?:-internal)?:/{1,3}")
_WEB = re.compile(r"[\"'`<]?(?:https?|ssh|git\+ssh)://")
_LAST_CALL_FIRST = re.compile(r"most recent call last", re.IGNORECASE)
_HOSTED = re.compile(
    r"""
    ^(?:
      [^/]+/[^/]+/[^/]+/(?:blob|blame|tree|raw|src|edit)/(?:branch/|commit/|tag/)?
      | [^/]+/(?:[^/]+/){2,8}?-/(?:blob|blame|tree|raw|edit)/              # GitLab, where groups have groups
      | raw\.githubusercontent\.com/[^/]+/[^/]+/
    )(?:refs/(?:heads|tags)/)?[^/]+/
    """,
    re.VERBOSE,
)
"""Beginning of a path on a web site that shows repositories: its name, owner, repository and revision."""
_DIFF_SIDE = re.compile(r"^[ab]/(?=.*/)")


class NamedPlace(NamedTuple):
    """A file that a text names.

    Attributes:
        path: with ``/``; relative, or absolute on some machine.
        line: 1-based, or 0 where only the file is named.
        last_line: inclusive; `line` where only one is named.
        start, end: where it stands in the text, with what belongs to its spelling.
    """

    path: str
    line: int
    last_line: int
    start: int
    end: int


def places_in(text: str) -> tuple[NamedPlace, ...]:
    """Return the places that a text names, in order, or the last first in a trace that ends with its cause."""
    found: list[NamedPlace] = []
    at = 0
    for _ in range(_MAX_CANDIDATES):
        match = _PATH.search(text, at)
        if match is None:
            break
        place = _place(text, match.start(), match.end(), match["quoted"])
        if place is None and match["plain"] and (spaced := _SPACED.match(text, match.start())):
            place = _place(text, spaced.start(), spaced.end(), None)
        if place is not None:
            found.append(place)
            at = max(place.end, at + 1)
        else:
            at = match.start() + 1 if match["quoted"] else match.end()  # Within quotes there may still be one.
    if _LAST_CALL_FIRST.search(text):
        found.reverse()
    return tuple(found[:MAX_PLACES])


def possible_places(text: str) -> Iterator[NamedPlace]:
    """Yield what names a file if there is one so called, whatever its extension: the text as a whole, then its pieces.

    Only a text that is nothing else may be a path with spaces in it, or a mere name with a dot: within a sentence, that
    is nearly always code.
    """
    whole = _WHOLE.fullmatch(text) if len(text) <= _MAX_PATH_CHARS else None
    matches = [] if whole is None else [whole]
    if whole is None or " " in text:
        matches += _PIECE.finditer(text)
    count = 0
    for match in matches:
        path = _clean(match["path"])
        if match is whole:
            is_likely = _LIKE_A_FILE.match(match["path"]) is not None or is_file_name(path)
        else:
            is_likely = "/" in path or path.startswith(".")
        if path and count < _MAX_POSSIBLE and is_likely:
            count += 1
            line = _number(match["line"] or "0")
            yield NamedPlace(path, line, line, match.start(), match.end())


def _place(text: str, start: int, end: int, quoted: str | None) -> NamedPlace | None:
    """Return the place that a run of path characters, or a quoted text, is."""
    if quoted is not None:
        inner = _inner(quoted)
        if inner is None:
            return None
        path, line, last = inner
    else:
        raw = _trimmed(text[start:end], text[end : end + 1])
        end = start + len(raw)
        path, line, last = _clean(raw), 0, 0
    if not line:
        behind = _LINE.match(text, end)
        if behind is not None:
            line, last = _numbers(behind)
            end = behind.end()
    before = _BEFORE.search(text[max(0, start - 40) : start])
    if before is not None:
        if before["line"] and not line:
            line = _number(before["line"])
            last = max(line, _number(before["last"] or "0"))
        if before["line"] or quoted is not None:
            start -= len(before[0])
    frame = _FRAME.search(text[max(0, start - 300) : start])
    if frame is not None and "/" not in path:
        path = frame[1].replace(".", "/") + path
    web = _WEB.match(text[start:end])
    if not _names_a_file(path, line) or (web and not line and not _HOSTED.match(text[start + web.end() : end])):
        return None  # Most web pages that end so are no files of anybody's tree.
    return NamedPlace(path, line, last, start, end)


def _inner(quoted: str) -> tuple[str, int, int] | None:
    """Return path and lines of a quoted text that is nothing but a place."""
    for at, char in enumerate(quoted):
        if char in ":(#[|" and (found := _LINE.fullmatch(quoted, at)):
            return (_clean(quoted[:at]), *_numbers(found))
    path = _clean(quoted)
    return (path, 0, 0) if path and path == path.strip() else None


def _trimmed(raw: str, following: str) -> str:
    """Return what of a run of path characters belongs to a path."""
    dashed = re.search(r"-\d+-", raw)
    if dashed and is_file_name(raw[: dashed.start()].rpartition("/")[2]):  # As grep shows lines around a match.
        return raw[: dashed.start()]
    return raw.rstrip(".!,-") if not following.strip() or following in "\"')]}>;,:" else raw


def _number(digits: str) -> int:
    """Return a line's number; of one that no file has, the beginning. Python refuses to read thousands of digits."""
    return int(digits[:_MAX_DIGITS])


def _numbers(found: re.Match[str]) -> tuple[int, int]:
    groups = found.groupdict()
    first = next(_number(groups[key]) for key in _FIRST if groups[key])
    last = next((_number(groups[key]) for key in _LAST if groups[key]), first)
    return max(first, 1), max(first, last, 1)


_FIRST = (
    "hash", "short_hash", "bracket", "square", "quickfix", "from", "first", "colon", "word", "after", "dash", "below",
    "spaced", "hunk",
)  # fmt: skip
_LAST = ("hash_end", "short_end", "bracket_end", "pair_end", "to", "last", "word_end")


def _clean(path: str) -> str:
    """Return a path with ``/``, without scheme, host, drive and the signs that only say where it begins."""
    scheme = _SCHEME.match(path)
    if scheme is not None:
        path = unquote(path[scheme.end() :])
        if scheme[0].startswith("file"):
            path = "/" + path.lstrip("/")
        else:
            path = "/" + (_HOSTED.sub("", path) if _HOSTED.match(path) else path.partition("/")[2] or path)
    path = path.replace("\\\\", "/").replace("\\", "/")
    path = re.sub(r"^/?[A-Za-z]:(?=/)", "", path)
    path = re.sub(r"^(?:~|\$\w+|\$\{\w+\}|%\w+%)/", "/", path)
    path = re.sub(r"^(?:\./)+", "", _DIFF_SIDE.sub("", path))
    path = re.sub(r"/(?:\./)+|//+", "/", path)
    return path.rstrip("/")


def _names_a_file(path: str, line: int) -> bool:
    """Return whether it ends as a file's path does; ``a.b.c`` is a qualified name rather than a C file."""
    folder, slash, name = path.rpartition("/")
    if not name or name.strip(".") == "" or path.endswith("/"):
        return False
    if not is_file_name(name):
        return bool(line and slash and folder.strip("/.") and re.fullmatch(r"[\w.@+ -]*[A-Za-z_][\w.@+ -]*", name))
    if slash or line:
        return True
    extension = name.rpartition(".")[2]
    if name.startswith(".") or "." not in name:
        return False  # `.py` is an extension, and `Makefile` a word.
    return len(extension) > 1 or name.count(".") == 1
