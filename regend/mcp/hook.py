"""A hook for agents that grep: it adds what regend finds for the same words. It never blocks, fails or waits for long.

The agent's program gives the call as JSON on standard input (https://code.claude.com/docs/en/hooks).
"""

from __future__ import annotations

import os
import re
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
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
_PUNCTUATION = "();|&\n`<>"
_GREPS = frozenset(("grep", "egrep", "fgrep", "zgrep", "ggrep"))
_SHELLS = frozenset(("bash", "sh", "zsh", "dash"))
_FINDERS = frozenset(("find", "fd"))
_RUNS = frozenset(("-exec", "-execdir", "-ok", "-x", "-X", "--exec", "--exec-batch"))
"""Options behind which a finder has the command that it starts."""
_LEADERS = frozenset(
    ("sudo", "doas", "env", "time", "nice", "ionice", "nohup", "stdbuf", "timeout", "command", "exec", "xargs",
     "parallel", "if", "then", "elif", "else", "while", "until", "do", "!", "{")
)  # fmt: skip
"""Words before a command that leave it the command."""
_LETTERS = {"rg": "ABCEMTdefgjmrt", "ag": "ABCGmp", "ack": "ABCm"}
"""Options of one letter that take a value, by program."""
_GREP_LETTERS = "ABCDdefm"
_NAMED = _GREPS | _SHELLS | _FINDERS | _LETTERS.keys() | {"git"}
_LONG = re.compile(
    r"--(?:(?:after|before)-context|after|before|context|depth|exclude(?:-dir|-from)?|file|i?glob|ignore(?:-dir|-file)?"
    r"|include|label|match|max-(?:columns|count|depth|filesize)|path-to-ignore|regexp|replace|sortr?|threads"
    r"|type(?:-add|-not)?)"
)
"""Long options that take a value."""
_LONG_OF_RG = re.compile(r"--(?:colors?|context-separator|encoding|engine|path-separator|pre(?:-glob)?)")
_NO_PATTERN = re.compile(r"--(?:file(?:=.*)?|files|type-list|help|version)")
_PATTERN = re.compile(r"--(?:regexp|match)(?:=(.*))?", re.DOTALL)
_MAX_NESTED = 3
"""Maximum commands within each other (`bash -c`, `find -exec`)."""
_NOT_WORDS = re.compile(r"\\[A-Za-z]|\[:\w+:\]|\(\?[a-zA-Z]+[:)]")
r"""Parts of an expression that are letters but no words: `\b`, `[:space:]`, `(?im)`."""
_WORD = re.compile(r"[^\W\d]\w+")


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
    return " ".join(_WORD.findall(_NOT_WORDS.sub(" ", pattern))) if isinstance(pattern, str) else ""


def _pattern_in(command: str, nested: int = 0) -> str:
    """Return what the first grep with a pattern in a shell command looks for."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=_PUNCTUATION)
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t\r", True, ""
    simple: list[str] = []  # The words of one command, without redirections.
    redirected = False
    try:
        for word in (*lexer, ";"):
            if word and not word.strip(_PUNCTUATION):
                redirected = word[0] in "<>" or word.startswith("&>")
                if redirected and simple and simple[-1].isdigit():
                    simple.pop()  # The number of the redirected file.
                elif not redirected:
                    if pattern := _pattern_of(simple, nested):
                        return pattern
                    simple = []
            elif redirected:
                redirected = False
            else:
                simple.append(word)
    except ValueError:
        pass  # A quotation without an end.
    return ""


def _pattern_of(words: Sequence[str], nested: int) -> str:
    """Return the pattern if the words of one command are a grep."""
    led = False
    for at, word in enumerate(words):
        name = os.path.basename(word)  # noqa: PTH119
        if name in _NAMED:
            return _pattern_for(name, words[at + 1 :], nested)
        led = led or name in _LEADERS or "=" in word
        if not led:
            break
    return ""


def _pattern_for(name: str, words: Sequence[str], nested: int) -> str:
    """Return what a program with these arguments looks for, if it or one that it starts is a grep."""
    if name == "git":
        return _pattern_among("grep", _after("grep", words))
    if name in _SHELLS:
        script = next((words[at + 1] for at, option in _options(words) if option.endswith("c")), "")
        return _pattern_in(script, nested + 1) if nested < _MAX_NESTED else ""
    if name in _FINDERS:
        runs = next((word for word in words if word in _RUNS), "")
        return _pattern_of(_after(runs, words), nested + 1) if nested < _MAX_NESTED else ""
    return _pattern_among(name, words)


def _after(mark: str, words: Sequence[str]) -> Sequence[str]:
    return words[words.index(mark) + 1 :] if mark in words else ()


def _options(words: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Yield the first options that another word follows, with their places."""
    for at, word in enumerate(words[:-1]):
        if not word.startswith("-"):
            return
        yield at, word


def _pattern_among(name: str, words: Sequence[str]) -> str:
    """Return the patterns among the arguments of a program: the values of `-e`, or else the first operand."""
    patterns: list[str] = []
    operands: list[str] = []
    waiting = iter(words)
    for word in waiting:
        if word == "--":
            operands += waiting
        elif _NO_PATTERN.fullmatch(word):
            return ""
        elif given := _PATTERN.fullmatch(word):
            patterns.append(next(waiting, "") if given[1] is None else given[1])
        elif word.startswith("--"):
            if _LONG.fullmatch(word) or (name == "rg" and _LONG_OF_RG.fullmatch(word)):
                next(waiting, "")
        elif word.startswith("-"):
            letters = _LETTERS.get(name, _GREP_LETTERS)
            at = next((n for n, letter in enumerate(word) if letter in letters), None)
            if at is not None:
                value = word[at + 1 :] or next(waiting, "")
                if word[at] == "f":
                    return ""
                if word[at] == "e":
                    patterns.append(value)
        else:
            operands.append(word)
    return " ".join(patterns) or next(iter(operands), "")


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
