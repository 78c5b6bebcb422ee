"""`regenctl tune` measures with daemons of its own, says what it measured, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import asdict
from pathlib import Path

import pytest

from regend.cli.tuning.measuring import measure
from regend.config import Config, config_from_text
from regend.errors import RegendError
from regend.limits import MIN_TUNE_FILES
from tests.e2e.rig import Daemon, daemon

REPOSITORY = Path(__file__).parents[3]


def tree(place: Path, files: int) -> Path:
    place.mkdir()
    for n in range(files):
        (place / f"part_{n}.py").write_text(f"def part_{n}(value):\n    return value * {n}\n")
    return place


def tune(subject: Daemon, root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "regend.cli.main", "--socket", str(subject.socket), "tune", str(root), *arguments]
    environ = {**os.environ, "HOME": str(subject.home), "XDG_CONFIG_HOME": str(subject.home)}
    environ["PYTHONPATH"] = str(REPOSITORY)
    return subprocess.run(command, cwd=root, env=environ, capture_output=True, text=True, timeout=300)


def test_one_run_measures_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setenv("TMPDIR", str(scratch := tmp_path / "t"))
    scratch.mkdir()
    config = asdict(Config())
    run = measure(tree(tmp_path / "tree", 12), config, {"workers.mode": "sequential", "workers.count": 1})
    assert run.took_s > 0 and run.cpu_s > 0
    with pytest.raises(RegendError, match=r"does not start: .*`workers.mode` is 'fast'"):
        measure(tmp_path / "tree", config, {"workers.mode": "fast"})
    assert list(scratch.iterdir()) == []


def test_too_few_files_tell_nothing(tmp_path: Path) -> None:
    root = tree(tmp_path / "tree", MIN_TUNE_FILES - 1)
    with daemon() as subject:
        subject.start(root).flush()
        done = tune(subject, root)
    assert done.returncode == 2
    assert f"has {MIN_TUNE_FILES - 1} files to measure with, and at least {MIN_TUNE_FILES} are needed" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("provider", ["builtin", "openai"])
def test_the_command_prints_and_writes_a_proposal_with_its_figures(tmp_path: Path, provider: str) -> None:
    root = tree(tmp_path / "tree", MIN_TUNE_FILES + 20)
    with daemon() as subject:
        subject.start(root).flush()
        settings = subject.home / "regend" / "config.toml"
        settings.parent.mkdir()
        settings.write_text(f"[embedding]\nprovider = '{provider}'\nmodel = 'm'\napi_key_env = 'NONE'\n")
        out = tmp_path / "proposal.toml"
        done = tune(subject, root, "--json", "--rounds", "2", "--files", str(MIN_TUNE_FILES), "--out", str(out))
        assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert (answer["files"], answer["of_files"], answer["rounds"]) == (MIN_TUNE_FILES, MIN_TUNE_FILES + 20, 2)
    assert {trial["key"] for trial in answer["trials"]} == {"workers.mode", "workers.count", "workers.window"}
    assert all(len(trial["took_s"]) == len(trial["cpu_s"]) == 2 for trial in answer["trials"])
    assert any("was not asked" in remark for remark in answer["remarks"]) == (provider == "openai")
    text = out.read_text()
    proposed = {f"{table}.{key}": v for table, values in tomllib.loads(text).items() for key, v in values.items()}
    assert proposed == answer["proposal"]
    config_from_text(out.read_bytes(), out, {})
    assert all(f"#   {trial['key']} = " in text for trial in answer["trials"])
