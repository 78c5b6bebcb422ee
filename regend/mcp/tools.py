"""The tools that agents see: what each is for, and its arguments, which are those of the socket's requests.

An agent reads nothing but this before it decides whether to ask regend or to run grep.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields
from typing import Any

import msgspec

from regend.errors import RpcError
from regend.fields import Checked, declare
from regend.limits import MODES
from regend.rpc import query_messages as asks

DEFAULT_BUDGET_TOKENS = 2_000
"""Tokens of an answer, if the agent names no other number."""

INSTRUCTIONS = """\
regend keeps a search index of the user's repositories that is always up to date, your own edits included.
- search_code: find code by what it does, by words or by names. Ask it first, before grep, find or reading files, when \
you do not know where something is. A sentence works as well as an identifier.
- find_symbol: where a class, function or constant is defined, when you know its name.
- related_code: code like that at a file and line: other implementations, callers' neighbours, tests, copies.
- outline: the definitions of a file with their lines; read it instead of a whole large file.
- index_status: what is indexed, and whether it is complete.
Use grep to count or list every occurrence of an exact text, and to search files that are not indexed.
An answer names the searched roots, whether the index is complete, and places as path:first-last."""

_ROOT = (
    "absolute path of the repository to search, or of a directory in it; `all` for every indexed repository; "
    "left out: the current project"
)
_FILE = "path of the file: absolute, or relative to the current project"
_BUDGET = f"most tokens of the answer, 100 at least; {DEFAULT_BUDGET_TOKENS:,} if left out"
_OWN_DOCS = {"root": _ROOT, "file": _FILE, "budget": _BUDGET}
"""Arguments whose meaning is wider for an agent than on the socket."""


@dataclass(frozen=True, slots=True)
class StatusArguments(Checked):
    root: str = declare(_ROOT, "")


@dataclass(frozen=True, slots=True)
class IndexArguments(Checked):
    root: str = declare("absolute path of the directory to index; left out: the current project", "")
    again: bool = declare("read every file again, if it is indexed already", False)
    mode: str = declare(
        "read every file again in this mode: `sequential`, `parallel` or `pipeline`", "", choices=("", *MODES)
    )


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool.

    Attributes:
        arguments: declares what it takes.
        taken: names of the arguments that agents may give; the others of the request are set by us.
        changes: it changes what is indexed.
    """

    name: str
    title: str
    doc: str
    arguments: type
    taken: tuple[str, ...]
    changes: bool = False

    def shown(self) -> dict[str, Any]:
        """Return the tool as `tools/list` shows it."""
        declared = self._declared()
        return {
            "name": self.name,
            "title": self.title,
            "description": self.doc,
            "inputSchema": {
                "type": "object",
                "properties": {item.name: _schema(item, self.name) for item in declared},
                "required": [item.name for item in declared if item.default is MISSING],
                "additionalProperties": False,
            },
            "annotations": {
                "title": self.title, "readOnlyHint": not self.changes, "destructiveHint": False, "idempotentHint": True,
                "openWorldHint": False,
            },
        }  # fmt: skip

    def checked(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments that were given, checked by their declarations; null means left out.

        Raises:
            RpcError: with code ``invalid_params``: one is unknown, missing, of the wrong type or out of range.
        """
        values = {name: value for name, value in given.items() if value is not None}
        if unknown := sorted(values.keys() - set(self.taken)):
            raise self._refused(f"has no argument `{unknown[0][:64]}`; it takes {', '.join(self.taken)}")
        try:
            # Models write numbers and booleans as strings now and then.
            request: Any = msgspec.convert(values, self.arguments, strict=False)
        except msgspec.ValidationError as error:
            raise self._refused(f"has a wrong argument: {error}") from error
        return {name: getattr(request, name) for name in values}

    def _declared(self) -> list[Field[Any]]:
        return [item for item in fields(self.arguments) if item.name in self.taken]

    def _refused(self, what: str) -> RpcError:
        return RpcError(f"`{self.name}` {what}.", code="invalid_params")


def _schema(item: Field[Any], tool: str) -> dict[str, Any]:
    """Return the JSON Schema of one argument."""
    doc = _OWN_DOCS.get(item.name, item.metadata["doc"]) if tool != "index_repository" else item.metadata["doc"]
    schema: dict[str, Any] = {"type": _TYPES[str(item.type)], "description": doc}
    if item.metadata["low"] is not None:
        # Zero means "the usual" on the socket; an agent leaves the argument out instead.
        schema["minimum"] = item.metadata["low"]
    if item.metadata["high"] is not None:
        schema["maximum"] = item.metadata["high"]
    if item.default not in (MISSING, None, ""):
        schema["default"] = DEFAULT_BUDGET_TOKENS if item.name == "budget" else item.default
    return schema


_TYPES = {"str": "string", "int": "integer", "int | None": "integer", "bool": "boolean"}
"""JSON Schema's names of the types of declared fields."""

_READERS = (
    Tool(
        "search_code", "Search code by meaning and words",
        "Find code by what it does or by the names in it, in the current project. Use this before grep, find or "
        "reading files whenever you do not know where something is: `where are retries limited`, `parse HTTP date`, "
        "`MAX_RETRIES`. Returns the best passages with path and lines, packed into `budget` tokens. Always includes "
        "your latest edits. `path:`, `lang:`, `kind:` and `-word` filter in the query; quotes search to the letter.",
        asks.SearchRequest, ("query", "path", "lang", "root", "budget", "k"),
    ),
    Tool(
        "find_symbol", "Find where a name is defined",
        "Find the definitions of a class, function, method, constant or heading by name or by the dotted end of one, "
        "such as `Client.connect`. Use this instead of grepping for `def name` or `class Name`. Exact matches come "
        "first, then other case, then prefixes.",
        asks.SymbolsRequest, ("name", "path", "lang", "root", "k"),
    ),
    Tool(
        "related_code", "Find code like the code at a line",
        "Find passages that do the same as, or belong to, the code at a file and line: other implementations of an "
        "idea, tests, copies to change along. Without `line`, find files like the file.",
        asks.RelatedRequest, ("file", "line", "path", "lang", "root", "budget", "k"),
    ),
    Tool(
        "outline", "List the definitions of a file",
        "List the classes, functions and other definitions of a file with their lines, nested. Use this before you "
        "read a large file, then read only the lines that you need.",
        asks.OutlineRequest, ("file",),
    ),
    Tool(
        "index_status", "Say what is indexed",
        "Say which repositories are indexed, whether the index is complete, how many files wait, and what is skipped "
        "and why. Use this when an answer says that the index is not complete, or misses something you expected.",
        StatusArguments, ("root",),
    ),
)  # fmt: skip
_INDEX = Tool(
    "index_repository", "Index a repository",
    "Add a directory to the index, or read it again. The answer says how far it is; search works meanwhile.",
    IndexArguments, ("root", "again", "mode"), changes=True,
)  # fmt: skip


def tools(manage: bool) -> dict[str, Tool]:
    """Return the tools by name; with `manage`, also the one that changes what is indexed."""
    return {tool.name: tool for tool in (*_READERS, *([_INDEX] if manage else ()))}
