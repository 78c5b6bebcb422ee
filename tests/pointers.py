"""Names in docstrings, comments and pages must name what exists: read from sources with `ast`, nothing is imported.

Four kinds of names in backticks are looked up; all others may be words of SQL, of a shell, or of other programs:

- dotted names that begin with a module, package or class of ours,
- paths that begin with a folder of ours, also without backticks,
- names in CamelCase, and
- names with an underscore or with parentheses behind them.

The last two must be an identifier or a word of a string somewhere in the code, which is weak but finds what is gone.
"""

from __future__ import annotations

import ast
import builtins
import functools
import io
import re
import tokenize
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

FOLDERS = ("regend", "tests", "benchmarks", "training", "docs", "systemd", "launchd")
_CODE = re.compile(r"(?<!`)(`{1,2})(?!`)([^`\n]+)\1(?!`)")
_DOTTED = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+")
_CAMEL = re.compile(r"[A-Z][a-z0-9]+(?:[A-Z][a-z0-9]*)+")
_SNAKE = re.compile(r"[a-z]\w*_\w*|[A-Z][A-Z0-9]*_[A-Z0-9_]+")
_FILE_ENDS = frozenset(("c", "cpp", "db", "err", "go", "json", "log", "md", "npz", "onnx", "py", "rs", "toml", "txt"))
FOREIGN = frozenset(
    (
        *("core.ignoreCase", "core.excludesFile"),  # git's configuration
        *("add_patterns_from_buffer", "match_pathname", "simple_length", "trim_trailing_spaces"),  # git's functions
        *("sd_notify", "sun_path"),  # systemd's and the kernel's
        *("delete_documents_by_term", "pooler_output"),  # tantivy's, and of models in the ONNX format
    )
)
"""Names of other programs that look like ours."""


@functools.cache
def nodes(source: str) -> tuple[ast.AST, ...]:
    """Walk the syntax tree of a source, once."""
    return tuple(ast.walk(ast.parse(source)))


@functools.cache
def comments(source: str) -> tuple[tokenize.TokenInfo, ...]:
    """Pick the comments of a source, once."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    return tuple(token for token in tokens if token.type == tokenize.COMMENT)


@dataclass(slots=True)
class Module:
    """The names of one module: its own ones and what it imports, and the members and bases of its classes."""

    names: set[str] = field(default_factory=set)
    used: set[str] = field(default_factory=set)
    members: dict[str, set[str]] = field(default_factory=dict)
    bases: dict[str, list[str]] = field(default_factory=dict)


def read_module(source: str) -> Module:
    """Collect the names of a module."""
    made = Module()
    strings = {id(node.value) for node in nodes(source) if isinstance(node, ast.Expr)}
    for node in nodes(source):
        match node:
            case ast.Name(id=name) | ast.arg(arg=name) | ast.Attribute(attr=name) | ast.keyword(arg=str(name)):
                made.used.add(name)
            case ast.alias():
                made.used |= {*node.name.split("."), node.asname or ""}
                made.names.add(node.asname or node.name.partition(".")[0])
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                made.used.add(node.name)
            case ast.ClassDef():
                made.used.add(node.name)
                made.bases[node.name] = [ast.unparse(base).partition("[")[0].rpartition(".")[2] for base in node.bases]
                made.members.setdefault(node.name, set()).update(_members(node))
            case ast.Constant(value=str(text)) if id(node) not in strings:
                made.used |= set(re.findall(r"[A-Za-z_]\w+", text))
    made.names |= _bound(getattr(nodes(source)[0], "body", []))
    return made


def _bound(body: list[ast.stmt]) -> set[str]:
    """Collect the names that statements bind, also within `if` and `try`."""
    found: set[str] = set()
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name for alias in node.names}
        found |= {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
        for inner in ("body", "orelse", "handlers", "finalbody"):
            found |= _bound([part for part in getattr(node, inner, []) if isinstance(part, ast.stmt)])
    return found


def _members(node: ast.ClassDef) -> set[str]:
    """Collect what a class binds, and what its methods assign to attributes."""
    found = _bound(node.body)
    for part in ast.walk(node):
        if isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store):
            found.add(part.attr)
        elif isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value.isidentifier():
            found.add(part.value)  # `__slots__` and the names of a functional enum.
    return found


def _is_a_name(code: str) -> bool:
    return bool(_CAMEL.fullmatch(code) or _SNAKE.fullmatch(code) or re.fullmatch(r"[a-z]\w*\(\)", code))


class Names:
    """All names of a tree of sources. Immutable once made."""

    def __init__(self, sources: Mapping[str, str], files: frozenset[str]) -> None:
        self.files = files
        self.modules: dict[str, Module] = {}
        for file, source in sources.items():
            dotted = file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            self.modules[dotted] = read_module(source)
        stems = {dotted.rpartition(".")[2] for dotted in self.modules}
        self.words = FOREIGN.union(dir(builtins), stems, *(module.used for module in self.modules.values()))

    def missing(self, file: str, line: str) -> Iterator[str]:
        """Find the names in one line of prose that name nothing."""
        for path in re.findall(
            rf"(?<![\w./*-])(?:{'|'.join(FOLDERS)})/[\w./-]+\.(?:py|md|toml|service|socket)\b", line
        ):
            if path not in self.files:
                yield path
        for _, code in _CODE.findall(line):
            name = code.strip().removesuffix("()")
            if re.fullmatch(r"(?:\w+/)+\w+\.py", name) and not name.startswith(FOLDERS):
                if self._is_own(name) and f"regend/{name}" not in self.files:
                    yield name
            elif _DOTTED.fullmatch(name):
                if not self._is_known(name.split("."), file):
                    yield name
            elif file.endswith(".py") and _is_a_name(code) and name not in self.words:
                yield name

    def _is_own(self, path: str) -> bool:
        return any(file.startswith(f"regend/{path.partition('/')[0]}/") for file in self.files)

    def _is_known(self, parts: list[str], file: str) -> bool:
        """Resolve a dotted name. One that begins with nothing of ours is known to others."""
        if not _FILE_ENDS.isdisjoint(parts[1:]) or ".".join(parts) in FOREIGN or self._is_setting(parts):
            return True
        ours = False
        for count in range(1, len(parts) + 1):
            for dotted in self._tails.get(".".join(parts[:count]), ()):
                ours = True
                if self._has(dotted, parts[count:]):
                    return True
        if owners := [name for name, module in self.modules.items() if parts[0] in module.members]:
            ours = True
            if any(self._has(owner, parts) for owner in owners):
                return True
        here = self.modules.get(file.removesuffix(".py").replace("/", "."))
        is_variable = (
            f"{parts[0]}{parts[1]}".islower() and parts[1] in self.words and (here is None or parts[0] in here.used)
        )
        return not ours or is_variable

    @functools.cached_property
    def _tails(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for dotted in self.modules:
            parts = dotted.split(".")
            for start in range(len(parts)):
                found.setdefault(".".join(parts[start:]), []).append(dotted)
        return found

    def _is_setting(self, parts: list[str]) -> bool:
        config = self.modules.get("regend.config", Module()).members
        return parts[0] in config.get("Config", ()) and any(parts[-1] in members for members in config.values())

    def _has(self, dotted: str, rest: list[str]) -> bool:
        """Tell whether a module has a name, and the class of that name its member."""
        module = self.modules[dotted]
        if not rest:
            return True
        if f"{dotted}.{rest[0]}" in self.modules:
            return self._has(f"{dotted}.{rest[0]}", rest[1:])
        if rest[0] not in module.names:
            return False
        return len(rest) == 1 or rest[0] not in module.members or self._has_member(rest[0], rest[1])

    def _has_member(self, name: str, member: str) -> bool:
        """Look in all classes of that name and in their bases; a base from elsewhere may have anything."""
        owners = [module for module in self.modules.values() if name in module.members]
        if not owners:
            return name not in ("object", "Protocol", "NamedTuple", "Struct", "Enum", "IntEnum", "StrEnum", "ABC")
        return any(
            member in owner.members[name] or any(self._has_member(base, member) for base in owner.bases[name])
            for owner in owners
        )


def lines_of_source(source: str) -> Iterator[tuple[int, str]]:
    """Read the lines of docstrings and comments."""
    for node in nodes(source):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield from enumerate(node.value.value.split("\n"), start=node.lineno)
    yield from ((token.start[0], token.string) for token in comments(source))


def lines_of_page(page: str) -> Iterator[tuple[int, str]]:
    """Read the lines outside of fenced blocks."""
    fenced = False
    for number, line in enumerate(page.split("\n"), start=1):
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced:
            yield number, line


def tracked(repository: Path) -> frozenset[str]:
    """List the files that names may point to."""
    found = [file for folder in FOLDERS for file in (repository / folder).rglob("*")] + list(repository.glob("*"))
    return frozenset(file.relative_to(repository).as_posix() for file in found if file.is_file())
