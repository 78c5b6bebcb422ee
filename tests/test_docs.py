"""The docs are true: links lead somewhere, commands and keys exist, examples work, and every decision has all parts."""

from __future__ import annotations

import dataclasses
import datetime
import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest

from regend.__main__ import parser as daemon_parser
from regend.cli.arguments import COMMANDS, GLOBAL, command_parser
from regend.config import Config, config_from_table
from regend.disk.repository import load_repository_config
from tests import reference_tables

REPOSITORY = Path(__file__).parents[1]
TOP_PAGES = [REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]
PAGES = [*TOP_PAGES, *sorted((REPOSITORY / "docs").rglob("*.md"))]
DECISIONS = sorted((REPOSITORY / "docs/decisions").glob("[0-9]*.md"))
DECISION_PARTS = ["Context", "Choice", "Rejected", "What would change our mind"]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BUILD_PATHS = re.compile(r"(?<![\w.~])/(?:work|root|tmp)/")
INDEX_URLS = re.compile(r"https?://[^\s)]*(?:/simple\b|pypi|pythonhosted|mirror)")
REFUSED_WORDS = re.compile(
    r"\b(TODO|FIXME|XXX|lorem|blazing(?:ly)?|seamless(?:ly)?|cutting-edge|revolutionary)\b", re.IGNORECASE
)

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))


def fences(page: Path, *languages: str) -> list[str]:
    return [body for language, body in FENCE.findall(page.read_text()) if language in languages]


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text())


def anchors(page: Path) -> set[str]:
    """GitHub's names for the headings of a page."""
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def commands_in(text: str, program: str) -> list[list[str]]:
    """Find the words after a program's name in inline code and in shell examples; comments are cut off."""
    lines = re.findall(r"`([^`\n]+)`", FENCE.sub("", text))
    lines += [line for language, body in FENCE.findall(text) if language == "sh" for line in body.splitlines()]
    found = []
    for line in lines:
        for part in re.split(r"&&|;| \| ", line.partition("  #")[0]):
            command = part.strip().removeprefix(".venv/bin/")
            words = shlex.split(command) if command.count("'") % 2 == 0 == command.count('"') % 2 else command.split()
            if words and words[0] == program:
                found.append(words[1:])
    return found


# --- links and words --------------------------------------------------------------------------------------------------


@pages
def test_relative_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        place = (page.parent / file).resolve() if file else page
        assert place.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(place), f"{page.name}: {target}"


@pages
def test_files_named_in_code_exist(page: Path) -> None:
    packages = "|".join(sorted(path.name for path in (REPOSITORY / "regend").iterdir() if path.is_dir()))
    pattern = rf"`((?:docs|tests|systemd|launchd)/[\w./-]+|(?:{packages})/[\w/]+\.py)`"
    for name in re.findall(pattern, prose(page)):
        assert (REPOSITORY / name).exists() or (REPOSITORY / "regend" / name).exists(), f"{page.name}: {name}"


@pages
def test_nothing_of_a_build_machine_or_a_package_index_is_named(page: Path) -> None:
    text = page.read_text()
    for pattern in (BUILD_PATHS, INDEX_URLS, REFUSED_WORDS):
        assert pattern.findall(text) == [], pattern.pattern


def test_the_patterns_find_what_they_are_for() -> None:
    assert BUILD_PATHS.search("in /work/x and") and BUILD_PATHS.search("`/root/x`")
    assert not BUILD_PATHS.search("docs/work/x ~/tmp/ a/root/b")
    assert INDEX_URLS.search("https://mirror.example/simple/") and INDEX_URLS.search("https://pypi.org/")
    assert not INDEX_URLS.search("https://embeddings.example.com/v1")


# --- commands ---------------------------------------------------------------------------------------------------------


@pages
def test_regenctl_commands_exist(page: Path) -> None:
    by_name = {command.name: command for command in COMMANDS}
    of_all = {name for argument in GLOBAL for name in argument.names} | {"--help", "--version", "-V"}
    for words in commands_in(page.read_text(), "regenctl"):
        command = next((word for word in words if not word.startswith("-")), None)
        if command is None or not command.islower():
            assert set(words) <= of_all | {"COMMAND", "..."}, words
            continue
        assert command in by_name, f"{page.name}: regenctl {' '.join(words)}"
        known = of_all | {name for argument in by_name[command].arguments for name in argument.names}
        if command == "service":
            known |= {"--dry-run"}
            assert words[1] in ("install", "uninstall", "status") or "|" in words[1], words
        options = words[: words.index("--")] if "--" in words else words
        flags = {word for word in options if word.startswith("-")}
        assert flags <= known, f"{page.name}: regenctl {' '.join(words)}"


def test_shell_examples_of_regenctl_parse() -> None:
    """Those of the README as a whole, by the parsers themselves."""
    by_name = {command.name: command for command in COMMANDS}
    lines = "\n".join(fences(REPOSITORY / "README.md", "sh")).splitlines()
    asked = [shlex.split(line, comments=True) for line in lines if "regenctl" in line]
    assert len(asked) > 8
    for _, name, *rest in asked:
        assert command_parser(by_name[name]).parse_args(rest)


@pages
def test_flags_of_regend_exist(page: Path) -> None:
    known = set(daemon_parser()._option_string_actions)
    for words in commands_in(page.read_text(), "regend"):
        assert {word for word in words if word.startswith("--")} <= known, f"{page.name}: regend {' '.join(words)}"


@pages
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([\w-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
    for words in commands_in(page.read_text(), "make"):
        assert {word for word in words if "=" not in word} <= targets, f"{page.name}: make {' '.join(words)}"


def test_every_command_and_target_is_in_the_docs() -> None:
    text = "\n".join(page.read_text() for page in PAGES)
    missing = [command.name for command in COMMANDS if not re.search(rf"regenctl (?:\S+ )*{command.name}\b", text)]
    assert missing == []


# --- configuration ----------------------------------------------------------------------------------------------------


def keys_in_config() -> dict[str, Any]:
    return {
        f"{section.name}.{key.name}": list(key.default) if isinstance(key.default, tuple) else key.default
        for section in dataclasses.fields(Config)
        for key in dataclasses.fields(getattr(Config(), section.name))
    }


@pytest.mark.parametrize("name", reference_tables.PAGES)
def test_the_tables_equal_the_declarations(name: str) -> None:
    page = (REPOSITORY / "docs" / name).read_text()
    assert reference_tables.rewrite(page, reference_tables.PAGES[name]()) == page, (
        "run `python -m tests.reference_tables`"
    )


def test_a_row_says_key_default_range_unit_and_meaning() -> None:
    rows = reference_tables.configuration().splitlines()
    assert "| `quiet_ms` | `40` | ms | at least 0 | a path is read once it has not changed for this long |" in rows
    assert any(row.startswith("| `rate_margin` | `0.9` |  | more than 0, at most 1 | share of") for row in rows)
    assert any(row.startswith('| `battery` | `"slow"` |  | `slow`, `usual` | ') for row in rows)
    assert "| `patterns` | `[]` |  |  | patterns in `.gitignore` syntax, for every root |" in rows
    assert sum(row.startswith("| `") for row in rows) == len(keys_in_config())


def test_a_page_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks the line"):
        reference_tables.rewrite("no marks", "")


def test_keys_named_anywhere_exist() -> None:
    sections = "|".join(field.name for field in dataclasses.fields(Config))
    for page in PAGES:
        named = set(re.findall(rf"`((?:{sections})\.\w+)`", page.read_text()))
        assert {name for name in named if not name.endswith(".py")} <= set(keys_in_config()), page.name


@pytest.mark.parametrize("key", sorted(keys_in_config()))
def test_every_key_does_something(key: str) -> None:
    """A key that no code reads is a promise that is not kept."""
    name = key.partition(".")[2]
    readers = [
        file.name
        for file in (REPOSITORY / "regend").rglob("*.py")
        if file.name != "config.py" and re.search(rf"\.{name}\b", file.read_text())
    ]
    assert readers != [], f"`{key}` is read nowhere"


def test_every_reason_for_skipping_or_degrading_a_file_is_explained() -> None:
    text = (REPOSITORY / "docs/operations.md").read_text()
    found: set[str] = set()
    for package in ("chunking", "disk"):
        for file in (REPOSITORY / "regend" / package).rglob("*.py"):
            found |= set(
                re.findall(
                    r'(?:skip_reason=|degraded or |degraded_reason=|_skip\(path, sig, )"(\w+)"', file.read_text()
                )
            )
    assert len(found) > 8
    assert {reason for reason in found if f"`{reason}`" not in text} == set()


@pages
def test_toml_examples_load(page: Path, tmp_path: Path) -> None:
    for example in fences(page, "toml"):
        if example.startswith("# .regend.toml\n"):
            (tmp_path / ".regend.toml").write_text(example)
            assert load_repository_config(tmp_path).patterns
        else:
            assert config_from_table(tomllib.loads(example), page.name) != Config()


def test_there_are_toml_examples() -> None:
    assert len(fences(REPOSITORY / "docs/configuration.md", "toml")) >= 3


@pages
def test_python_examples_compile(page: Path) -> None:
    for example in fences(page, "python"):
        compile(example, page.name, "exec")


# --- decisions --------------------------------------------------------------------------------------------------------


def decided(page: Path) -> tuple[str, str]:
    """The date and the status, which stand below the title."""
    line = page.read_text().splitlines()[2]
    found = re.fullmatch(r"Date: (\S+)\. Status: (.+?)\.(?: Replaces \[\d+\]\(\S+\)\.)?", line)
    assert found is not None, f"{page.name}: {line}"
    return found[1], found[2]


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_has_all_its_parts(page: Path) -> None:
    text = page.read_text()
    number = int(page.name[:4])
    assert text.startswith(f"# {number}. ")
    assert re.findall(r"^## (.+)$", text, re.MULTILINE) == DECISION_PARTS
    for part in text.split("\n## ")[1:]:
        assert len(part.split("\n", 1)[1].strip()) > 20, part
    title = text.splitlines()[0].partition(". ")[2]
    date, status = decided(page)
    assert f"| [{number}]({page.name}) | {title} | {date} | {status} |\n" in (page.parent / "README.md").read_text()


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_has_a_date_and_a_status(page: Path) -> None:
    date, status = decided(page)
    assert datetime.date(2026, 11, 1) <= datetime.date.fromisoformat(date)
    if status != "accepted":
        newer = re.fullmatch(r"replaced by \[(\d+)\]\((.+)\)", status)
        assert newer is not None and newer[2].startswith(f"{int(newer[1]):04}-"), status
        replaced = f" Replaces [{int(page.name[:4])}]({page.name})."
        assert (page.parent / newer[2]).read_text().splitlines()[2].endswith(replaced)


def test_decisions_are_numbered_without_gaps() -> None:
    assert [int(page.name[:4]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    assert DECISIONS
