"""Turns parsed TOML into the dataclasses of the configuration, and says which key is wrong and how."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import Field, fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

from regend.errors import ConfigError
from regend.fields import fault, similar_key

_T = TypeVar("_T")

_REMOVED = {
    "embedding.url": "list the server's URL in `embedding.urls`",
    "embedding.fail_fast": "set `embedding.attempts` to 1 for one request per try",
}
"""Keys of earlier versions, and what to write instead."""


def build(cls: type[_T], table: Mapping[str, Any], source: str, keys: Mapping[str, Field[Any]], prefix: str = "") -> _T:
    """Build a dataclass, and those that it holds, from a parsed table.

    Args:
        source: name of the table's origin, with which every error begins.
        keys: every key of the configuration by its full name.
        prefix: of this table's keys.

    Raises:
        ConfigError: a key is unknown or removed, or a value has the wrong type or is not allowed.
    """
    hints = get_type_hints(cls)
    known = {item.name: item for item in fields(cls)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in table.items():
        name = f"{prefix}{key}"
        if name in _REMOVED:
            raise ConfigError(f"{source}: `{name}` is {value!r}, but this key was removed; {_REMOVED[name]}.")
        if key not in known:
            near = similar_key(name, keys)
            meant = f"did you mean `{near}`? Known" if near else "known"
            raise ConfigError(f"{source}: unknown key `{name}`; {meant} here: {', '.join(sorted(known))}.")
        want = hints[key]
        if is_dataclass(want):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{source}: `{name}` must be a table, not {value!r}.")
            values[key] = build(want, value, source, keys, f"{name}.")  # type: ignore[arg-type]
            continue
        values[key] = _scalar(want, value, source, name)
        if wrong := fault(known[key], values[key]):
            raise ConfigError(f"{source}: `{name}` {wrong}.")
    return cls(**values)


def _scalar(want: Any, value: Any, source: str, name: str) -> Any:
    if want is float and type(value) in (int, float):
        try:
            return float(value)
        except OverflowError:
            return math.inf  # A whole number of hundreds of digits; `fault` refuses it.
    if want is int and type(value) is int:
        return value
    if want is str and isinstance(value, str):
        return value
    if want == tuple[str, ...] and isinstance(value, list) and all(isinstance(v, str) for v in value):
        return tuple(value)
    if want is bool and isinstance(value, bool):
        return value
    wanted = {float: "a number", int: "a whole number", str: "a string", bool: "`true` or `false`"}.get(
        want, "a list of strings"
    )
    raise ConfigError(f"{source}: `{name}` must be {wanted}, not {value!r}.")
