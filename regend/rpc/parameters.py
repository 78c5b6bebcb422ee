"""Parameters of a call, checked by the declaration of its request; every way into the daemon checks them here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, get_args, get_type_hints

import msgspec

from regend.errors import RpcError
from regend.rpc.schema import Method

_FIELD = re.compile(r"(?:\$\.|required field `|^`)(\w+)")
"""Finds the parameter in a message of msgspec or of `fields.Checked`."""


def request_of(method: Method, values: Mapping[Any, Any], strict: bool = True) -> Any:
    """Return the request's dataclass.

    Args:
        strict: the values have their types; otherwise numbers and booleans may be texts.

    Raises:
        RpcError: with code ``invalid_params``: a parameter is unknown, missing, of the wrong type or out of range.
    """
    names = _names(method)
    unknown = sorted(str(name) for name in values.keys() - names)
    if unknown:
        known = f"known are {', '.join(sorted(names))}" if names else "it takes none"
        raise invalid(method, f"has no parameter `{unknown[0][:64]}`; {known}", unknown[0])
    for name, inner in _names_within(method).items():
        items = values.get(name)
        for item in items if isinstance(items, (list, tuple)) else ():
            if isinstance(item, dict) and (other := sorted(str(key) for key in item.keys() - inner)):
                known = ", ".join(sorted(inner))
                raise invalid(method, f"has no `{other[0][:64]}` in `{name}`; known are {known}", name)
    try:
        return msgspec.convert(values, method.request, strict=strict)
    except msgspec.ValidationError as error:
        field = _FIELD.search(str(error))
        raise invalid(method, f"has a wrong parameter: {error}", field and field.group(1)) from error
    except UnicodeEncodeError as error:  # A string that is not UTF-8 where something else than a string is expected.
        raise invalid(method, "has a wrong parameter: a string that is not UTF-8 instead of another type") from error


def invalid(method: Method, what: str, field: str | None = None) -> RpcError:
    """Return the error that says what is wrong with the parameters of a method."""
    data = None if field is None else {"field": field}
    return RpcError(f"`{method.name}` {what}.", code="invalid_params", data=data)


@cache
def _names_within(method: Method) -> dict[str, frozenset[str]]:
    """Return the parameters that are lists of maps, with the keys of such a map."""
    listed = {name: get_args(hint)[:1] for name, hint in get_type_hints(method.request).items()}
    return {
        name: frozenset(item.name for item in fields(kinds[0]))
        for name, kinds in listed.items()
        if kinds and is_dataclass(kinds[0])
    }


@cache
def _names(method: Method) -> frozenset[str]:
    return frozenset(item.name for item in fields(method.request))
