"""A hook for agents that grep: it adds what regend finds for the same words. It never blocks, fails or waits for long.

The agent's program gives the call as JSON on standard input (https://code.claude.com/docs/en/hooks).
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Mapping
from typing import Any

import msgspec

from regend.errors import RegendError
from regend.mcp import text
from regend.mcp.scope import scope_of
from regend.rpc.client import Client

LIMIT_S = 1.0
"""Maximum time of any one question to the daemon."""
BUDGET_TOKENS = 400
_MIN_CHARS = 4
_SEARCHERS = frozenset(("grep", "rg", "egrep", "fgrep", "ag", "ack"))
_WITH_VALUE = re.compile(r"-[ABCmegfjtT]|--(?:glob|type|include|exclude|max-count|context|regexp|file)")
_WORD = re.compile(r"[A-Za-z_]\w+")


def run(socket: str | None, data: bytes) -> int:
    """Print what regend finds for the words of a grep, as context for the agent; return 0, whatever happens."""
    try:
        call = msgspec.json.decode(data)
        words = pattern_of(call) if isinstance(call, dict) else ""
        if len(words) >= _MIN_CHARS:
            found = _found(socket, words, str(call.get("cwd") or os.getcwd()))  # noqa: PTH109
            if found:
                context = {"hookEventName": call.get("hook_event_name", "PostToolUse"), "additionalContext": found}
                sys.stdout.buffer.write(msgspec.json.encode({"hookSpecificOutput": context}))
    except (msgspec.DecodeError, RegendError, OSError, ValueError, RecursionError):
        pass  # A hook that fails would be shown to the user as a fault of the agent's own tool.
    return 0


def pattern_of(call: Mapping[str, Any]) -> str:
    """Return the words that a call of a grep tool, or of grep in a shell, looks for; empty for any other call."""
    given = call.get("tool_input")
    given = given if isinstance(given, dict) else {}
    pattern = given.get("pattern") if call.get("tool_name") == "Grep" else _pattern_in(str(given.get("command", "")))
    return " ".join(_WORD.findall(pattern)) if isinstance(pattern, str) else ""


def _pattern_in(command: str) -> str:
    """Return the first operand of the first grep in a shell command."""
    try:
        words = shlex.split(command, comments=False)
    except ValueError:
        return ""
    for start, word in enumerate(words):
        if os.path.basename(word) in _SEARCHERS and (start == 0 or words[start - 1] in ("|", "&&", ";", "||", "git")):  # noqa: PTH119
            break
    else:
        return ""
    at = start + 1
    while at < len(words) and words[at].startswith("-"):
        if words[at] in ("-e", "--regexp") and at + 1 < len(words):
            return words[at + 1]
        at += 2 if _WITH_VALUE.fullmatch(words[at]) else 1
    return words[at] if at < len(words) else ""


def _found(socket: str | None, words: str, directory: str) -> str:
    with Client(socket, timeout_s=LIMIT_S, name="hook") as daemon:
        scope = scope_of(directory, daemon.call("list")["roots"])
        if len(scope.roots) != 1:
            return ""
        answer = daemon.call("search", query=words, root=scope.roots[0], under=scope.under, budget=BUDGET_TOKENS)
    if not answer["results"]:
        return ""
    lines = text.passages(answer, one_root=True)
    return "\n".join([f"regend (search_code) finds for `{words}` in {scope.roots[0]}:", *lines]).rstrip()
