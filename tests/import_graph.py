"""Who imports whom, read from source with `ast`: what the architecture test checks, as functions over sources.

Nothing is imported or run. Imports inside functions count, and so do those under `TYPE_CHECKING`: a type is a
dependency.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

Sources = Mapping[str, str]
"""Dotted module name -> source text. A package is named like its directory and ends in ``.__init__`` nowhere."""


@dataclass(frozen=True, slots=True)
class Import:
    """One import.

    Attributes:
        target: the module, as dotted name.
        lazy: inside a function, so it costs nothing at start-up.
        typing: under ``if TYPE_CHECKING:``, so it never happens.
    """

    target: str
    line: int
    lazy: bool
    typing: bool


def read_sources(package: Path) -> dict[str, str]:
    """All modules below a package directory."""
    sources = {}
    for file in sorted(package.rglob("*.py")):
        parts = file.relative_to(package.parent).with_suffix("").parts
        sources[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file.read_text()
    return sources


def imports_of(name: str, sources: Sources) -> list[Import]:
    """The imports of a module, in order. A name imported from a package is a module where there is such a module."""
    found: list[Import] = []
    is_package = _is_package(name, sources)

    def visit(node: ast.AST, lazy: bool, typing: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, node.lineno, lazy, typing) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = name.split(".")
                parts = parts[: len(parts) - node.level + is_package]
                base = ".".join([*parts, base] if base else parts)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                found.append(Import(inner if inner in sources else base, node.lineno, lazy, typing))
        elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__") and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                found.append(Import(first.value, node.lineno, lazy, typing))
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            for child in node.body:
                visit(child, lazy, True)
            for child in node.orelse:
                visit(child, lazy, typing)
            return
        inside = lazy or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        for child in ast.iter_child_nodes(node):
            visit(child, inside, typing)

    visit(ast.parse(sources[name]), False, False)
    return found


def _is_package(name: str, sources: Sources) -> bool:
    return any(other.startswith(f"{name}.") for other in sources)


def _called(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _is_type_checking(test: ast.expr) -> bool:
    return (test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")) == "TYPE_CHECKING"


def within(module: str, prefix: str) -> bool:
    """Whether `module` is `prefix` or lies in it."""
    return module == prefix or module.startswith(f"{prefix}.")


def third_party(target: str, own: str = "regend") -> str:
    """The distribution-level name of a foreign import; empty for our own and the standard library's."""
    top = target.partition(".")[0]
    return "" if top == own or top in sys.stdlib_module_names else top


def forbidden_edges(sources: Sources, edges: Mapping[str, tuple[str, ...]], own: str = "regend") -> Iterator[str]:
    """Imports between our modules that no row of `edges` allows. The row with the longest matching name counts."""
    for name in sources:
        rows = [prefix for prefix in edges if within(name, prefix) and (prefix != own or name == own)]
        if not rows:
            yield f"{name} has no row in the table of edges"
            continue
        row = max(rows, key=len)
        for found in imports_of(name, sources):
            if within(found.target, own) and not any(
                found.target == allowed[:-2] or (allowed.endswith(".*") and within(found.target, allowed[:-2]))
                or found.target == allowed
                for allowed in edges[row]
            ):  # fmt: skip
                yield f"{name}:{found.line} imports {found.target}, which `{row}` may not"


def cycle(sources: Sources) -> list[str]:
    """One cycle of modules that import each other, or nothing."""
    graph = {n: [i.target for i in imports_of(n, sources) if i.target in sources] for n in sources}
    done: set[str] = set()

    def search(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for target in graph[name]:
            if found := search(target, [*path, name]):
                return found
        done.add(name)
        return []

    for name in sorted(graph):
        if found := search(name, []):
            return found
    return []


def longest_chain(sources: Sources, package: str) -> list[str]:
    """The longest chain of a package's own modules, each of which imports the next, directly or by way of others."""
    inside = {name for name in sources if within(name, package)}
    chains: dict[str, list[str]] = {}

    def chain(name: str) -> list[str]:
        if name not in chains:
            below = [chain(found.target) for found in imports_of(name, sources) if found.target in inside - {name}]
            own = [name] if name.rpartition(".")[0] == package else []
            chains[name] = own + max(below, key=len, default=[])
        return chains[name]

    return max((chain(name) for name in sorted(inside)), key=len, default=[])


def crowded_folders(sources: Sources, most: int) -> Iterator[str]:
    """Packages with more than `most` modules of their own."""
    counts = Counter(name.rpartition(".")[0] for name in sources if not _is_package(name, sources))
    for package, count in sorted(counts.items()):
        if count > most:
            yield f"{package} has {count} modules; give some a folder of their own (at most {most})"


def impure(
    sources: Sources, pure: Mapping[str, frozenset[str]], forbidden: frozenset[str], builtins: frozenset[str]
) -> Iterator[str]:
    """IO in modules that must have none.

    Args:
        pure: module or package -> foreign packages that it may import.
        forbidden: modules of the standard library that no pure module may import.
        builtins: functions that no pure module may call.
    """
    for name in sources:
        rows = [prefix for prefix in pure if within(name, prefix)]
        if not rows:
            continue
        allowed = pure[max(rows, key=len)]
        for found in imports_of(name, sources):
            top = found.target.partition(".")[0]
            foreign = third_party(found.target)
            if (top in forbidden or foreign) and top not in allowed:
                yield f"{name}:{found.line} imports {found.target}, but it must be pure"
        for node in ast.walk(ast.parse(sources[name])):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in builtins - allowed:
                yield f"{name}:{node.lineno} calls {node.func.id}(), but it must be pure"


def loaded_by(start: str, sources: Sources) -> set[str]:
    """Everything that importing `start` imports at once: our modules, and the names of foreign ones."""
    seen: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        parent = name.rpartition(".")[0]
        if parent:
            waiting.append(parent)
        if name in sources:
            waiting += [i.target for i in imports_of(name, sources) if not i.lazy and not i.typing]
    return seen


def foreign_imports(sources: Sources, owners: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """Foreign packages that are imported where `owners` does not allow it, or not named there at all."""
    for name in sources:
        for found in imports_of(name, sources):
            top = third_party(found.target)
            if top and top not in owners:
                yield f"{name}:{found.line} imports {top}, which no row allows"
            elif top and not any(within(name, owner) for owner in owners[top]):
                yield f"{name}:{found.line} imports {top}, which is for {', '.join(owners[top])}"


def long_modules(files: Iterable[Path], most: int) -> Iterator[str]:
    """Files of more than `most` lines."""
    for file in files:
        count = len(file.read_text().splitlines())
        if count > most:
            yield f"{file} has {count} lines; split it by reason to change (at most {most})"
