"""The English rules of the house: one table of patterns, and readers that find the prose of sources and pages.

`python -m tests.english [PATH]...` prints one line for each finding in the tree or below the paths, in the form
`file:line: words -> remedy`. Nothing is imported or run. Text in backticks and in fenced blocks is code and is not
judged.
"""

from __future__ import annotations

import ast
import functools
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.pointers import Names, comments, lines_of_page, lines_of_source, nodes, tracked

REPOSITORY = Path(__file__).parents[1]
SOURCE_FOLDERS = ("regend", "benchmarks", "training", "tests")
PLAIN_FILES = ("Makefile", "pyproject.toml", "systemd/regend.service", "systemd/regend.socket")


@dataclass(frozen=True, slots=True)
class Rule:
    """One banned construction.

    Attributes:
        pattern: searched in each sentence, so that ``^`` and ``$`` are the sentence's ends; case counts.
        remedy: what to write instead.
        bad: sentences that the rule must find.
        good: sentences that it must leave alone.
        of_functions: the rule is about the first sentence of a function's docstring and nothing else.
    """

    pattern: str
    remedy: str
    bad: tuple[str, ...]
    good: tuple[str, ...]
    of_functions: bool = False


_NOT_VERBS = (
    "A|About|Adjacent|After|All|Also|An|And|Another|Any|Anything|As|At|Because|Before|Behind|Between|Binary|Both|But|"
    "By|Can|Context|Cosine|Decoder|Did|Do|Does|Each|Either|Else|Entry|Every|Everything|Exact|Few|First|For|Four|From|"
    "Has|Her|Here|His|How|If|In|Into|Inverse|Is|It|Its|Latest|Many|May|Mean|Might|More|Most|Much|My|No|None|Not|"
    "Nothing|Of|Okapi|On|Once|One|Only|Or|Other|Our|Own|Path|Peak|Quotation|Regular|Resident|Same|Scheme|Shannon|"
    "Should|Shutdown|Since|Size|So|Some|Something|Stable|Such|Term|Than|That|The|Their|Them|Then|There|These|They|"
    "This|Those|Three|To|Token|Total|True|Two|Under|Unit|Until|Up|Upon|Usual|Was|We|Were|What|When|Where|Whether|"
    "Which|While|Who|Whoever|Whose|Why|With|Within|Without|You|Your"
)

RULES = (
    Rule(r"(?i)\bdear(?:er|est|ly)?\b", "expensive", ("A deep look is dear.",), ("A deep look is expensive.",)),
    Rule(r"(?i)\banew\b", "again", ("It is read anew.",), ("It is read again.", "A renewal.")),
    Rule(
        r"(?i)\bin\s+(?:the\s+)?place\s+of\b",
        "instead of",
        ("Windows in place of syntax.", "Windows in\nplace of syntax."),
        ("Windows instead of syntax.", "The file is in place.", "Changed in place; of use later."),
    ),
    Rule(
        r"(?i)\b(?:make|makes|made|making)\s+(?:\w+\s+)?good\b",
        "repaired",
        ("The index is made good later.", "It makes it good later."),
        ("The index is repaired later.", "A good index is made."),
    ),
    Rule(
        r"(?i)\bunder\s+way\b",
        "in progress",
        ("Requests under way finish.",),
        ("Requests in progress finish.", "A path under wayland."),
    ),
    Rule(
        r"(?i)\bslips?\s+of\s+the\s+keys\b",
        "typo",
        ("It is a slip of the keys.", "Slips of the\nkeys are put right."),
        ("It is a typo.",),
    ),
    Rule(
        r"(?i)\b(?:most|more|less|least|very|as|so|is|are|was|were)\s+telling\b|\btelling\s+(?:word|line|name|part)s?\b",
        "relevant",
        ("Its most telling lines.", "The line is telling.", "Two telling words."),
        ("It goes without telling the caller.", "By telling each client.", "Its most relevant lines."),
    ),
    Rule(
        r"(?i)\b(?:nobody|somebody|nobody's|somebody's)\b",
        "name the actor: the caller, the user, no task",
        ("Somebody waits for it.", "A key that nobody reads."),
        ("A task waits for it.", "No code reads the key.", "Show the body."),
    ),
    Rule(r"\b[Ss]hall\b", "must", ("Files shall be read.",), ("Files must be read.", "A shallow copy.")),
    Rule(
        r"^Of\b(?!\s+course)",
        "begin with the subject, not with `Of`",
        ("Of more that tie, none does.",),
        ("None of the items that tie comes first.", "Of course."),
    ),
    Rule(
        r"^So\s+(?:many|much|few|little|often|long)\b",
        "begin with the subject, not with `So many`",
        ("So many results are read.",),
        ("At most this many results are read.", "So the file is kept."),
    ),
    Rule(
        r"^What(?:ever)?\b(?s:.(?!\?\W*$))*$",
        "begin with the subject, not with `What`",
        ("What differs is read again.", "What a worker reports."),
        ("What is slow?", "Files that differ are read again.", "Report of a worker."),
    ),
    Rule(
        r"\b(?:is|was|are|were|be|has)\s+none(?=\s*(?:[.;:!)]|$))",
        "say what there is not: `there is no such file`",
        ("A query that took longer was none.", "There is none; it waits."),
        ("The result is None.", "There is no such query.", "There was none of them."),
    ),
    Rule(
        rf"^(?:{_NOT_VERBS})\b(?!-)",
        "begin a function's docstring with an imperative verb: Return, Merge, Drop",
        ("The path of the socket.", "Whether it fits.", "A chunk's text.", "All modules.", "Inverse of `doc_id`."),
        ("Return the path of the socket.", "Tell whether it fits.", "Allow two.", "Append a chunk.", "Open a file."),
        of_functions=True,
    ),
    Rule(
        r"^[A-Z]?[\w@/]*[^s\W]s\b(?!')|^(?!(?:Embed|Exceed|Feed|Need|Proceed|Seed|Shed|Speed|Succeed)\b)[A-Z]\w+ed\b",
        "begin a function's docstring with an imperative verb: Return, Merge, Drop",
        ("Returns the path.", "Chunks of a blob.", "Files, sorted.", "Stored vectors.", "Wakes up."),
        ("Return the path.", "Process the item.", "Pass it on.", "Compress the log.", "Embed texts.", "Feed a worker."),
        of_functions=True,
    ),
    Rule(
        r"^(?:[^A-Z]|[A-Z][A-Z0-9@]|[A-Z]\w*'|[A-Z]\b|(?!Re-)[A-Z]\w*-)",
        "begin a function's docstring with an imperative verb: Return, Merge, Drop",
        ("`count` of them.", "(name, size) of each.", "BM25 of a term.", "C names.", "Lower-case it.", "Seconds' sum."),
        ("Return `count`.", "Re-read the file.", "Set the size."),
        of_functions=True,
    ),
)


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of prose, code masked.

    Attributes:
        file: relative to the repository.
        line: where it begins, from 1.
        of_function: it opens the docstring of a function that must begin with a verb.
    """

    file: str
    line: int
    text: str
    of_function: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """Prose or a name that breaks a rule."""

    file: str
    line: int
    words: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.words} -> {self.remedy}"


def judge(sentence: Sentence) -> Iterator[Finding]:
    """Find what breaks a rule in a sentence."""
    for rule in RULES:
        if rule.of_functions and not sentence.of_function:
            continue
        if match := re.search(rule.pattern, sentence.text):
            line = sentence.line + sentence.text.count("\n", 0, match.start())
            words = " ".join(sentence.text[match.start() :].split()[:6])
            yield Finding(sentence.file, line, words, rule.remedy)
            if rule.of_functions:
                return


def split(file: str, line: int, text: str, of_function: bool = False) -> Iterator[Sentence]:
    """Cut a block of prose into sentences; only the first one can open a function's docstring."""
    masked = re.sub(r"`+[^`]+`+", lambda code: re.sub(r"[^\n`]", "_", code[0]), text)
    start = 0
    for end in [match.end() for match in re.finditer(r"[.!?][\"')*_]*\s+(?=[\W_]*[A-Z])", masked)] + [len(masked)]:
        piece = masked[start:end]
        opening = len(piece) - len(piece.lstrip())
        if body := piece.strip():
            yield Sentence(file, line + masked.count("\n", 0, start + opening), body, of_function)
        start, of_function = end, False


# --- sources ----------------------------------------------------------------------------------------------------------


def prose_of_source(file: str, source: str) -> Iterator[Sentence]:
    """Read the docstrings, comments and messages of a module. Strings in tests are data, no messages."""
    docs: set[int] = set()
    data = {id(child) for node in nodes(source) if _splits_words(node) for child in ast.walk(node)}
    for node in nodes(source):
        for owner, text in _docstrings(node):
            docs.add(id(text))
            assert isinstance(text.value, str)
            blocks = _blocks(text.value)
            for number, (offset, block) in enumerate(blocks):
                yield from split(
                    file, text.lineno + offset, block, number == 0 and _must_begin_with_a_verb(owner, file)
                )
    yield from _comments(file, source)
    if not file.startswith("tests/"):
        for node in nodes(source):
            if isinstance(node, ast.JoinedStr):
                docs |= {id(part) for part in node.values}
                yield from _message(file, node.lineno, "".join(_text(part) for part in node.values))
        for node in nodes(source):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs | data:
                yield from _message(file, node.lineno, node.value)


def _splits_words(node: ast.AST) -> bool:
    """Recognise a list of words that is written as one string."""
    return isinstance(node, ast.Call) and bool(re.search(r"split|listed", ast.unparse(node.func)))


def _docstrings(node: ast.AST) -> Iterator[tuple[ast.AST | None, ast.Constant]]:
    """Find strings that stand alone in a body, with their function when they are its docstring."""
    body = getattr(node, "body", None)
    for number, child in enumerate(body if isinstance(body, list) else []):
        if isinstance(child, ast.Expr) and isinstance(child.value, ast.Constant) and isinstance(child.value.value, str):
            yield node if number == 0 else None, child.value


def _must_begin_with_a_verb(owner: ast.AST | None, file: str) -> bool:
    """Tell functions from what is named by a noun: properties, fixtures, tests, constructors."""
    if not isinstance(owner, ast.FunctionDef | ast.AsyncFunctionDef) or file.startswith("tests/"):
        return False
    marks = " ".join(ast.unparse(decorator) for decorator in owner.decorator_list)
    return owner.name != "__init__" and not re.search(r"property|fixture|\.setter\b", marks)


def _blocks(text: str) -> list[tuple[int, str]]:
    """Cut a docstring into paragraphs and entries such as ``name: meaning``, each with the line it begins at."""
    found: list[tuple[int, list[str]]] = []
    indent = -1
    for number, line in enumerate(text.split("\n")):
        depth = len(line) - len(line.lstrip()) if number else -1
        if not line.strip():
            indent = -2
        elif found and indent != -2 and depth >= indent and not re.match(r"\s*(?:[-*] |[\w`, *]+: |[\w ]+:$)", line):
            found[-1][1].append(line)
        else:
            found.append((number, [line]))
            indent = depth
    return [(number, _without_label("\n".join(lines))) for number, lines in found]


def _without_label(text: str) -> str:
    return re.sub(r"^(\s*)(?:[-*] |[a-z_`]\w*(?:, \w+)*`?: )", r"\1", text)


def _comments(file: str, source: str) -> Iterator[Sentence]:
    """Join comments on lines of their own; one behind code stands alone."""
    start, lines, column, last = 0, [""], -1, -1
    for token in comments(source):
        if re.match(r"#(?:!| noqa| type:| fmt:| ruff:)", token.string):
            continue
        row, place = token.start
        text = token.string.lstrip("#").strip()
        if row == last + 1 and place == column and token.line.lstrip().startswith("#"):
            lines.append(text)
        else:
            yield from split(file, start, "\n".join(lines))
            start, lines, column = row, [text], place
        last = row
    yield from split(file, start, "\n".join(lines))


def _text(part: ast.expr) -> str:
    return part.value if isinstance(part, ast.Constant) and isinstance(part.value, str) else "_"


def _message(file: str, line: int, text: str) -> Iterator[Sentence]:
    """Take a string for a message when it has three words."""
    if len(text.split()) >= 3:
        for sentence in split(file, line, text):
            yield Sentence(file, line, " ".join(sentence.text.split()))


# --- pages ------------------------------------------------------------------------------------------------------------


def prose_of_page(file: str, page: str) -> Iterator[Sentence]:
    """Read paragraphs, list items and table cells. Headings are no sentences; only their words are judged."""
    block: list[str] = []
    start = 0
    fenced = False
    for number, line in enumerate([*page.split("\n"), ""], start=1):
        if line.startswith("```"):
            fenced = not fenced
        opens = re.match(r"\s*(?:[-*] |\d+\. )", line)
        row = re.match(r"[#|<]", line)
        if fenced or line.startswith("```") or not line.strip() or opens or row:
            yield from split(file, start, "\n".join(block))
            block = []
        if fenced or line.startswith("```") or not line.strip():
            continue
        if row:
            for cell in re.split(r"(?<!\\)\|", line.lstrip("#")):
                if line[0] != "#":
                    yield from split(file, number, cell)
                else:
                    yield Sentence(file, number, f"# {cell}")
            continue
        if not block:
            start = number
        block.append(re.sub(r"^(\s*)(?:[-*] |\d+\. )", r"\1", line))


def prose_of_plain(file: str, text: str) -> Iterator[Sentence]:
    """Read the lines that are comments, in files where `#` begins one."""
    lines = [line.lstrip("# ") if line.lstrip().startswith("#") else "" for line in text.split("\n")]
    yield from prose_of_page(file, "\n".join(lines))


# --- the tree ---------------------------------------------------------------------------------------------------------


@functools.cache
def sources() -> dict[str, str]:
    """Read all modules: path relative to the repository -> source."""
    files = (file for folder in SOURCE_FOLDERS for file in sorted((REPOSITORY / folder).rglob("*.py")))
    return {file.relative_to(REPOSITORY).as_posix(): file.read_text() for file in files}


@functools.cache
def pages() -> dict[str, str]:
    """Read all pages: path relative to the repository -> text."""
    files = [*sorted(REPOSITORY.glob("*.md")), *sorted((REPOSITORY / "docs").rglob("*.md"))]
    return {file.relative_to(REPOSITORY).as_posix(): file.read_text() for file in files}


def findings() -> list[Finding]:
    """Judge the whole tree."""
    sentences = [sentence for file, source in sources().items() for sentence in prose_of_source(file, source)]
    sentences += [sentence for file, page in pages().items() for sentence in prose_of_page(file, page)]
    for file in PLAIN_FILES:
        sentences += prose_of_plain(file, (REPOSITORY / file).read_text())
    return [finding for sentence in sentences for finding in judge(sentence)] + list(stale())


def stale() -> Iterator[Finding]:
    """Find names in docstrings, comments and pages that name nothing."""
    names = Names(sources(), tracked(REPOSITORY))
    texts = [(file, lines_of_source(source)) for file, source in sources().items()]
    texts += [(file, lines_of_page(page)) for file, page in pages().items()]
    for file, lines in texts:
        for number, line in lines:
            for name in names.missing(file, line):
                yield Finding(file, number, f"`{name}`", "name what exists")


def main(paths: list[str]) -> int:
    """Print the findings below the paths; 1 if there are any."""
    found = sorted(findings(), key=lambda finding: (finding.file, finding.line))
    shown = [finding for finding in found if not paths or finding.file.startswith(tuple(paths))]
    print(*shown, f"{len(shown)} findings", sep="\n")
    return 1 if shown else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
