"""`python -m benchmarks retrieval`: what cannot be measured is refused beforehand, by name and with a remedy."""

import json
from pathlib import Path

import pytest

from benchmarks import retrieval
from benchmarks.__main__ import main

QUESTIONS = [{"name": "one", "language": "go", "root": "", "queries": [
    {"query": "q", "relevant": ["a.go"], "secondary": [], "category": "symbol"}]}]  # fmt: skip


@pytest.fixture(autouse=True)
def nothing_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        pytest.fail("a daemon was started")

    monkeypatch.setattr(retrieval, "private_daemon", refuse)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "needs --questions FILE and --checkouts DIR"),
        (["--questions", "q.json"], "needs --questions FILE and --checkouts DIR"),
        (
            ["--questions", "q.json", "--checkouts", ".", "--mode", "daemon,magic"],
            "--mode has magic; there are: daemon",
        ),
        (["--questions", "q.json", "--checkouts", ".", "--budget", "10"], "--budget one from 50 to 200000"),
        (["--questions", "q.json", "--checkouts", ".", "--symbols", "-1"], "--symbols takes a number from 0"),
        (
            ["--questions", "q.json", "--checkouts", ".", "--json", "no/out.json"],
            "--json no/out.json lies in no folder",
        ),
    ],
)
def test_wrong_options(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "q.json").write_text(json.dumps(QUESTIONS))
    with pytest.raises(SystemExit) as caught:
        main(["retrieval", *arguments])
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_wrong_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ["retrieval", "--questions", "q.json", "--checkouts", "all"]
    for text, message in (
        (None, "The questions q.json cannot be read: No such file or directory; name a file with `--questions`."),
        ("[", "The questions q.json are not JSON"),
        (json.dumps(QUESTIONS), "all is not a folder; name one that holds a checkout of each repository."),
    ):
        if text is not None:
            (tmp_path / "q.json").write_text(text)
        with pytest.raises(SystemExit, match=message):
            main(asked)
    (tmp_path / "all").mkdir()
    with pytest.raises(SystemExit, match=r"all/one is not a folder; check out one there."):
        main(asked)
