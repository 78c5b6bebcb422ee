"""A running daemon ranks by what commits said, from its start on and after each new commit."""

from __future__ import annotations

from pathlib import Path

from tests.disk.test_history import commit, git
from tests.e2e.rig import Daemon, daemon

ASKED = "repeat a request after a timeout"


def shares(subject: Daemon, root: Path) -> dict[str, float]:
    """The share of each file for which the history says anything."""
    found = subject.call("search", query=ASKED, root=str(root), k=20, explain=True)["results"]
    said = {result["path"]: result["explain"]["history"]["value"] for result in found}
    return {path: value for path, value in said.items() if value}


def test_commits_are_followed(tmp_path: Path) -> None:
    root = tmp_path.resolve() / "repo"
    for n in range(6):
        (root / "src").mkdir(parents=True, exist_ok=True)
        (root / f"src/part{n}.py").write_text(f"def send_{n}(request):\n    return request.send({n})\n")
    git(root, "init", "-q", "-b", "main")
    commit(root, "Begin", "README.md")
    with daemon() as subject:
        subject.start(root).flush()
        assert shares(subject, root) == {}
        commit(root, "Repeat a request after a timeout", "src/part4.py")
        subject.flush()
        assert shares(subject, root) == {"src/part4.py": 1.0}
        assert subject.paths(ASKED, root=str(root))[0] == "src/part4.py"
        commit(root, "Requests have another timeout now", "src/part2.py")
        subject.flush()
        after = shares(subject, root)
        assert after["src/part4.py"] == 1.0 and 0.0 < after["src/part2.py"] < 1.0
        subject.stop()
        subject.start().flush()
        assert shares(subject, root) == after
