"""One declaration serves the configuration and the wire: its rules, what it says of a wrong value, and its range."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import pytest

from regend.fields import Checked, allowed_range, declare, fault


@dataclass(frozen=True, slots=True)
class Rules(Checked):
    free: int = declare("without bounds", 0)
    least: int = declare("with a lower bound", 0, low=0)
    span: int | None = declare("with both bounds", None, low=1, high=1_000)
    share: float = declare("without its lower bound", 1.0, above=0, high=1)
    above: float = declare("without an upper bound", 1.0, "s", above=0)
    word: str = declare("one word", "a", choices=("a", "b"))
    words: tuple[str, ...] = declare("several words", (), choices=("a", "b"))


FIELDS = {item.name: item for item in fields(Rules)}
RANGES = {
    "free": "", "least": "at least 0", "span": "from 1 to 1000", "share": "more than 0, at most 1",
    "above": "more than 0", "word": "", "words": "",
}  # fmt: skip


@pytest.mark.parametrize("name", RANGES)
def test_ranges(name: str) -> None:
    assert allowed_range(FIELDS[name]) == RANGES[name]


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("free", -5, ""),
        ("least", 0, ""),
        ("least", -1, "is -1; it must be at least 0"),
        ("span", None, ""),
        ("span", 1, ""),
        ("span", 1_000, ""),
        ("span", 0, "is 0; it must be from 1 to 1000"),
        ("span", 1_001, "is 1001; it must be from 1 to 1000"),
        ("share", 1.0, ""),
        ("share", 0.0, "is 0.0; it must be more than 0, at most 1"),
        ("share", 1.5, "is 1.5; it must be more than 0, at most 1"),
        ("free", 2**63 - 1, ""),
        ("free", 2**63, f"is too large; it must be at most {2**63 - 1}"),
        ("least", 10**400, f"is too large; it must be at most {2**63 - 1}"),
        ("above", float("nan"), "is nan; it must be a finite number"),
        ("above", float("inf"), "is inf; it must be a finite number"),
        ("word", "b", ""),
        ("word", "c", "is 'c'; it must be one of 'a', 'b'"),
        ("words", ("b", "a"), ""),
        ("words", ("a", "c"), "has 'c'; it must be one of 'a', 'b'"),
    ],
)
def test_faults(name: str, value: Any, wrong: str) -> None:
    assert fault(FIELDS[name], value) == wrong
    if wrong:
        with pytest.raises(ValueError) as caught:
            Rules(**{name: value})
        assert str(caught.value) == f"`{name}` {wrong}"
    else:
        assert getattr(Rules(**{name: value}), name) == value


def test_a_field_without_a_default_is_required() -> None:
    @dataclass(frozen=True)
    class Needs(Checked):
        name: str = declare("required")

    with pytest.raises(TypeError):
        Needs()
