"""Parameters of a call, checked by the declaration of its request; every way into the daemon checks them here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import Any

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
def _names(method: Method) -> frozenset[str]:
    return frozenset(item.name for item in fields(method.request))
