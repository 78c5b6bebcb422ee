"""Files for contributors and editors are true: hooks, templates, the container, and what CONTRIBUTING.md names."""

from __future__ import annotations

import configparser
import json
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from regend.cli.arguments import COMMANDS, command_parser

REPOSITORY = Path(__file__).parents[1]
MAKEFILE = (REPOSITORY / "Makefile").read_text()
TEMPLATES = sorted((REPOSITORY / ".github/ISSUE_TEMPLATE").glob("*.yml"))
FIELDS = {"input", "textarea", "dropdown", "checkboxes"}
READ_BY_PEOPLE = [
    *(REPOSITORY / name for name in ("CONTRIBUTING.md", "SECURITY.md", ".github/pull_request_template.md")),
    *TEMPLATES,
]

by_people = pytest.mark.parametrize("page", READ_BY_PEOPLE, ids=lambda page: page.name)
templates = pytest.mark.parametrize("template", TEMPLATES, ids=lambda page: page.stem)


def variable(name: str) -> str:
    """The value of a variable of the Makefile, with the variables in it."""
    (value,) = re.findall(rf"^{name} [:?]?= (.+)$", MAKEFILE, re.MULTILINE)
    return re.sub(r"\$\((\w+)\)", lambda match: variable(match[1]), value)


def recipe(target: str) -> list[str]:
    (body,) = re.findall(rf"^{target}:.*\n((?:\t.+\n)+)", MAKEFILE, re.MULTILINE)
    return [line.strip().replace("$(BIN)", variable("BIN")) for line in body.splitlines()]


def code_in(page: Path) -> list[str]:
    return re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL))


# --- hooks, editors, container ----------------------------------------------------------------------------------------


def test_hooks_run_what_make_lint_runs() -> None:
    (repo,) = yaml.safe_load((REPOSITORY / ".pre-commit-config.yaml").read_text())["repos"]
    assert repo["repo"] == "local"
    assert [hook["entry"] for hook in repo["hooks"]] == recipe("lint")
    for hook in repo["hooks"]:
        assert (hook["language"], hook["pass_filenames"], hook["always_run"]) == ("system", False, True), hook["id"]


def test_editors_know_the_longest_line() -> None:
    config = configparser.ConfigParser()
    config.read_string("[top]\n" + (REPOSITORY / ".editorconfig").read_text())
    ruff = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["ruff"]
    assert config["*"].getint("max_line_length") == ruff["line-length"]
    assert config["Makefile"]["indent_style"] == "tab"


def test_the_container_has_what_ci_installs() -> None:
    folder = REPOSITORY / ".devcontainer"
    container = json.loads((folder / "devcontainer.json").read_text())
    assert shlex.split(container["postCreateCommand"]) == ["make", variable("DEV")]
    packages = set(re.findall(r"missing\+=\(([\w+-]+)\)", (REPOSITORY / ".ci/run").read_text()))
    installed = (folder / container["build"]["dockerfile"]).read_text().split("install ")[1].split("\\")[0].split()
    assert packages and packages <= set(installed)


# --- pages and templates ----------------------------------------------------------------------------------------------


@by_people
def test_files_named_exist(page: Path) -> None:
    for name in code_in(page):
        if re.fullmatch(r"[\w.-]+(/[\w.-]+)+|[\w-]+\.(md|txt|toml)", name) and not name.startswith(
            (".venv", "index.db")
        ):
            assert (REPOSITORY / name).exists(), name


@by_people
def test_commands_named_exist(page: Path) -> None:
    by_name = {command.name: command for command in COMMANDS}
    targets = set(re.findall(r"^([\w-]+):", MAKEFILE, re.MULTILINE))
    for words in (code.split() for code in code_in(page)):
        if words[0] == "regenctl" and len(words) > 1:
            assert command_parser(by_name[words[1]]).parse_args(words[2:])
        if words[0] == "make":
            assert {word for word in words[1:] if "=" not in word} <= targets, words


def test_names_are_where_contributing_says() -> None:
    text = (REPOSITORY / "CONTRIBUTING.md").read_text()
    named = re.findall(r"`(\w+)`\s+(?:in|of)\s+`([\w/]+\.py)`", text)
    assert len(named) >= 5
    for name, file in named:
        assert re.search(rf"^(class )?{name}\b", (REPOSITORY / file).read_text(), re.MULTILINE), f"{name} in {file}"


def test_there_are_both_templates() -> None:
    assert [template.stem for template in TEMPLATES] == ["bug", "search_quality"]


@templates
def test_a_template_is_a_form(template: Path) -> None:
    form: dict[str, Any] = yaml.safe_load(template.read_text())
    assert form.keys() == {"name", "description", "labels", "body"}
    ids = []
    for item in form["body"]:
        if item["type"] == "markdown":
            assert item["attributes"]["value"]
            continue
        assert item["type"] in FIELDS and item["attributes"]["label"]
        assert item.keys() <= {"type", "id", "attributes", "validations"}
        assert item.get("validations", {"required": True}) == {"required": True}
        ids.append(item["id"])
    assert ids and len(set(ids)) == len(ids)


@pytest.mark.parametrize(
    ("template", "asked"),
    [("bug", "regenctl doctor"), ("bug", "regenctl status --json"), ("search_quality", "regenctl why FILE")],
)
def test_a_template_asks_for_what_helps(template: str, asked: str) -> None:
    assert asked in code_in(REPOSITORY / ".github/ISSUE_TEMPLATE" / f"{template}.yml")
