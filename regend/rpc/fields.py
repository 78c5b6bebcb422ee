"""How a field of a message is declared: its meaning, its default, and the values it may take."""

from __future__ import annotations

from dataclasses import field, fields
from typing import Any


def wire(
    doc: str, default: Any = ..., *, low: float | None = None, high: float | None = None, choices: tuple[str, ...] = ()
) -> Any:
    """A dataclass field that is documented and, in requests, checked.

    Args:
        doc: its meaning, in the words of `docs/rpc.md`.
        default: its value when left out; without one the field is required.
        low: smallest value allowed.
        high: largest value allowed.
        choices: the words allowed, for a string or for each string of a tuple.
    """
    metadata = {"doc": doc, "low": low, "high": high, "choices": choices}
    return field(metadata=metadata) if default is ... else field(default=default, metadata=metadata)


class Checked:
    """Checks the ranges and choices of a request; `ValueError` names the field, the value and what is allowed."""

    __slots__ = ()

    def __post_init__(self) -> None:
        for item in fields(self):  # type: ignore[arg-type]
            value, rules = getattr(self, item.name), item.metadata
            low, high, choices = rules["low"], rules["high"], rules["choices"]
            if value is None:
                continue
            if (low is not None and not value >= low) or (high is not None and not value <= high):
                allowed = f"from {low} to {high}" if high is not None else f"at least {low}"
                raise ValueError(f"`{item.name}` is {value}; it must be {allowed}")
            if not choices:
                continue
            for word in value if isinstance(value, tuple) else (value,):
                if word not in choices:
                    raise ValueError(f"`{item.name}` has {word!r}; it must be one of {', '.join(map(repr, choices))}")
