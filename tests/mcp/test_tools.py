"""The tools' schemas come from the declarations of the socket's requests, and what fits a schema is accepted."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from regend.errors import RpcError
from regend.mcp.tools import INSTRUCTIONS, Tool, tools

ALL = tuple(tools(manage=True).values())


@pytest.mark.parametrize("tool", ALL, ids=lambda tool: tool.name)
def test_a_schema_says_what_its_request_declares(tool: Tool) -> None:
    schema = tool.shown()["inputSchema"]
    jsonschema.Draft202012Validator.check_schema(schema)
    declared = {item.name: item for item in fields(tool.arguments)}
    assert set(schema["properties"]) == set(tool.taken) <= set(declared)
    for name, argument in schema["properties"].items():
        assert argument["description"]
        assert argument.get("minimum") == declared[name].metadata["low"]
        assert argument.get("maximum") == declared[name].metadata["high"]


@pytest.mark.parametrize("tool", ALL, ids=lambda tool: tool.name)
@given(data=st.data())
def test_arguments_are_accepted_exactly_if_they_fit_the_schema(tool: Tool, data: st.DataObject) -> None:
    values = st.text(max_size=5) | st.integers(-2, 300_000) | st.booleans() | st.lists(st.integers(), max_size=1)
    names = st.sampled_from([*tool.taken, "other"])
    given_ = data.draw(st.dictionaries(names, values, max_size=4))
    validator = jsonschema.Draft202012Validator(tool.shown()["inputSchema"])
    try:
        checked = tool.checked(given_)
    except RpcError as error:
        assert error.code == "invalid_params"
        assert not validator.is_valid(given_)
    else:
        assert validator.is_valid(given_) or _is_spelled_otherwise(validator, given_, checked)


def _is_spelled_otherwise(validator: Any, written: dict[str, Any], checked: dict[str, Any]) -> bool:
    """A number or a boolean may be written as text, as models do now and then."""
    return validator.is_valid(checked) and set(written) == set(checked)


def test_null_means_left_out_and_text_may_be_a_number() -> None:
    search = tools(manage=False)["search_code"]
    assert search.checked({"query": "x", "path": None, "k": "3"}) == {"query": "x", "k": 3}


def test_the_instructions_name_the_tools_that_are_always_there() -> None:
    for name in tools(manage=False):
        assert f"- {name}: " in INSTRUCTIONS
    assert "index_repository" not in tools(manage=False)
