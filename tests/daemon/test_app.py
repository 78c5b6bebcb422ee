"""The daemon's process parses nothing, so it never loads tree-sitter: grammars take memory, and a hostile file may end
the process that parses it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.rig import daemon


def test_to_import_the_daemon_loads_no_parser() -> None:
    code = "import sys, regend.daemon.app; print(*(name for name in sys.modules if 'tree_sitter' in name))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == []


@pytest.mark.skipif(sys.platform != "linux", reason="what another process has loaded is read from /proc")
def test_a_daemon_at_work_loads_no_parser(tmp_path: Path) -> None:
    root = tmp_path.resolve()
    (root / "a.py").write_text("def apple():\n    return 1\n")
    text = "def pear():\n    return 2\n"
    with daemon() as subject:
        subject.start(root).flush()
        assert subject.paths("apple lang:python") == ["a.py"]
        assert subject.paths("pear", overlays=[{"path": str(root / "a.py"), "text": text}]) == ["a.py"]
        assert subject.call("outline", file=str(root / "a.py"))["symbols"]
        (worker, *_) = subject.worker_pids()
        assert "tree_sitter" in Path(f"/proc/{worker}/maps").read_text(), "a worker has parsed"
        assert "tree_sitter" not in Path(f"/proc/{subject.process.pid}/maps").read_text()
