"""The socket is private, ours alone, and never taken from a daemon that is alive."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import socket
import stat
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from regend.errors import ConfigError, PathError, StoreLockedError
from regend.rpc.listen import MAX_PATH_BYTES, open_listener, peer_credentials
from tests.ledger import record
from tests.rpc.scripted import short_directory

RACES = 100
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def directory() -> Iterator[Path]:
    with short_directory() as path:
        yield path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def python(code: str, *arguments: str, **options: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), *arguments],
        cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


HOLD = """
    import sys
    from pathlib import Path
    from regend.rpc.listen import open_listener
    try:
        listener = open_listener(Path(sys.argv[1]), {})
    except Exception as error:
        print(type(error).__name__, flush=True)
        raise SystemExit(1)
    print("listening", flush=True)
    sys.stdin.read()
    listener.close()
"""


def test_directory_and_socket_are_private_whatever_the_umask(directory: Path) -> None:
    before = os.umask(0)
    try:
        listener = open_listener(directory / "a" / "run" / "s", {})
        assert os.umask(0) == 0
    finally:
        os.umask(before)
    assert mode(directory / "a" / "run") == 0o700
    assert mode(listener.path) == 0o600
    assert mode(directory / "a" / "run" / "s.lock") == 0o600
    listener.close()


def test_clients_connect_and_are_known(directory: Path) -> None:
    listener = open_listener(directory / "s", {})
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(directory / "s"))
        listener.sock.setblocking(True)
        with listener.sock.accept()[0] as peer:
            assert peer_credentials(peer) == (os.getuid(), os.getpid())
    listener.close()


def test_close_removes_the_socket_and_frees_the_path(directory: Path) -> None:
    listener = open_listener(directory / "s", {})
    listener.close()
    listener.close()
    assert not (directory / "s").exists()
    open_listener(directory / "s", {}).close()


@pytest.mark.parametrize("gone", ["socket", "both", "directory", "nothing"])
def test_a_listener_is_renewed_where_its_file_is_gone(directory: Path, gone: str) -> None:
    """A logout removes the runtime directory, a cleaner of old files the socket."""
    listener = open_listener(directory / "run" / "s", {})
    old = listener.sock
    if gone == "directory":
        shutil.rmtree(directory / "run")
    elif gone != "nothing":
        listener.path.unlink()
        if gone == "both":
            listener.path.with_name("s.lock").unlink()
    assert listener.is_reachable() == (gone == "nothing")
    if gone == "nothing":
        with pytest.raises(StoreLockedError, match=f"pid {os.getpid()}"):
            listener.renew()
        assert listener.sock is old
    else:
        listener.renew()
    assert listener.is_reachable() and mode(listener.path) == 0o600
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(listener.path))
    with pytest.raises(StoreLockedError):
        open_listener(listener.path, {})
    old.close()
    listener.close()
    assert not listener.path.exists()
    open_listener(directory / "run" / "s", {}).close()


def test_close_leaves_a_socket_that_is_not_ours_any_more(directory: Path) -> None:
    close_beside_another(directory)


def close_beside_another(directory: Path) -> None:
    listener = open_listener(directory / "s", {})
    (directory / "s").unlink()
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(str(directory / "s"))
        listener.close()
        assert (directory / "s").is_socket()


def test_a_second_daemon_is_told_who_holds_the_path(directory: Path) -> None:
    first = python(HOLD, str(directory / "s"))
    assert first.stdout is not None
    assert first.stdout.readline() == "listening\n"
    with pytest.raises(StoreLockedError, match=rf"pid {first.pid}.*regenctl stop"):
        open_listener(directory / "s", {})
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(directory / "s"))
    first.communicate("")
    assert first.returncode == 0
    open_listener(directory / "s", {}).close()


def test_of_many_that_race_one_wins(directory: Path) -> None:
    racers = [python(HOLD, str(directory / "s")) for _ in range(6)]
    words = [racer.stdout.readline().strip() for racer in racers if racer.stdout]
    assert sorted(words) == ["StoreLockedError"] * 5 + ["listening"]
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(directory / "s"))
    for racer in racers:
        racer.communicate("")


def _contend(path: str, go: object, words: object) -> None:
    go.wait()  # type: ignore[attr-defined]
    try:
        listener = open_listener(Path(path), {})
    except StoreLockedError:
        words.put("refused")  # type: ignore[attr-defined]
        return
    words.put("listening")  # type: ignore[attr-defined]
    try:
        go.wait()  # type: ignore[attr-defined]
    except threading.BrokenBarrierError:
        assert listener.lock_fd >= 0  # It ends without an orderly close, which leaves the socket file.


def test_a_hundred_races_of_two_for_a_dead_socket(directory: Path) -> None:
    """Each begins with the socket file that a killed daemon has left."""
    context = multiprocessing.get_context("fork")
    path, stolen = directory / "s", 0
    for _ in range(RACES):
        with socket.socket(socket.AF_UNIX) as left:
            left.bind(str(path))
        go, words = context.Barrier(3), context.Queue()
        racers = [context.Process(target=_contend, args=(str(path), go, words)) for _ in range(2)]
        for racer in racers:
            racer.start()
        go.wait(20)
        heard = sorted(words.get(timeout=20) for _ in racers)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))  # Whoever won can be reached.
        stolen += heard != ["listening", "refused"]
        go.abort()  # Lets the winner end.
        for racer in racers:
            racer.join(20)
        path.unlink(missing_ok=True)
    record("two daemons race for a socket", RACES, diverged=stolen)
    assert stolen == 0


def test_the_socket_of_a_killed_daemon_is_replaced(directory: Path) -> None:
    first = python(HOLD, str(directory / "s"))
    assert first.stdout is not None
    assert first.stdout.readline() == "listening\n"
    first.kill()
    first.wait()
    assert (directory / "s").is_socket()
    listener = open_listener(directory / "s", {})
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(directory / "s"))
    listener.close()


def test_a_live_socket_is_left_alone_even_without_its_lock_file(directory: Path) -> None:
    listener = open_listener(directory / "s", {})
    (directory / "s.lock").unlink()
    with pytest.raises(StoreLockedError, match=f"pid {os.getpid()}"):
        open_listener(directory / "s", {})
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(directory / "s"))
    listener.close()


def test_a_failed_attempt_lets_go_of_the_lock(directory: Path) -> None:
    (directory / "s").write_text("not a socket")
    for _ in range(2):
        with pytest.raises(PathError, match="is not a socket"):
            open_listener(directory / "s", {})
    assert (directory / "s").read_text() == "not a socket"
    (directory / "s").unlink()
    open_listener(directory / "s", {}).close()


def test_a_symlink_in_place_of_the_socket_is_refused(directory: Path) -> None:
    (directory / "s").symlink_to(directory / "elsewhere")
    with pytest.raises(PathError, match="is not a socket"):
        open_listener(directory / "s", {})
    assert not (directory / "elsewhere").exists()


def test_a_symlink_in_place_of_the_lock_is_refused(directory: Path) -> None:
    (directory / "s.lock").symlink_to(directory / "elsewhere")
    with pytest.raises(PathError, match="lock file"):
        open_listener(directory / "s", {})
    assert not (directory / "elsewhere").exists()


def test_a_symlinked_directory_is_refused(directory: Path) -> None:
    (directory / "real").mkdir(mode=0o700)
    (directory / "link").symlink_to("real")
    with pytest.raises(PathError, match="symlink"):
        open_listener(directory / "link" / "s", {})
    (directory / "file").write_text("")
    with pytest.raises(PathError, match="symlink or no directory"):
        open_listener(directory / "file" / "s", {})


@pytest.mark.parametrize("bits", [0o755, 0o770, 0o701])
def test_a_directory_that_others_may_enter_is_refused(directory: Path, bits: int) -> None:
    (directory / "open").mkdir()
    (directory / "open").chmod(bits)
    with pytest.raises(PathError, match=rf"mode {bits:04o}.*chmod 700"):
        open_listener(directory / "open" / "s", {})


def test_a_directory_of_another_user_is_refused(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: os.getuid() + 1)
    with pytest.raises(PathError, match=f"belongs to user {os.getuid()}"):
        open_listener(directory / "s", {})


def test_the_longest_path_works_and_a_longer_one_is_named(directory: Path) -> None:
    room = MAX_PATH_BYTES - len(os.fsencode(directory)) - 1
    open_listener(directory / ("x" * room), {}).close()
    with pytest.raises(ConfigError, match=f"{MAX_PATH_BYTES + 1} bytes"):
        open_listener(directory / ("x" * (room + 1)), {})


ACTIVATED = """
    import os, socket, sys
    from pathlib import Path
    passed = socket.socket(socket.AF_UNIX)
    passed.bind(sys.argv[1])
    passed.listen()
    os.dup2(passed.fileno(), 3, inheritable=True)
    os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1", "LISTEN_FDNAMES": "regend.socket"}
    from regend.rpc.listen import open_listener
    listener = open_listener(Path("/nowhere/s"))
    print(listener.path, os.get_inheritable(3), [n for n in os.environ if n.startswith("LISTEN_")], flush=True)
    listener.sock.setblocking(True)
    listener.sock.accept()[0].sendall(b"hi")
    listener.close()
"""


def test_systemds_socket_is_taken_over_and_left_in_place(directory: Path) -> None:
    path = directory / "systemd"
    process = python(ACTIVATED, str(path))
    assert process.stdout is not None
    assert process.stdout.readline() == f"{path} False []\n"
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        assert client.recv(2) == b"hi"
    process.communicate("")
    assert process.returncode == 0
    assert path.is_socket()


@pytest.mark.parametrize(
    "environ", [{"LISTEN_PID": "1", "LISTEN_FDS": "1"}, {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "0"}]
)
def test_an_activation_that_is_not_for_us_is_ignored(directory: Path, environ: dict[str, str]) -> None:
    listener = open_listener(directory / "s", environ)
    assert listener.path == directory / "s"
    listener.close()


def test_a_shared_directory_is_refused_without_advice_to_change_its_mode(tmp_path: Path) -> None:
    shared = tmp_path / "tmp"
    shared.mkdir()
    shared.chmod(0o1777)
    with pytest.raises(PathError, match="shared with other users") as caught:
        open_listener(shared / "s", {})
    assert "chmod" not in str(caught.value)
    shared.chmod(0o755)
    (shared / "notes.txt").write_text("not a socket")
    with pytest.raises(PathError, match="in a directory of its own") as caught:
        open_listener(shared / "s", {})
    assert "chmod" not in str(caught.value)
