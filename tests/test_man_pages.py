"""The manual is made from the tables of the command line and the configuration, and mandoc has no complaint."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from regend.cli.arguments import COMMANDS
from regend.config import known_keys
from tests.man_pages import DIRECTORY, PAGES, rendered


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_up_to_date(name: str) -> None:
    assert (DIRECTORY / name).read_text() == rendered(name), "run `python -m tests.man_pages`"


def test_the_pages_name_every_command_and_key() -> None:
    commands, keys = rendered("regenctl.1"), rendered("regend.toml.5")
    assert [c.name for c in COMMANDS if f".Ss regenctl {c.name}\n" not in commands] == []
    assert [key for key in known_keys() if f".It Ic {key.partition('.')[2]}\n" not in keys] == []


@pytest.mark.skipif(shutil.which("mandoc") is None, reason="mandoc is not installed")
@pytest.mark.parametrize("name", PAGES)
def test_mandoc_has_no_complaint(name: str) -> None:
    command = ["mandoc", "-Tlint", "-Wwarning", str(DIRECTORY / name)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    shown = subprocess.run(["mandoc", "-Tutf8", str(DIRECTORY / name)], capture_output=True, text=True).stdout
    assert "EXIT" in shown or "configuration" in shown
