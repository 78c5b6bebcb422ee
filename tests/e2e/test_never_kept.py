"""Excluded files leave no byte in the state directory: secrets never get in, and a new rule removes what is there."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from regend.cli.main import main
from tests.e2e.rig import Daemon, daemon, wait_for
from tests.e2e.test_freshness import module
from tests.ledger import record

TOKEN = "xylophonequartz"

SECRETS = (
    ".env", ".ENV", ".env.local", "deploy/.env.production", ".ssh/config", ".ssh/id_ed25519", "id_rsa", "server.pem",
    "Server.KEY", ".aws/credentials", ".AWS/config", ".netrc", ".npmrc", ".pypirc", ".git-credentials", ".kube/config",
    ".gnupg/pubring.kbx", "keys/store.p12", ".docker/config.json", ".pgpass",
)  # fmt: skip


def holding(state_dir: Path, needle: bytes) -> list[str]:
    """Files of the state directory with these bytes in their content or path."""
    files = [path for path in state_dir.rglob("*") if path.is_file()]
    return [str(path.relative_to(state_dir)) for path in files if needle in path.read_bytes() or needle in bytes(path)]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path.resolve() / "root"
    made.mkdir()
    for n in range(8):
        (made / f"mod{n}.py").write_text(module(n))
    return made


@pytest.fixture
def served(root: Path) -> Iterator[Daemon]:
    with daemon() as made:
        made.start(root).flush()
        yield made


def test_secrets_leave_no_byte(served: Daemon, root: Path) -> None:
    for number, name in enumerate(SECRETS):
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{TOKEN}{number} = 'hunter{number}'\n")
    served.flush()
    kept = [name for name in SECRETS if served.call("why", file=str(root / name))["state"] != "ignored"]
    assert kept == []
    assert set(served.paths(TOKEN, k=100)) <= {f"mod{n}.py" for n in range(8)}
    assert served.stop() == 0
    assert holding(served.state_dir, TOKEN.encode()) == []
    assert TOKEN not in served.log()
    record("secret files offered", len(SECRETS))


def needles(state_dir: Path) -> list[bytes]:
    """Everything by which the file could be known: path, hashes, texts as they are stored, vectors."""
    connection = sqlite3.connect(f"file:{state_dir / 'index.db'}?mode=ro", uri=True)
    try:
        (entry,) = connection.execute("SELECT blob_key FROM entries WHERE path = 'private/plans.py'").fetchall()
        found = [b"private/plans.py"]
        found += [bytes(blob) for (blob,) in connection.execute("SELECT blob FROM blobs WHERE blob_key = ?", entry)]
        keys = [key for (key,) in connection.execute("SELECT chunk_key FROM blob_chunks WHERE blob_key = ?", entry)]
        for key in keys:
            row = connection.execute("SELECT * FROM chunks WHERE chunk_key = ?", (key,)).fetchone()
            found += [value for value in row if isinstance(value, bytes)]
            (vector,) = connection.execute(
                "SELECT vector FROM vectors WHERE (vector_key & ((1 << 40) - 1)) = ?", (key,)
            ).fetchone()
            found.append(bytes(vector))
        return found
    finally:
        connection.close()


def test_a_new_rule_leaves_no_byte(served: Daemon, root: Path) -> None:
    secret = root / "private" / "plans.py"
    secret.parent.mkdir()
    secret.write_text(f"class {TOKEN.title()}:\n    def {TOKEN}_method(self):\n        return '{TOKEN} alone'\n")
    served.flush()
    assert served.paths(TOKEN, k=1) == ["private/plans.py"]
    sought = needles(served.state_dir)
    assert len(sought) == 4
    assert all(holding(served.state_dir, needle) for needle in sought), "the search for bytes finds what is there"
    (root / ".gitignore").write_text("private/\n")
    served.flush()
    assert not [path for path in served.paths(TOKEN, k=100) if path.startswith("private/")]
    wait_for(lambda: '"purged"' in served.log(), "the purge", 30.0)
    left = {needle: holding(served.state_dir, needle) for needle in (*sought, TOKEN.encode()) if needle}
    assert not any(left.values()), {needle: files for needle, files in left.items() if files}
    # Files that are no longer ignored come back whole.
    (root / ".gitignore").unlink()
    served.flush()
    assert served.paths(TOKEN, k=1) == ["private/plans.py"]
    record("files taken out by a new rule", 1)


def test_a_root_that_is_to_be_forgotten_leaves_no_byte(served: Daemon, root: Path, tmp_path: Path) -> None:
    private = tmp_path.resolve() / "private"
    private.mkdir()
    (private / "plans.py").write_text(f"def {TOKEN}():\n    return '{TOKEN} alone'\n")
    served.call("add", path=str(private))
    served.flush()
    assert served.paths(TOKEN, k=1) == ["plans.py"]
    served.call("remove", path=str(private))
    assert holding(served.state_dir, b"plans.py"), "kept for a while, as documented"
    served.call("add", path=str(private))
    served.flush()
    assert main(["--socket", str(served.socket), "remove", "--forget", str(private)]) == 0
    assert holding(served.state_dir, TOKEN.encode()) == []
    assert holding(served.state_dir, b"plans.py") == []
    assert served.paths("Thing1") and served.call("verify")["damage"] == ""
    assert served.stop() == 0
    served.start().flush()
    assert served.paths("Thing1")
    answer = served.call("search", query=TOKEN, k=100)  # A note may repeat the word that was asked for.
    assert TOKEN not in repr(answer["results"])


SWAPS = 60


def test_nothing_outside_is_read_while_names_are_swapped(served: Daemon, root: Path, tmp_path: Path) -> None:
    """A file and a directory change places with links to others outside, again and again, while they are read."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "f.py").write_text(f"def {TOKEN}():\n    return 1\n")
    (root / "d").mkdir()
    (root / "d" / "f.py").write_text("def inside():\n    return 1\n")
    (root / "f.py").write_text("def inside():\n    return 2\n")
    stop = threading.Event()
    swapped = 0

    def swap() -> None:
        nonlocal swapped
        while not stop.is_set():
            for name, target in (("d", outside), ("f.py", outside / "f.py")):
                (root / name).rename(root / f".{name}.away")
                (root / name).symlink_to(target)
                time.sleep(0.01 * (swapped % 8))  # Now and then long enough for what was seen before to be read.
                (root / name).unlink()
                (root / f".{name}.away").rename(root / name)
            swapped += 1

    swapper = threading.Thread(target=swap)
    swapper.start()
    try:
        wait_for(lambda: bool(served.call("reindex", path=str(root))) and swapped >= SWAPS, "many swaps", 60.0)
    finally:
        stop.set()
        swapper.join(20)
    served.flush()
    assert {"d/f.py", "f.py"} <= set(served.paths("inside", k=10))
    assert served.stop() == 0
    assert holding(served.state_dir, TOKEN.encode()) == []
    record("files and directories swapped for links", 2 * swapped)


def test_rules_that_came_while_nobody_looked(served: Daemon, root: Path) -> None:
    (root / "private.py").write_text(f"def {TOKEN}():\n    return 1\n")
    served.flush()
    assert served.stop() == 0
    (root / ".gitignore").write_text("priv*.py\n")
    served.start().flush()
    wait_for(lambda: '"purged"' in served.log(), "the purge", 30.0)
    assert holding(served.state_dir, b"private.py") == []
    assert served.paths("Thing1")
