"""How a key of the configuration or a field of a message is declared: meaning, default, unit, and allowed values.

Both pages of reference tables are generated from these declarations (`python -m tests.reference_tables`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import Field, field, fields, is_dataclass
from typing import Any, TypeVar, get_type_hints

from regend.errors import ConfigError

_T = TypeVar("_T")

_LARGEST = 2**63 - 1
"""Maximum whole number: neither TOML nor messages to workers promise room for a larger one."""
_TABLE = re.compile(r"\s*\[\s*([\w.-]+)\s*\]")
_KEY = re.compile(r"\s*([\w.-]+)\s*=")
_PASSWORD = re.compile(
    r"(?<=://)([^/?#\s@:]*):\S*(?=@)|(?<=[?&])((?:ssl)?password)=[^&\s]*|(?<=http://)[^/?#\s@:]+(?=@)"
    r"|(?<=https://)[^/?#\s@:]+(?=@)"
)
"""Passwords in URLs. With HTTP, a user without a password is often a key."""


def declare(
    doc: str,
    default: Any = ...,
    unit: str = "",
    *,
    low: float | None = None,
    above: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    """Declare a dataclass field with its documentation and its rules.

    Args:
        doc: meaning, as the reference tables print it.
        default: value of a field that is left out; a field without a default is required.
        unit: unit of a number, such as ``ms``; or kind of a text, such as ``path``.
        low: smallest allowed value.
        above: largest value that is too small; excludes `low`.
        high: largest allowed value.
        choices: allowed words of a string, or of each string of a tuple.
    """
    metadata = {"doc": doc, "unit": unit, "low": low, "above": above, "high": high, "choices": choices}
    return field(metadata=metadata) if default is ... else field(default=default, metadata=metadata)


def allowed_range(item: Field[Any]) -> str:
    """Return the numbers that a field may take, such as ``from 1 to 1000``; empty if it has no bounds."""
    low, above, high = (item.metadata[name] for name in ("low", "above", "high"))
    if above is not None:
        return f"more than {above:g}" if high is None else f"more than {above:g}, at most {high:g}"
    if low is None:
        return ""
    return f"at least {low:g}" if high is None else f"from {low:g} to {high:g}"


def fault(item: Field[Any], value: Any) -> str:
    """Say how a value breaks the rules of its field, such as ``is 0; it must be from 1 to 1000``; empty if it does not.

    The type of the value is not checked: msgspec does that on the wire, and `config` in files.
    """
    low, above, high, choices = (item.metadata[name] for name in ("low", "above", "high", "choices"))
    if isinstance(value, float) and not math.isfinite(value):
        return f"is {value}; it must be a finite number"
    if value is None:
        return ""
    if isinstance(value, int) and value > _LARGEST:
        return f"is too large; it must be at most {_LARGEST}"
    if (
        (low is not None and value < low)
        or (above is not None and value <= above)
        or (high is not None and value > high)
    ):
        return f"is {value}; it must be {allowed_range(item)}"
    for word in (value if isinstance(value, tuple) else (value,)) if choices else ():
        if word not in choices:
            verb = "has" if isinstance(value, tuple) else "is"
            return f"{verb} {hidden(word)!r}; it must be one of {', '.join(map(repr, choices))}"
    return ""


def from_table(
    cls: type[_T],
    table: Mapping[str, Any],
    source: str,
    keys: Collection[str],
    removed: Mapping[str, str],
    prefix: str = "",
) -> _T:
    """Build a dataclass of declared fields, and those within it, from a table of a TOML file.

    Args:
        source: name of the table's origin, with which every error begins.
        keys: every key by its full name.
        removed: keys of earlier versions, and what to write instead.

    Raises:
        ConfigError: a key is unknown or removed, or a value has the wrong type or is not allowed.
    """
    hints = get_type_hints(cls)
    known = {item.name: item for item in fields(cls)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in table.items():
        name = f"{prefix}{key}"
        if name in removed:
            raise ConfigError(f"{source}: `{name}` is {shown(value, name)}, but this key was removed; {removed[name]}.")
        if key not in known:
            near = similar_key(name, keys)
            meant = f"did you mean `{near}`? Known" if near else "known"
            raise ConfigError(f"{source}: unknown key `{name}`; {meant} here: {', '.join(sorted(known))}.")
        want = hints[key]
        if is_dataclass(want):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{source}: `{name}` must be a table, not {shown(value, name)}.")
            values[key] = from_table(want, value, source, keys, removed, f"{name}.")  # type: ignore[arg-type]
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
    raise ConfigError(f"{source}: `{name}` must be {wanted}, not {shown(value, name)}.")


class Checked:
    """A request that checks its fields when it is made; `ValueError` names the field, the value and the rule."""

    __slots__ = ()

    def __post_init__(self) -> None:
        for item in fields(self):  # type: ignore[arg-type]
            if wrong := fault(item, getattr(self, item.name)):
                raise ValueError(f"`{item.name}` {wrong}")


def hidden(value: Any) -> Any:
    """Return a value with `***` instead of the passwords in URLs; `config get` alone shows them."""
    if isinstance(value, Mapping):
        return {key: hidden(own) for key, own in value.items()}
    if isinstance(value, (list, tuple)):
        return [hidden(own) for own in value]
    return _PASSWORD.sub(_masked, value) if isinstance(value, str) else value


def shown(value: object, key: str) -> str:
    """Return the value of a setting as an error says it, without what must stay secret."""
    return "another value" if "api_key" in key else repr(hidden(value))


def _masked(found: re.Match[str]) -> str:
    return f"{found[2]}=***" if found[2] else "***" if found[1] is None else f"{found[1]}:***"


def similar_key(name: str, keys: Iterable[str]) -> str:
    """Return the key, of those given by full name, that a wrong one resembles; empty if there is no such key."""
    from difflib import get_close_matches

    keys = list(keys)
    near = get_close_matches(name, keys, 1, 0.75)
    last = name.rpartition(".")[2]
    same = [key for key in keys if key.endswith(f".{last}")]
    close = get_close_matches(last, [key.partition(".")[2] for key in keys], 1, 0.8)
    return next(iter([*same, *near, *(key for key in keys if close and key.endswith(f".{close[0]}"))]), "")


def lines_of_keys(raw: bytes) -> dict[str, int]:
    """Return the line of each key and table of a TOML file, by full name; keys of unusual spelling may be missing."""
    found: dict[str, int] = {}
    table = ""
    for number, line in enumerate(raw.decode("utf-8", "replace").splitlines(), 1):
        if header := _TABLE.match(line):
            table = f"{header[1]}."
            found.setdefault(header[1], number)
        elif key := _KEY.match(line):
            found.setdefault(f"{table}{key[1]}", number)
    return found
