"""Edits of TOML and YAML by whole lines: a table or a mapping of ours is put in or taken out, nothing else changes."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from regend.errors import ConfigError
from regend.mcp.install.jsonc import value_at


def toml_parsed(text: str) -> Any:
    """Return the value of a TOML text.

    Raises:
        ConfigError: it is not TOML.
    """
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"it is not TOML: {error}") from error


def toml_entry(text: str, keys: Sequence[str]) -> Any:
    """Return the table below the keys, or None."""
    return value_at(toml_parsed(text), keys)


def toml_added(text: str, keys: Sequence[str], value: Mapping[str, Any]) -> str:
    """Return the text with a table of these keys at its end; an older one is replaced."""
    text = toml_removed(text, keys)
    newline = "\r\n" if "\r\n" in text else "\n"
    # JSON's strings, arrays of strings, numbers and booleans are also TOML's.
    lines = [f"[{'.'.join(keys)}]", *(f"{key} = {json.dumps(item)}" for key, item in value.items())]
    gap = "" if not text else newline if text.endswith("\n") else newline * 2
    new = text + gap + newline.join(lines) + newline
    if toml_entry(new, keys) != value:
        raise ConfigError(f"`{'.'.join(keys)}` is defined there in another way")
    return new


def toml_removed(text: str, keys: Sequence[str]) -> str:
    """Return the text without the table of these keys and the tables in it."""
    name = r"\s*\.\s*".join(f"[\"']?{re.escape(key)}[\"']?" for key in keys)
    header = re.compile(rf"\s*\[\s*{name}\s*(?:\.[^\]]*)?\]")
    kept: list[str] = []
    ours = False
    for line in text.splitlines(keepends=True):
        if header.match(line):
            if not ours and kept and not kept[-1].strip():
                kept.pop()
            ours = True
        elif ours and (not line.strip() or line.lstrip().startswith(("#", "["))):
            ours = False
        if not ours:
            kept.append(line)
    left = "".join(kept)
    if toml_entry(left, keys) is not None:
        raise ConfigError(f"`{'.'.join(keys)}` is defined there in another way")
    return left


def yaml_entry(text: str, keys: Sequence[str]) -> Any:
    """Return the lines of the mapping of two keys, or None."""
    parent, name = keys
    found = [line for line, ours in _yaml_lines(text, parent, name) if ours]
    return found or None


def yaml_added(text: str, keys: Sequence[str], value: Mapping[str, Any]) -> str:
    """Return the text with a mapping below the two keys, first in the outer one; an older one is replaced."""
    parent, name = keys
    text = yaml_removed(text, keys)
    newline = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines(keepends=True)
    at = next((n for n, line in enumerate(lines) if re.match(rf"{re.escape(parent)}\s*:", line)), None)
    indent = "  "
    if at is None:
        if lines and not lines[-1].endswith("\n"):
            lines[-1] += newline
        lines.append(f"{parent}:{newline}")
        at = len(lines) - 1
    elif not re.fullmatch(rf"{re.escape(parent)}\s*:\s*(?:#.*)?", lines[at].rstrip("\r\n")):
        raise ConfigError(f"`{parent}` is written on one line")
    elif at + 1 < len(lines) and (found := re.match(r"( +)\S", lines[at + 1])):
        indent = found.group(1)
    # JSON is YAML: strings, lists and mappings on one line need no rules of their own.
    own = [f"{indent}{name}:", *(f"{indent}  {key}: {json.dumps(item)}" for key, item in value.items())]
    lines[at + 1 : at + 1] = [line + newline for line in own]
    if not lines[at].endswith("\n"):
        lines[at] += newline
    return "".join(lines)


def yaml_removed(text: str, keys: Sequence[str]) -> str:
    """Return the text without the mapping below the two keys, and without the outer one if nothing is left in it."""
    parent, name = keys
    marked = list(_yaml_lines(text, parent, name))
    if not any(ours for _, ours in marked):
        return text
    lines = [line for line, ours in marked if not ours]
    at = next(n for n, line in enumerate(lines) if re.match(rf"{re.escape(parent)}\s*:", line))
    if not any(line.startswith((" ", "\t", "-")) for line in lines[at + 1 : at + 2]):
        del lines[at]
    return "".join(lines)


def _yaml_lines(text: str, parent: str, name: str) -> Iterator[tuple[str, bool]]:
    """Yield the lines, and whether each belongs to the mapping `name` in the mapping `parent`."""
    inside, depth = False, -1
    for line in text.splitlines(keepends=True):
        stripped = line.lstrip(" ")
        indent = len(line) - len(stripped)
        blank = not stripped.strip()
        if not blank and indent == 0 and not stripped.startswith("#"):
            inside = bool(re.match(rf"{re.escape(parent)}\s*:", line))
        if depth >= 0 and not blank and indent <= depth:
            depth = -1
        if inside and depth < 0 and indent > 0 and re.match(rf"[\"']?{re.escape(name)}[\"']?\s*:", stripped):
            depth = indent
        yield line, depth >= 0 and not blank
