"""Settings from the environment: `REGEND_WORKERS__COUNT=2` overrides `workers.count` of the configuration file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import Field
from typing import Any

from regend.errors import ConfigError
from regend.fields import shown, similar_key

_PREFIX, _BETWEEN = "REGEND_", "__"


def variable_of(key: str) -> str:
    """Return the variable that overrides a key such as ``workers.count``."""
    return _PREFIX + key.replace(".", _BETWEEN).upper()


def source_of(key: str) -> str:
    """Return how an error names the variable of a key."""
    return f"Environment variable {variable_of(key)}"


def overrides(environ: Mapping[str, str], keys: Mapping[str, Field[Any]]) -> dict[str, Any]:
    """Return the values that the environment sets, by key; an empty variable counts as unset.

    Args:
        keys: every key by its full name.

    Raises:
        ConfigError: a variable names no key, or its text is not of the key's kind. Ranges are not checked.
    """
    named = {variable_of(key): key for key in keys}
    found = {}
    for variable, text in sorted(environ.items()):
        if not (variable.startswith(_PREFIX) and _BETWEEN in variable and text):
            continue
        key = named.get(variable)
        if key is None:
            wrong = variable.removeprefix(_PREFIX).replace(_BETWEEN, ".", 1).lower()
            near = similar_key(wrong, keys)
            hint = f"did you mean {variable_of(near)}?" if near else "unset it."
            raise ConfigError(f"Environment variable {variable} is set, but there is no key `{wrong}`; {hint}")
        found[key] = _value(text, keys[key].default, source_of(key), key)
    return found


def scalar_of(text: str, usual: object, source: str, key: str) -> object:
    """Return a text as the kind of value that the key's default is.

    Raises:
        ConfigError: it is not of that kind.
    """
    try:
        if isinstance(usual, bool):
            return {"true": True, "false": False}[text.lower()]
        if isinstance(usual, int):
            return int(text)
        return float(text) if isinstance(usual, float) else text
    except (KeyError, ValueError):
        wanted = {bool: "`true` or `false`", int: "a whole number"}.get(type(usual), "a number")
        raise ConfigError(f"{source}`{key}` must be {wanted}, not {shown(text, key)}.") from None


def _value(text: str, usual: object, source: str, key: str) -> object:
    """Return the value of a variable; a list is a TOML array, or words with commas between."""
    if not isinstance(usual, tuple):
        return scalar_of(text, usual, f"{source}: ", key)
    if not text.lstrip().startswith("["):
        return [word.strip() for word in text.split(",") if word.strip()]
    try:
        return tomllib.loads(f"list = {text}")["list"]
    except (ValueError, RecursionError):
        raise ConfigError(
            f'{source}: `{key}` must be a list such as `one,two` or `["one", "two"]`, not {shown(text, key)}.'
        ) from None
