"""`regenctl` starts quickly because of what it does not import; `python -m benchmarks query` times it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.rpc.scripted import ROOT, ServerThread, short_directory

REPOSITORY = Path(__file__).parents[2]
COMMANDS = [
    ("search", "x", "--all"), ("symbols", "push", "--all"), ("related", f"{ROOT}/a.py"), ("outline", f"{ROOT}/a.py"),
    ("status",), ("flush",), ("list",), ("add", "/src/x"), ("why", "a"), ("stop",), ("completion", "bash"),
]  # fmt: skip

SHOW_MODULES = """
import sys
from regend.cli.main import main
assert main(sys.argv[1:]) == 0
sys.stdout.flush()
print("\\nMODULES", *sorted({name.partition(".")[0] for name in sys.modules}))
print("OURS", *sorted(name for name in sys.modules if name.startswith("regend.")))
"""


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_only_the_standard_library_and_msgpack_are_imported(command: tuple[str, ...]) -> None:
    with short_directory() as directory, ServerThread(directory / "s"):
        done = subprocess.run(
            [sys.executable, "-c", SHOW_MODULES, "--socket", str(directory / "s"), *command],
            cwd=REPOSITORY, capture_output=True, text=True, timeout=20,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    *_, modules, ours = done.stdout.splitlines()
    ambient = set(
        subprocess.run(
            [sys.executable, "-c", "import sys; print(*{name.partition('.')[0] for name in sys.modules})"],
            capture_output=True, text=True, check=True,
        ).stdout.split()
    )  # fmt: skip
    foreign = set(modules.split()[1:]) - sys.stdlib_module_names - ambient - {"msgpack", "regend", "__main__"}
    assert {name for name in foreign if "cython" not in name} == set()  # msgpack is compiled by Cython.
    assert not {"dataclasses", "typing", "json", "asyncio"} & set(modules.split())
    assert not {"regend.rpc.schema", "regend.config", "regend.daemon"} & set(ours.split())


INTERRUPTED = """
import os, signal, sys

class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == "regend.cli.arguments":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
from regend.interpreter import control
control()
"""


def test_ctrl_c_while_modules_are_imported_ends_without_a_traceback() -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], cwd=REPOSITORY, capture_output=True, text=True, timeout=20
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
