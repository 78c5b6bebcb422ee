"""A root whose file system stops answering keeps neither the search of other roots nor the end of the daemon."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from regend.errors import RegendError
from tests.e2e.rig import daemon


def test_a_hung_root_is_left_behind_at_the_end(tmp_path: Path) -> None:
    root, other, flag = tmp_path.resolve() / "root", tmp_path.resolve() / "other", tmp_path / "flag"
    for directory, name in ((root, "apple"), (other, "pear")):
        directory.mkdir()
        (directory / f"{name}.py").write_text(f"def {name}():\n    return 1\n")
    with daemon() as subject:
        subject.launcher = (sys.executable, "-m", "tests.e2e.hang")
        subject.environ = {"HANG_ROOT": str(root), "HANG_FLAG": str(flag)}
        subject.start(root, other).flush()
        flag.touch()
        for _ in range(8):  # More than the event loop has threads for calls that may wait.
            with pytest.raises(RegendError):
                subject.call("flush", timeout_s=0.3)
        assert subject.paths("pear")[0] == "pear.py"
        assert len(subject.call("list")["roots"]) == 2
        subject.process.send_signal(signal.SIGTERM)
        assert subject.process.wait(20) == 0
        assert "threads_left_behind" in subject.log() and "index_thread_does_not_end" not in subject.log()

        flag.unlink()
        subject.launcher = ()
        subject.start()
        assert subject.flush()["complete"]
        assert subject.paths("apple")[0] == "apple.py" and subject.status()["counters"]["embedded_chunks"] == 0
