"""A daemon starts where something it was told of is away."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.rig import daemon, wait_for


def test_a_known_root_that_is_away_holds_up_no_start(tmp_path: Path) -> None:
    here, away = tmp_path.resolve() / "here", tmp_path.resolve() / "away"
    for directory, name in ((here, "apple"), (away, "pear")):
        directory.mkdir()
        (directory / f"{name}.py").write_text(f"def {name}():\n    return 1\n")
    with daemon() as subject:
        subject.start(here, away).flush()
        subject.kill()
        away.rename(tmp_path / "moved")
        subject.start(here, away)
        assert subject.root(away)["state"] == "gone"
        assert subject.paths("apple")[0] == "apple.py"
        (tmp_path / "moved").rename(away)
        wait_for(lambda: subject.root(away)["state"] == "ready", "the root is served again")
        assert subject.root(away)["files_indexed"] == 1
