"""`kill -9` at any moment loses nothing that was committed, leaves nothing stale, and leaves no process behind."""

from __future__ import annotations

import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.e2e.rig import Daemon, assert_as_fresh, daemon, wait_for
from tests.e2e.test_freshness import module
from tests.ledger import record


def runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def fill(root: Path, files: int) -> None:
    for n in range(files):
        file = root / f"pkg{n % 7}" / f"mod{n}.py"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(module(n))


def kill_worker(pid: int) -> None:
    """`kill -9` of a process that may have ended by itself."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def kill_and_restart(subject: Daemon, root: Path, rng: random.Random) -> float:
    """Edit, let the daemon work for a random moment, kill it, and start it again.

    Returns:
        Seconds from the start of the process to its first answer.
    """
    for _ in range(rng.randint(1, 30)):
        n = rng.randrange(200)
        file = root / f"pkg{n % 7}" / f"mod{n}.py"
        if rng.random() < 0.15:
            file.unlink(missing_ok=True)
        else:
            file.parent.mkdir(exist_ok=True)
            file.write_text(module(n, f" + {rng.randrange(10**6)}"))
    time.sleep(rng.random() ** 2 * 0.4)
    workers = subject.worker_pids()
    if workers and rng.random() < 0.3:
        kill_worker(rng.choice(workers))
        time.sleep(rng.random() * 0.1)
        workers = list({*workers, *subject.worker_pids()})
    subject.kill()
    started_at = time.monotonic()
    subject.start()
    ready_s = time.monotonic() - started_at
    # A kill is no damage: what is believed to be one would cost a whole index.
    assert "catalog_damaged" not in subject.log()
    wait_for(lambda: not any(map(runs, workers)), "the killed daemon's workers are gone", 5.0)
    status = subject.status()
    assert [served["path"] for served in status["roots"]] == [str(root)]
    assert status["roots"][0]["state"] in ("scanning", "indexing", "ready"), status["roots"][0]
    return ready_s


def survive(root: Path, kills: int, seed: int, check_every: int) -> None:
    rng = random.Random(seed)
    fill(root, 200)
    ready_s: list[float] = []
    compared = 0
    with daemon() as subject:
        subject.start(root)  # The first kill falls into the first index.
        for count in range(1, kills + 1):
            try:
                ready_s.append(kill_and_restart(subject, root, rng))
                if count % check_every == 0 or count == kills:
                    assert_as_fresh(subject, root, queries=10)
                    compared += 1
            except AssertionError as error:
                record("kill -9 of daemon and workers", count, diverged=1)
                raise AssertionError(f"seed {seed}, kill {count}: {error}") from error
    ready_s.sort()
    figures = f"first answer after {ready_s[len(ready_s) // 2]:.2f} s (p50), {ready_s[-1]:.2f} s (max)"
    record("kill -9 of daemon and workers", kills, note=f"{compared} times compared with a fresh index; {figures}")


def test_a_few_kills(tmp_path: Path) -> None:
    survive(tmp_path.resolve() / "repo", kills=5, seed=1, check_every=5)


@pytest.mark.slow
def test_many_kills(tmp_path: Path) -> None:
    """`REGEND_KILLS` says how many; `REGEND_KILL_CHECK` after how many of them a fresh index is compared."""
    kills, check_every = int(os.environ.get("REGEND_KILLS", "50")), int(os.environ.get("REGEND_KILL_CHECK", "1"))
    survive(tmp_path.resolve() / "repo", kills, seed=2, check_every=check_every)


def big_module(functions: int) -> str:
    return "\n\n".join(module(n).replace("Thing", "Big") for n in range(functions))


def test_a_worker_killed_in_the_middle_of_a_file(tmp_path: Path) -> None:
    """The file is indexed by the retry, and so is everything else."""
    root = tmp_path.resolve() / "repo"
    fill(root, 40)
    (root / "big.py").write_text(big_module(900))
    with daemon("[workers]\ncount = 1\n") as subject:
        subject.start()
        victims = set()
        subject.call("add", path=str(root))
        deadline = time.monotonic() + 10.0
        while len(victims) < 1 and time.monotonic() < deadline:
            for worker in subject.status()["workers"]:
                if worker["state"] == "busy":
                    os.kill(worker["pid"], signal.SIGKILL)
                    victims.add(worker["pid"])
                    break
        assert victims, "no worker was seen busy"
        assert_as_fresh(subject, root, queries=5)
        assert subject.status()["counters"]["worker_restarts"] >= 1
        assert not victims & set(subject.worker_pids())


SLOW_CONFIG = """
[limits]
max_file_bytes = 8_000_000
parse_timeout_s = 30.0

[workers]
deadline_s = 1.0
"""


def test_a_file_that_always_loses_its_worker_is_quarantined(tmp_path: Path) -> None:
    """It takes longer than a worker may take for one item; everything else is complete, and a change of it heals."""
    root = tmp_path.resolve() / "repo"
    fill(root, 30)
    hard = root / "hard.py"
    hard.write_text(big_module(6_000))
    assert 3_000_000 < hard.stat().st_size < 8_000_000
    with daemon(SLOW_CONFIG) as subject:
        subject.start(root)
        done = subject.flush()
        assert [(f["path"], f["reason"]) for f in done["failed"]] == [("hard.py", "quarantined: deadline")]
        served = subject.root(root)
        assert served["files_indexed"] == 30
        assert served["skipped_by_reason"] == {"quarantined": 1}
        assert subject.call("why", file=str(hard))["state"] == "quarantined"
        restarts = subject.status()["counters"]["worker_restarts"]
        subject.stop()
        subject.start()
        subject.flush()
        assert subject.status()["counters"]["worker_restarts"] == 0 < restarts, "it is not tried again as it is"
        assert subject.call("why", file=str(hard))["state"] == "quarantined"
        hard.write_text("def easy_now():\n    return 1\n")
        done = subject.flush()
        assert done["failed"] == [] and subject.paths("easy_now")[0] == "hard.py"
        assert subject.root(root)["files_skipped"] == 0


@pytest.mark.parametrize("how", ["SIGTERM", "SIGINT", "stop"])
def test_an_orderly_end_leaves_nothing(tmp_path: Path, how: str) -> None:
    root = tmp_path.resolve() / "repo"
    fill(root, 10)
    with daemon() as subject:
        subject.start(root)
        subject.flush()
        pids = subject.worker_pids()
        if how == "stop":
            subject.call("stop")
        else:
            subject.process.send_signal(getattr(signal, how))
        assert subject.process.wait(10) == 0
        assert not any(map(runs, pids))
        assert not subject.socket.exists()


def test_a_second_daemon_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    root = tmp_path.resolve() / "repo"
    fill(root, 5)
    with daemon() as first, daemon() as second:
        first.start(root)
        first.flush()
        for name in ("socket", "state_dir"):
            setattr(second, name, getattr(first, name))
            second.start(wait=False)
            assert second.process.wait(10) == 1
            assert str(first.process.pid) in second.log()
        assert first.flush()["complete"] and first.paths("Thing1")
