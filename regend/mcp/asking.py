"""Answers the tools: find the root, wait for the agent's own edits, ask the daemon, put the answer into words."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from regend.errors import DaemonNotRunningError, PathError, RegendError, RootError, count_text
from regend.mcp import text
from regend.mcp.scope import Places, Scope, named_directory, not_indexed, repository_of, scope_of
from regend.mcp.tools import DEFAULT_BUDGET_TOKENS

SYNC_LIMIT_S = 5.0
"""Longest wait for edits while little else is to be read."""
BUSY_SYNC_LIMIT_S = 0.3
"""Longest wait for edits while many files are being read: edits are read first, but a sync waits for all that came
before it."""
BUSY_PATHS = 200
"""Waiting paths of one root from which on it counts as busy."""
_INDEX_WAIT_S = 20.0
_INDEX_POLL_S = 0.25


class Daemon(Protocol):
    """Calls methods of the daemon, as `rpc.client.Client.call` does."""

    def call(self, method: str, /, **params: Any) -> dict[str, Any]: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer for an agent.

    Attributes:
        facts: the same for a program: roots, generation, completeness and places, without any text of files.
        files: absolute paths of the files that the answer names, best first.
    """

    text: str
    facts: Mapping[str, Any]
    files: tuple[str, ...] = ()


Report = Callable[[float, float, str], None]
"""Tells the client about progress: done, total, and a sentence. It raises `CancelledCall` if the call is cancelled."""


@dataclass(frozen=True, slots=True)
class Question:
    """A call of a tool, ready to be asked.

    Attributes:
        arguments: checked.
        client_roots: directories that the client itself named.
        adds: index a repository that is not indexed yet.
    """

    tool: str
    arguments: Mapping[str, Any]
    places: Places
    client_roots: tuple[str, ...]
    adds: bool


def ask(daemon: Daemon, question: Question, report: Report) -> Answer:
    """Answer a question.

    Raises:
        RegendError: it cannot be answered; the message is a sentence for the agent.
    """
    if question.tool == "index_repository":
        return _index_repository(daemon, question, report)
    status = daemon.call("status")
    argument = question.arguments.get("root", "")
    directory = named_directory(argument, question.places, question.client_roots)
    if question.tool == "outline" and question.arguments["file"].startswith("/"):
        directory = str(Path(question.arguments["file"]).parent)
    scope = scope_of(directory, status["roots"], whole=not argument)
    added = False
    if scope.unknown:
        if question.tool == "index_status":
            return _index_status(status, scope)
        _add(daemon, scope.unknown, question.adds)
        added, status = True, daemon.call("status")
        scope = scope_of(directory, status["roots"], whole=not argument)
    if not status["roots"]:
        raise RootError("No repository is indexed; ask the user to run `regenctl add DIR`. Use grep meanwhile.")
    if question.tool == "index_status":
        return _index_status(status, scope)
    searched = [root for root in status["roots"] if not scope.roots or root["path"] in scope.roots]
    unsynced = _unsynced(daemon, added or any(map(_is_busy, status["roots"])))
    try:
        return _asked(daemon, question, scope, searched, unsynced)
    except PathError as error:
        if pending := sum(root["pending"] for root in searched):
            raise PathError(
                f"{error} {count_text(pending, 'path waits', 'paths wait')} to be read; try again."
            ) from None
        raise


def _asked(daemon: Daemon, question: Question, scope: Scope, searched: list[dict[str, Any]], unsynced: bool) -> Answer:
    match question.tool:
        case "search_code":
            return _passages(daemon, "search", question.arguments, scope, searched, unsynced)
        case "related_code":
            located = {**question.arguments, "file": _located(question, scope)}
            return _passages(daemon, "related", located, scope, searched, unsynced)
        case "find_symbol":
            return _definitions(daemon, question.arguments, scope, searched, unsynced)
        case _:
            return _outline(daemon, _located(question, scope), searched, unsynced)


def _add(daemon: Daemon, directory: str, adds: bool) -> None:
    repository = repository_of(directory)
    if not adds or not repository:
        raise not_indexed(repository or directory)
    daemon.call("add", path=repository)


def _is_busy(root: Mapping[str, Any]) -> bool:
    return bool(root["pending"] > BUSY_PATHS or root["state"] == "scanning")


def _unsynced(daemon: Daemon, busy: bool) -> bool:
    """Wait until the agent's edits are searchable; return whether that could not be had in time."""
    try:
        daemon.call("sync", timeout_s=BUSY_SYNC_LIMIT_S if busy else SYNC_LIMIT_S)
    except RegendError as error:
        if error.code != "not_synced":
            raise
        return True
    return False


def _located(question: Question, scope: Scope) -> str:
    """Return the absolute path of the file that is asked about; answers name files relative to their root."""
    file: str = question.arguments["file"]
    if file.startswith("/"):
        return file
    bases = [*scope.under, *scope.roots, question.places.working]
    found = [place for base in bases if base and os.path.lexists(place := f"{base}/{file}")]
    if not found and not bases[0]:
        raise PathError(f"`file` is {file!r}, and no project is known; give an absolute path.")
    return found[0] if found else f"{(scope.roots or bases)[0]}/{file}"


def _filters(arguments: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """Return the parameters that limit a query."""
    one = scope.roots[0] if len(scope.roots) == 1 else ""
    under = scope.under or (scope.roots if not one else ())
    limits = {"root": one, "under": under, "path": arguments.get("path"), "lang": arguments.get("lang")}
    return {name: value for name, value in limits.items() if value}


def _passages(
    daemon: Daemon, method: str, arguments: Mapping[str, Any], scope: Scope, searched: list[dict[str, Any]],
    unsynced: bool,
) -> Answer:  # fmt: skip
    own = {name: arguments[name] for name in ("query", "file", "line", "k") if name in arguments}
    budget = arguments.get("budget") or DEFAULT_BUDGET_TOKENS
    answer = daemon.call(method, **own, **_filters(arguments, scope), budget=text.passage_budget(budget))
    searched = _refreshed(daemon, searched)
    one_root = len(scope.roots) == 1
    lines = [text.freshness(searched, unsynced), *answer["notes"], ""]
    lines += text.passages(answer, one_root) if answer["results"] else ["Nothing was found."]
    places = [
        {key: result[key] for key in ("root", "path", "start_line", "end_line", "symbol", "kind", "score")}
        for result in answer["results"]
    ]
    return _answer(lines, answer, searched, places)


def _definitions(
    daemon: Daemon, arguments: Mapping[str, Any], scope: Scope, searched: list[dict[str, Any]], unsynced: bool
) -> Answer:
    own = {name: arguments[name] for name in ("name", "k") if name in arguments}
    answer = daemon.call("symbols", **own, **_filters(arguments, scope))
    searched = _refreshed(daemon, searched)
    found = text.definitions(answer, len(scope.roots) == 1)
    lines = [text.freshness(searched, unsynced), ""]
    lines += text.within(found, DEFAULT_BUDGET_TOKENS) if found else [
        f"No definition of {arguments['name']} was found; `search_code` finds uses of it."
    ]  # fmt: skip
    return _answer(lines, answer, searched, answer["symbols"])


def _outline(daemon: Daemon, file: str, searched: list[dict[str, Any]], unsynced: bool) -> Answer:
    answer = daemon.call("outline", file=file)
    searched = [root for root in _refreshed(daemon, searched) if root["path"] == answer["root"]]
    found = text.outline(answer)
    lines = [text.freshness(searched, unsynced), "", f"{answer['path']}  {answer['language']}"]
    lines += text.within(found, DEFAULT_BUDGET_TOKENS) if found else ["It has no definitions."]
    places = [{"root": answer["root"], "path": answer["path"], **symbol} for symbol in answer["symbols"]]
    return _answer(lines, answer, searched, places)


def _index_status(status: Mapping[str, Any], scope: Scope) -> Answer:
    found = [root for root in status["roots"] if not scope.roots or root["path"] in scope.roots]
    state = "paused" if status["paused"] else "complete" if status["complete"] else "not complete"
    lines = [f"{scope.unknown} is not indexed."] if scope.unknown else []
    lines += [f"{count_text(len(found), 'indexed repository', 'indexed repositories')}, {state}", *status["held_back"]]
    lines += text.roots(found)
    return _answer(lines, status, found, [])


def _index_repository(daemon: Daemon, question: Question, report: Report) -> Answer:
    directory = named_directory(question.arguments.get("root", ""), question.places, question.client_roots)
    if not directory:
        raise PathError("`root` names no directory; give the absolute path of the one to index.")
    known = scope_of(directory, daemon.call("list")["roots"])
    root = known.roots[0] if known.roots else daemon.call("add", path=known.unknown)["root"]
    mode = question.arguments.get("mode", "")
    if known.roots and (mode or question.arguments.get("again")):
        daemon.call("reindex", path=root, mode=mode)
    deadline = time.monotonic() + _INDEX_WAIT_S
    while True:
        state = next((row for row in daemon.call("status")["roots"] if row["path"] == root), None)
        if state is None:
            raise RootError(f"{root} was removed meanwhile.")
        done = state["files_indexed"]
        report(
            done, done + state["pending"], f"{root}: {state['state']}, {count_text(state['pending'], 'path')} waiting"
        )
        if not state["pending"] or time.monotonic() > deadline:
            return _answer(text.roots([state]), state, [state], [])
        time.sleep(_INDEX_POLL_S)


def _refreshed(daemon: Daemon, searched: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the states of the roots after the query, unless they were complete before it: then they are as they were.

    An edit made them incomplete for a moment, and `sync` has waited for it.
    """
    if all(root["complete"] for root in searched):
        return searched
    paths = {root["path"] for root in searched}
    return [root for root in daemon.call("status")["roots"] if root["path"] in paths]


def _answer(
    lines: list[str], answer: Mapping[str, Any], roots: list[dict[str, Any]], places: list[dict[str, Any]]
) -> Answer:
    facts = {
        "roots": [root["path"] for root in roots], "generation": answer["generation"],
        "complete": all(root["complete"] for root in roots), "places": places,
    }  # fmt: skip
    files = tuple(dict.fromkeys(f"{found['root']}/{found['path']}" for found in places))
    return Answer("\n".join(lines).rstrip("\n"), facts, files)


def trouble(error: RegendError) -> str:
    """Return what an agent reads instead of an answer."""
    more = "" if not isinstance(error, DaemonNotRunningError) else " Use grep meanwhile."
    return f"{error}{more}"
