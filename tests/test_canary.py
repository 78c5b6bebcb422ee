"""The search for canaries finds them, so that it says something when it finds none."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from regend.errors import ConfigError, ProviderUnavailableError, RegendError
from tests import canary


@pytest.mark.parametrize("make", [RegendError, ConfigError, lambda said: ProviderUnavailableError(said, kind="key")])
@pytest.mark.parametrize("which", [canary.KEY, canary.SECRET])
def test_in_an_error(make: type[RegendError], which: str) -> None:
    assert which in str(make(f"wrong: {which}."))
    assert len(canary.take_found()) == 1


def test_an_error_without_one() -> None:
    error = ProviderUnavailableError("The server is away.", 3.0, kind="failed")
    assert (str(error), error.retry_after_s, error.kind) == ("The server is away.", 3.0, "failed")
    assert canary.take_found() == []


def test_in_bytes_and_files(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "file").write_bytes(b"\0" + canary.KEY.encode())
    canary.look_into(tmp_path)
    canary.look("a body", b"fine")
    assert canary.take_found() == ["the key shows in state"]


@pytest.mark.parametrize("how", ["print", "logging.getLogger().error"])
def test_a_test_that_shows_one_fails(tmp_path: Path, how: str) -> None:
    (tmp_path / "conftest.py").write_text(Path(__file__).with_name("conftest.py").read_text())
    (tmp_path / "test_it.py").write_text(
        f"import logging\nfrom tests import canary\n"
        f"def test_shows(): {how}('key ' + canary.KEY)\ndef test_fine(): print('key')\n"
    )
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path)]
    environ = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, env=environ, cwd=tmp_path)
    assert "1 failed, 1 passed" in done.stdout and "the key shows in what was captured" in done.stdout
