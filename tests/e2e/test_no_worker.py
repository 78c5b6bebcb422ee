"""No worker can be started for a while: the daemon says why, costs nothing, answers from what it has, and recovers."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import psutil
import pytest

from regend.errors import RpcError
from tests.e2e.rig import FLUSH_LIMIT_S, REPOSITORY, Daemon, daemon, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="prlimit(2), and links of the interpreter")
WATCHED_S = 3.0
MAX_SHARE = 0.05
"""Maximum share of one core that the daemon may take while it waits."""
ANOTHER_USER = 65_534


def function(name: str) -> str:
    return f"def {name}(value):\n    return value + 1\n"


@pytest.fixture
def root(subject: Daemon) -> Path:
    made = subject.home.resolve() / "root"
    made.mkdir()
    (made / "a.py").write_text(function("first"))
    return made


def packages() -> str:
    return os.pathsep.join((str(REPOSITORY), str(Path(msgspec.__file__).parents[1])))


@pytest.fixture
def subject() -> Iterator[Daemon]:
    with daemon() as made:
        yield made


def lose_workers(subject: Daemon) -> None:
    for pid in subject.worker_pids():
        os.kill(pid, signal.SIGKILL)


def gone(interpreter: Path) -> None:
    interpreter.unlink()


def denied(interpreter: Path) -> None:
    interpreter.unlink()
    interpreter.touch()


def another_program(interpreter: Path) -> None:
    interpreter.unlink()
    interpreter.write_text("#!/bin/sh\necho 'the upgrade is half done' >&2\nexit 3\n")
    interpreter.chmod(0o700)


def check_outage(subject: Daemon, root: Path, said: str) -> None:
    """While no worker can be started: the truth in every place, answers, and no work."""
    (root / "b.py").write_text(function("second"))
    wait_for(lambda: bool(subject.status()["held_back"]), "the status says that something is wrong")
    wait_for(lambda: subject.root(root)["pending"] >= 1, "the file waits")
    process = psutil.Process(subject.process.pid)
    before = sum(process.cpu_times()[:2])
    with pytest.raises(subprocess.TimeoutExpired):
        subject.process.wait(WATCHED_S)
    assert sum(process.cpu_times()[:2]) - before <= MAX_SHARE * WATCHED_S
    status = subject.status()
    (held_back,) = status["held_back"]
    state = subject.root(root)
    assert "No worker process can be started" in held_back and said in held_back and "\n" not in held_back
    assert state["state"] == "degraded" and said in state["reason"] and not state["complete"]
    assert state["files_skipped"] == 0 and not status["complete"]
    assert subject.paths("first") == ["a.py"]
    overlays = [{"path": str(root / "a.py"), "text": function("third")}]
    assert "could not be read" in " ".join(subject.call("search", query="first", overlays=overlays)["notes"])
    subject.flush_limit_s = 0.2
    with pytest.raises(RpcError, match="Not everything was searchable"):
        subject.flush()
    subject.flush_limit_s = FLUSH_LIMIT_S
    doctor = subprocess.run(
        [sys.executable, "-m", "regend.cli.main", "--socket", str(subject.socket), "doctor"],
        capture_output=True, text=True, cwd=REPOSITORY, env=os.environ | {"REGEND_STATE_DIR": str(subject.state_dir)},
    )  # fmt: skip
    assert doctor.stdout.count(said) >= 2, f"for the daemon and for the root: {doctor.stdout}{doctor.stderr}"


def check_recovery(subject: Daemon, root: Path) -> None:
    done = subject.flush()
    assert done["failed"] == [] and subject.paths("second")[0] == "b.py"
    wait_for(lambda: subject.root(root)["state"] == "ready" and not subject.status()["held_back"], "all is well")
    assert subject.flush()["complete"] and subject.stop() == 0


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (gone, "No such file or directory"),
        pytest.param(denied, "Permission denied", marks=pytest.mark.slow),
        pytest.param(another_program, "the upgrade is half done", marks=pytest.mark.slow),
    ],
)
def test_the_interpreter_is_away(
    subject: Daemon, root: Path, tmp_path: Path, spoil: Callable[[Path], None], said: str
) -> None:
    """As an upgrade of Python leaves it."""
    interpreter, python = tmp_path / "python", Path(sys.executable).resolve()
    interpreter.symlink_to(python)
    subject.program, subject.environ = (str(interpreter), "-m", "regend"), {"PYTHONPATH": packages()}
    subject.start(root).flush()
    spoil(interpreter)
    lose_workers(subject)
    check_outage(subject, root, said)
    interpreter.unlink(missing_ok=True)
    interpreter.symlink_to(python)
    check_recovery(subject, root)


def test_from_the_start_on(subject: Daemon, root: Path) -> None:
    """A daemon whose index can be served serves it, and one without an index answers, too."""
    broken, interpreter, python = subject.home / "broken", subject.home / "python", Path(sys.executable).resolve()
    lines = ["#!/bin/bash", f'if [ -e "{broken}" ] && [[ "$*" == *workers.worker* ]]; then']
    lines += ["  echo 'a package is away' >&2; exit 1", "fi", f'exec -a "$0" "{python}" "$@"']
    interpreter.write_text("\n".join(lines) + "\n")
    interpreter.chmod(0o700)
    subject.program, subject.environ = (str(interpreter), "-m", "regend"), {"PYTHONPATH": packages()}
    broken.touch()
    subject.start(root)
    wait_for(lambda: "a package is away" in subject.root(root)["reason"], "the cause is said")
    assert subject.paths("first") == []
    broken.unlink()
    assert subject.flush()["failed"] == []
    subject.kill()
    broken.touch()
    subject.start(root)
    check_outage(subject, root, "a package is away")
    broken.unlink()
    check_recovery(subject, root)


def as_another_user(subject: Daemon, root: Path) -> tuple[str, ...]:
    """A launcher for a user whom the limit on processes binds: it does not bind root."""
    if os.geteuid() != 0:
        return ()
    if shutil.which("setpriv") is None:
        pytest.skip("setpriv(1) is not installed")
    grant = "+dac_override,+dac_read_search"
    launcher = ("setpriv", f"--reuid={ANOTHER_USER}", f"--inh-caps={grant}", f"--ambient-caps={grant}")
    tried = subprocess.run([*launcher, sys.executable, "-c", ""], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"this machine forbids `{' '.join(launcher)}`: {tried.stderr.strip()}")
    for place in (subject.home, subject.home / "config.toml", root, root / "a.py"):
        os.chown(place, ANOTHER_USER, -1)
    return launcher


LIMIT = """
import resource, sys
hard = resource.prlimit(int(sys.argv[1]), resource.RLIMIT_NPROC)[1]
resource.prlimit(int(sys.argv[1]), resource.RLIMIT_NPROC, (0 if sys.argv[2] == "none" else hard, hard))
"""


def test_a_limit_on_processes_and_threads(subject: Daemon, root: Path) -> None:
    """Neither a process nor a thread can be started, and none for the orderly end."""
    subject.launcher = as_another_user(subject, root)
    subject.start(root).flush()
    pid = subject.process.pid

    def allow(further: str) -> None:
        subprocess.run([*subject.launcher, sys.executable, "-c", LIMIT, str(pid), further], check=True)

    allow("none")
    lose_workers(subject)
    check_outage(subject, root, "Resource temporarily unavailable")
    for _ in range(20):
        assert subject.call("files", root=str(root))["files"]
    (root / "a.py").unlink()
    wait_for(lambda: not subject.paths("first"), "what is deleted is not found any more")
    allow("all")
    (root / "c.py").write_text(function("third"))
    wait_for(lambda: subject.paths("third")[:1] == ["c.py"], "it is searchable", 40.0)
    assert subject.flush()["failed"] == [] and subject.status()["pid"] == pid
    allow("none")
    assert subject.stop() == 0
    assert '"error"' not in subject.log().rpartition("stopping")[2], subject.log()[-2000:]
