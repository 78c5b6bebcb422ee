"""Edits of JSON with comments and trailing commas, as editors and agents use it: every other byte stays as it is."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from regend.errors import ConfigError

_GAP = re.compile(r"(?:[\s\ufeff]+|//[^\n]*|/\*.*?\*/)*", re.DOTALL)
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_PLAIN = re.compile(r"[-+.\w]+")
_MAX_DEPTH = 100


@dataclass(slots=True)
class _Node:
    """A value in a text: its place, its content, and for an object where each member begins and its value is."""

    start: int
    end: int
    value: Any
    members: dict[str, tuple[int, _Node]] = field(default_factory=dict)


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def document(self) -> _Node:
        self._skip()
        node = self._value(0)
        self._skip()
        if self._at < len(self._text):
            raise self._wrong("the end")
        return node

    def _skip(self) -> None:
        match = _GAP.match(self._text, self._at)
        assert match is not None
        self._at = match.end()

    def _wrong(self, wanted: str) -> ConfigError:
        line = self._text.count("\n", 0, self._at) + 1
        return ConfigError(f"line {line} is not JSON: {wanted} was expected")

    def _takes(self, sign: str) -> bool:
        if not self._text.startswith(sign, self._at):
            return False
        self._at += len(sign)
        self._skip()
        return True

    def _value(self, depth: int) -> _Node:
        if depth > _MAX_DEPTH:
            raise self._wrong("less nesting")
        start = self._at
        if self._text.startswith("{", start):
            return self._object(depth)
        if self._text.startswith("[", start):
            return self._array(depth)
        match = _STRING.match(self._text, start) or _PLAIN.match(self._text, start)
        if match is None:
            raise self._wrong("a value")
        try:
            value = json.loads(match.group(), strict=False)
        except ValueError:
            raise self._wrong("a value") from None
        self._at = match.end()
        return _Node(start, self._at, value)

    def _object(self, depth: int) -> _Node:
        node = _Node(self._at, 0, {})
        self._takes("{")
        while not self._text.startswith("}", self._at):
            start = self._at
            key = self._value(depth + 1) if self._text.startswith('"', start) else None
            if key is None:
                raise self._wrong("a name in quotes")
            self._skip()
            if not self._takes(":"):
                raise self._wrong("`:`")
            member = self._value(depth + 1)
            node.members[key.value] = (start, member)
            node.value[key.value] = member.value
            self._skip()
            if not self._takes(",") and not self._text.startswith("}", self._at):
                raise self._wrong("`,` or `}`")
        self._at += 1
        node.end = self._at
        return node

    def _array(self, depth: int) -> _Node:
        node = _Node(self._at, 0, [])
        self._takes("[")
        while not self._text.startswith("]", self._at):
            node.value.append(self._value(depth + 1).value)
            self._skip()
            if not self._takes(",") and not self._text.startswith("]", self._at):
                raise self._wrong("`,` or `]`")
        self._at += 1
        node.end = self._at
        return node


def parsed(text: str) -> Any:
    """Return the value of a text; an empty one is an empty object.

    Raises:
        ConfigError: it is not JSON with comments.
    """
    return _document(text).value


def entry(text: str, keys: Sequence[str]) -> Any:
    """Return the value below the keys, or None."""
    return value_at(parsed(text), keys)


def value_at(value: Any, keys: Sequence[str]) -> Any:
    """Return the value below the keys of nested objects, or None."""
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value


def added(text: str, keys: Sequence[str], value: Mapping[str, Any]) -> str:
    """Return the text with the value below the keys; objects on the way are made, and an older value is replaced."""
    text = removed(text, keys)
    if not text.strip("\ufeff \t\r\n"):
        text = f"{text}{{}}\n"
    node, depth = _document(text), 0
    if not isinstance(node.value, dict):
        raise ConfigError("it holds no object")
    for key in keys[:-1]:
        if key not in node.members:
            break
        node = node.members[key][1]
        depth += 1
        if not isinstance(node.value, dict):
            raise ConfigError(f"`{key}` is no object")
    nested: Any = value
    for key in reversed(keys[depth + 1 :]):
        nested = {key: nested}
    newline = "\r\n" if "\r\n" in text else "\n"
    inner = text[node.start + 1 : node.end - 1]
    outer_indent = _indent_at(text, node.start)
    indent = _indent_of(inner) or outer_indent + "  "
    unit = indent.removeprefix(outer_indent) or "  "
    lines = json.dumps(nested, indent=unit if unit.strip() == "" else 2, ensure_ascii=False).split("\n")
    member = f"{json.dumps(keys[depth])}: " + f"{newline}{indent}".join(lines)
    if not node.members:
        # Comments of an object without members stay behind ours.
        rest = inner if inner.strip() else ""
        tail = "" if rest.endswith("\n" + outer_indent) else f"{newline}{outer_indent}"
        new = f"{newline}{indent}{member}{rest}{tail}"
    elif "\n" in inner:
        new = f"{newline}{indent}{member},{inner}"
    else:
        one_line = f"{json.dumps(keys[depth])}: {json.dumps(nested, ensure_ascii=False)}"
        new = f"{one_line}, {inner.lstrip()}"
    return text[: node.start + 1] + new + text[node.end - 1 :]


def removed(text: str, keys: Sequence[str]) -> str:
    """Return the text without the value below the keys."""
    node = _document(text)
    for key in keys[:-1]:
        if key not in node.members:
            return text
        node = node.members[key][1]
    if keys[-1] not in node.members:
        return text
    start, value = node.members[keys[-1]]
    end = value.end
    after = _GAP.match(text, end)
    assert after is not None
    before = text[:start].rstrip(" \t\r\n")
    if text.startswith(",", after.end()):
        end = after.end() + 1
    elif before.endswith(","):
        before = before[:-1]
    # With the line break and the indentation before it, or with the blank behind it on a line with others.
    if before.endswith("{") and not text[len(before) : start].strip(" \t"):
        end += len(text[end:]) - len(text[end:].lstrip(" \t"))
    return before + text[end:]


def _document(text: str) -> _Node:
    if not text.strip("\ufeff \t\r\n"):
        return _Node(0, len(text), {})
    return _Reader(text).document()


def _indent_at(text: str, place: int) -> str:
    """Return the indentation of the line of a place."""
    line = text[text.rfind("\n", 0, place) + 1 : place]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _indent_of(inner: str) -> str:
    """Return the indentation of the first line of an object's content, or nothing if it stands on one line."""
    match = re.match(r"[ \t]*\r?\n(?:[ \t]*\r?\n)*([ \t]+)\S", inner)
    return match.group(1) if match else ""
