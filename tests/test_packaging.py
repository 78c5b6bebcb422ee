"""The package is complete and pinned: constraints, versions, entry points, and the files in the wheel."""

from __future__ import annotations

import ast
import functools
import importlib.util
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import regend
from tests.import_graph import imports_of, read_sources, third_party

REPOSITORY = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
DIRECT = [Requirement(line) for line in PROJECT["dependencies"]]
DEV = [Requirement(line) for line in PROJECT["optional-dependencies"]["dev"]]
UNITS = ("systemd/regend.service", "systemd/regend.socket", "launchd/dev.regend.daemon.plist")
UNDOCUMENTED = ("watchdog.observers.inotify_c",)
"""Modules that no underscore marks and no documentation describes."""
IMPORT_NAMES = {
    "tree-sitter": "tree_sitter",
    "tree-sitter-language-pack": "tree_sitter_language_pack",
    "google-re2": "re2",
    "prometheus-client": "prometheus_client",
}


@functools.cache
def foreign_packages() -> frozenset[str]:
    """List the foreign packages that regend imports, by import name."""
    sources = read_sources(REPOSITORY / "regend")
    return frozenset(third_party(found.target) for name in sources for found in imports_of(name, sources))


def internal(target: str) -> bool:
    """Whether an import reaches into a package of others where its documentation does not."""
    private = any(part.startswith("_") for part in target.split("."))
    return bool(third_party(target)) and (private or target.startswith(UNDOCUMENTED))


def pins() -> dict[str, Version]:
    found = {}
    for line in (REPOSITORY / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            match = re.fullmatch(r"([A-Za-z0-9._-]+)==([A-Za-z0-9.!+]+)", line)
            assert match, f"constraints.txt: {line!r} is no plain pin"
            found[canonicalize_name(match[1])] = Version(match[2])
    return found


def closure(requirements: list[Requirement]) -> set[str]:
    """The canonical names of everything that these requirements bring along on this machine."""
    seen: set[str] = set()
    waiting = [(r, "") for r in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker is not None and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        extras = ("", *requirement.extras)
        if name in seen and not requirement.extras:
            continue
        seen.add(name)
        needs = [Requirement(line) for line in distribution(name).requires or ()]
        waiting += [(need, wanted) for need in needs for wanted in extras]
    return seen


def test_constraints_pin_everything_that_is_installed() -> None:
    assert sorted(closure([*DIRECT, *DEV]) - set(pins())) == []


def test_constraints_pin_nothing_that_nobody_asks_for() -> None:
    """Markers are not looked at: a pin may be for another version of Python."""
    asked = {canonicalize_name(r.name) for r in (*DIRECT, *DEV)}
    for name in pins():
        try:
            asked |= {canonicalize_name(Requirement(line).name) for line in distribution(name).requires or ()}
        except PackageNotFoundError:
            continue
    assert sorted(set(pins()) - asked) == []


@pytest.mark.parametrize("requirement", [*DIRECT, *DEV], ids=str)
def test_pins_are_within_what_pyproject_asks_for(requirement: Requirement) -> None:
    assert requirement.specifier.contains(pins()[canonicalize_name(requirement.name)])


@pytest.mark.parametrize("requirement", DIRECT, ids=str)
def test_every_dependency_has_a_lower_bound_and_is_used(requirement: Requirement) -> None:
    assert any(spec.operator in (">=", "==") for spec in requirement.specifier)
    assert IMPORT_NAMES.get(requirement.name, requirement.name) in foreign_packages()


def test_a_dependency_whose_internals_are_imported_has_an_upper_bound() -> None:
    sources = read_sources(REPOSITORY / "regend")
    targets = {found.target for name in sources for found in imports_of(name, sources)}
    inside = {third_party(target) for target in targets if internal(target)}
    bounded = {
        IMPORT_NAMES.get(requirement.name, requirement.name)
        for requirement in DIRECT
        if any(spec.operator in ("<", "<=", "==", "~=") for spec in requirement.specifier)
    }
    assert "watchdog" in inside
    assert sorted(inside - bounded) == []


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("watchdog.observers.inotify_c", True),
        ("numpy._core", True),
        ("pathspec.pattern.RegexPattern", False),
        ("regend._private", False),
        ("watchdog.observers.Observer", False),
        ("__future__.annotations", False),
    ],
)
def test_internals(target: str, expected: bool) -> None:
    assert internal(target) == expected


def test_no_file_names_an_index() -> None:
    for name in ("constraints.txt", "pyproject.toml", "Makefile", ".ci/run"):
        text = (REPOSITORY / name).read_text()
        assert re.search(r"index-url|find-links|simple/|--trusted-host", text) is None, name
    assert "://" not in (REPOSITORY / "constraints.txt").read_text()


def test_one_version() -> None:
    assert PROJECT["version"] == regend.__version__
    assert f"## {regend.__version__}" in (REPOSITORY / "CHANGELOG.md").read_text()


@pytest.mark.parametrize("script", sorted(PROJECT["scripts"]))
def test_entry_points_exist(script: str) -> None:
    module, _, function = PROJECT["scripts"][script].partition(":")
    file = REPOSITORY / (module.replace(".", "/") + ".py")
    assert file.exists(), f"{script} needs {file}"
    names = {node.name for node in ast.parse(file.read_text()).body if isinstance(node, ast.FunctionDef)}
    assert function in names


def test_the_entry_point_of_ci() -> None:
    script = REPOSITORY / ".ci/run"
    assert os.access(script, os.X_OK)
    assert script.read_text().startswith("#!/usr/bin/env bash\n")
    done = subprocess.run(["bash", "-n", script], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "make test" in script.read_text().splitlines()[-1]


def test_the_wheel_is_told_to_carry_the_service_units() -> None:
    wheel = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["packages"] == ["regend"]
    assert wheel["force-include"] == {unit: f"regend/service_units/{Path(unit).name}" for unit in UNITS}
    assert {"systemd", "launchd"} <= set(PYPROJECT["tool"]["hatch"]["build"]["targets"]["sdist"]["include"])


@pytest.mark.skipif(importlib.util.find_spec("hatchling") is None, reason="hatchling, the build back end, is missing")
def test_the_wheel_is_complete(tmp_path: Path) -> None:
    code = f"import hatchling.build; print(hatchling.build.build_wheel({str(tmp_path)!r}))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=True
    )
    with zipfile.ZipFile(tmp_path / done.stdout.strip().splitlines()[-1]) as wheel:
        names = set(wheel.namelist())
        wheel.extractall(tmp_path / "site")
    expected = {
        str(file.relative_to(REPOSITORY))
        for file in (REPOSITORY / "regend").rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }
    assert expected - names == set()
    assert {name for name in names if name.startswith("regend/service_units/")} == {
        f"regend/service_units/{Path(unit).name}" for unit in UNITS
    }
    # The installed package finds its units without the source tree.
    code = (
        "import regend, regend.cli.service_files as f; from pathlib import Path\n"
        "print(regend.__file__)\n"
        "for p in ('linux', 'darwin'):\n    for s in f.service_files(p, {'HOME': '/h'}, Path('/r')): print(s.path.name)"
    )
    environ = {"PYTHONPATH": str(tmp_path / "site"), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=30, check=True
    )
    lines = done.stdout.split()
    assert lines[0] == str(tmp_path / "site/regend/__init__.py")
    assert set(lines[1:]) == {Path(unit).name for unit in UNITS}
