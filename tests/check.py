"""The inner loop, `make check`: lint, types and the tests beside what changed since HEAD, or beside one file.

Tests are found by the path of a file: `regend/rpc/server.py` has `tests/rpc/test_server.py` and
`tests/rpc/test_server_*.py`. A file without such a module has the modules of the nearest folder under `tests/` of the
same name, or a module named after its folder (`docs/search.md` has `tests/test_docs.py`). A data file has the cases
with its name in brackets: `languages/go.toml` has `test_symbols[go]`. Every command is printed before it runs.

`make check` may pass where `make test` fails: tests of other packages do not run. It never passes without a test.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

REPOSITORY = Path(__file__).parents[1]
PACKAGE = "regend"
TESTS = PurePosixPath("tests")
NO_TEST_RAN = 5
"""The exit status of pytest when it selected no test."""

Run = Callable[[Sequence[str]], int]
"""Run a program of the virtual environment with its arguments, and return its exit status."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The tests beside one file.

    Attributes:
        modules: paths of test modules, relative to the repository.
        case: the name that parametrised cases have in brackets; empty: all tests of the modules.
        is_own: the modules are named after the file, and not only after its folder.
    """

    modules: tuple[str, ...]
    case: str = ""
    is_own: bool = False


def selection_for(path: PurePosixPath, root: Path) -> Selection:
    """Return the tests of a file; no modules where no folder above it has any.

    Args:
        path: relative to `root`; the file may be deleted.
        root: the repository.
    """
    if path.parts[0] == str(TESTS) and path.match("test_*.py"):
        return Selection((str(path),) if (root / path).is_file() else (), is_own=True)
    place = path.relative_to(path.parts[0]) if path.parts[0] in (PACKAGE, str(TESTS)) else path
    is_data = path.suffix not in (".py", ".md", "")
    name = place.with_suffix("")
    while name.name:
        folder = TESTS / name.parent
        own = () if is_data else _modules(root, folder, f"test_{name.name}.py", f"test_{name.name}_*.py")
        modules = own or _modules(root, folder, "test_*.py")
        if modules:
            return Selection(modules, path.stem if is_data else "", bool(own) and name == place.with_suffix(""))
        name = name.parent
    return Selection(())


def changed_files(root: Path) -> list[PurePosixPath]:
    """Return what differs from HEAD, deleted and untracked files included."""
    names: set[str] = set()
    for arguments in (("diff", "--name-only", "--no-renames", "HEAD"), ("ls-files", "--others", "--exclude-standard")):
        done = subprocess.run(["git", *arguments, "-z"], cwd=root, capture_output=True, text=True, check=True)
        names.update(done.stdout.split("\0"))
    return [PurePosixPath(name) for name in sorted(names - {""})]


def check(paths: Sequence[PurePosixPath], root: Path, run: Run, is_named: bool) -> bool:
    """Run what belongs to the files, all of it even after a failure.

    Args:
        is_named: the caller named the one file, so types are checked in that file only. Otherwise mypy reads all of the
            package: its cache leaves the changed modules and those that import them, and errors show in both.

    Returns:
        Whether everything passed.
    """
    sources = [str(path) for path in paths if path.suffix == ".py" and (root / path).is_file()]
    passed = True
    if sources:
        passed &= run(["ruff", "check", "--force-exclude", *sources]) == 0
        passed &= run(["ruff", "format", "--check", "--force-exclude", *sources]) == 0
    typed = [source for source in sources if source.startswith(f"{PACKAGE}/")]
    if typed:
        passed &= run(["mypy", *(typed if is_named else ())]) == 0
    cases: set[Selection] = set()
    modules: set[str] = set()
    for path in paths:
        selection = selection_for(path, root)
        if not selection.modules:
            print(f"{path}: there is no test beside it.")
        elif selection.case:
            cases.add(selection)
        else:
            if not selection.is_own:
                print(f"{path} has no test module of its own; the nearest ones are in {_folders(selection.modules)}.")
            modules.update(selection.modules)
    for selection in sorted(cases, key=lambda selection: selection.case):
        status = run(["pytest", *selection.modules, "-k", f"[{selection.case}]"])
        passed &= status in (0, NO_TEST_RAN)
        if status == NO_TEST_RAN:
            print(f"No case is called [{selection.case}]; all tests of {_folders(selection.modules)} run.")
            modules.update(selection.modules)
    if modules:
        status = run(["pytest", *sorted(modules)])
        passed &= status == 0
        if status == NO_TEST_RAN:
            print("No test ran: all of these are slow. `.venv/bin/pytest -m slow MODULE` runs them.")
    elif not cases:
        print("No test ran.")
        passed = False
    return passed


def main(arguments: Sequence[str]) -> int:
    """Entry point: ``python -m tests.check [FILE]``."""
    if arguments:
        file = Path(arguments[0]).resolve()
        if not file.is_file() or not file.is_relative_to(REPOSITORY):
            print(f"{arguments[0]} is not a file of this repository.", file=sys.stderr)
            return 2
        paths = [PurePosixPath(file.relative_to(REPOSITORY).as_posix())]
    else:
        paths = changed_files(REPOSITORY)
    if not paths:
        print("Nothing differs from HEAD; `make check FILE=path` checks one file.")
        return 0
    return 0 if check(paths, REPOSITORY, _run, bool(arguments)) else 1


def _run(command: Sequence[str]) -> int:
    print("+", *command, flush=True)
    return subprocess.run([Path(sys.executable).parent / command[0], *command[1:]], cwd=REPOSITORY).returncode


def _modules(root: Path, folder: PurePosixPath, *patterns: str) -> tuple[str, ...]:
    found = {file for pattern in patterns for file in (root / folder).glob(pattern)}
    return tuple(sorted(file.relative_to(root).as_posix() for file in found))


def _folders(modules: Iterable[str]) -> str:
    return ", ".join(sorted({str(PurePosixPath(module).parent) for module in modules}))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
