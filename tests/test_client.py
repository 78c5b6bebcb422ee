"""`regend.Client`: typed answers and errors, loaded only when it is used."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import regend
from regend.errors import (
    ConnectionLostError,
    DaemonNotRunningError,
    FilterError,
    PathError,
    QueryError,
    RegendError,
    RootError,
)
from regend.rpc.client import Client as Connection
from tests.e2e.rig import REPOSITORY, Daemon, daemon
from tests.rpc.scripted import Script, ServerThread, short_directory
from tests.search.conftest import QUEUE, RETRY


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Daemon, Path]]:
    root = tmp_path_factory.mktemp("client").resolve() / "app"
    (root / "src").mkdir(parents=True)
    (root / "src/queue.py").write_text(QUEUE)
    (root / "retry.py").write_text(RETRY)
    with daemon() as subject:
        subject.start(root)
        assert subject.flush()["complete"]
        yield subject, root
        assert subject.stop() == 0


def test_questions_have_typed_answers(served: tuple[Daemon, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    subject, root = served
    monkeypatch.chdir(root)
    with regend.Client(subject.socket) as client:
        answer = client.search("queue of jobs", k=1)
        first = answer.results[0]
        assert (first.file, first.line, first.symbol) == (str(root / "src/queue.py"), 4, "JobQueue")
        assert answer.complete
        assert {Path(r.file).name for r in client.search("job", under="src").results} == {"queue.py"}
        assert {r.path for r in client.search("job", globs=["*.py", "!src"]).results} == {"retry.py"}
        (found,) = client.symbols("JobQueue", under=root / "src").symbols
        assert (found.file, found.text) == (str(root / "src/queue.py"), "class JobQueue:")
        assert [s.name for s in client.outline("src/queue.py").symbols] == ["JobQueue", "push", "pop"]
        assert {r.path for r in client.related("src/queue.py", 5).results} == {"retry.py"}
        assert client.why("src/queue.py").state == "indexed"
        assert [r.path for r in client.roots()] == [str(root)]
        assert client.flush(5).failed == ()
        unsaved = client.search("unsaved_thing", overlays={"src/queue.py": "def unsaved_thing(): ...\n"}, k=1)
        assert unsaved.results[0].unsaved


def test_errors_have_their_classes(served: tuple[Daemon, Path], tmp_path: Path) -> None:
    subject, root = served
    client = regend.Client(subject.socket)
    for error, code, ask in (
        (QueryError, "query_error", lambda: client.search("...")),
        (FilterError, "filter_error", lambda: client.search("job", lang="klingon")),
        (FilterError, "filter_error", lambda: client.search("job kind:nothing")),
        (RootError, "root_error", lambda: client.search("job", under=tmp_path / "elsewhere")),
        (RootError, "root_error", lambda: client.remove(tmp_path)),
        (PathError, "path_error", lambda: client.outline(root / "none.py")),
        (RegendError, "invalid_params", lambda: client.search("job", k=0)),
    ):
        with pytest.raises(error) as caught:
            ask()
        assert caught.value.code == code
    assert client.search("job").results  # An answer that is an error does not end the connection.
    client.close()
    client.close()
    assert client.search("job").results
    client.close()


def test_roots_come_and_go(served: tuple[Daemon, Path], tmp_path: Path) -> None:
    (tmp_path / "x.py").write_text("def brand_new(): ...\n")
    with regend.Client(served[0].socket) as client:
        assert client.add(tmp_path).root == str(tmp_path.resolve())
        assert client.flush().complete
        assert client.search("brand_new", under=tmp_path).results
        assert client.remove(tmp_path, forget=True).root == str(tmp_path.resolve())


def test_it_connects_again_after_the_daemon_went_away() -> None:
    with short_directory() as directory:
        client = regend.Client(directory / "s")
        with pytest.raises(DaemonNotRunningError):
            client.roots()
        with ServerThread(directory / "s", Script()):
            assert client.roots()
        with pytest.raises(ConnectionLostError):
            client.roots()
        with ServerThread(directory / "s", Script()):
            assert client.roots()
        client.close()


def test_an_answer_of_another_form_is_said() -> None:
    client = regend.Client("/none")
    client.call = lambda method, **_: {"results": 3}  # type: ignore[method-assign]
    with pytest.raises(RegendError, match="another form") as caught:
        client.search("x")
    assert caught.value.code == "protocol_error"


def test_the_import_costs_nothing_until_it_is_used() -> None:
    code = "import sys, regend; a = set(sys.modules); regend.Client; print(*sorted(set(sys.modules) - a)); print(*a)"
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    used, before = (set(line.split()) for line in done.stdout.splitlines())
    assert "regend.client" in used
    assert {name for name in before if name.startswith("regend.")} == set()
    heavy = {
        "numpy",
        "aiohttp",
        "hnswlib",
        "asyncio",
        "uvloop",
        "tantivy",
        "structlog",
        "regend.config",
        "regend.daemon",
    }
    assert not heavy & {name for module in used for name in (module, module.partition(".")[0])}
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        regend.Nothing  # noqa: B018 - the access is the test.


def test_the_page_names_every_method() -> None:
    page = (REPOSITORY / "docs/python.md").read_text()
    public = [name for name in vars(regend.Client) if not name.startswith("_")]
    assert set(public) <= set(re.findall(r"`(\w+)\(", page))


class InterruptingScript(Script):
    """Sends Ctrl-C to the asker at the first question to wait for, and answers it late."""

    async def on_sync(self, connection: Any, request: Any) -> Any:
        if request.timeout_s == 1.0:
            os.kill(os.getpid(), signal.SIGINT)
        return await super().on_sync(connection, request)


def test_after_ctrl_c_the_next_question_gets_its_own_answer() -> None:
    with short_directory() as directory, ServerThread(directory / "s", InterruptingScript()) as server:
        client = regend.Client(server.path)
        for _ in range(5):
            with pytest.raises(KeyboardInterrupt):
                client.call("sync", timeout_s=1.0)
                threading.Event().wait(5)  # The answer was faster than the signal.
            assert client.call("pause") == {"paused": True}
        with Connection(server.path) as connection:
            with pytest.raises(KeyboardInterrupt):
                connection.call("sync", timeout_s=1.0)
                threading.Event().wait(5)
            assert not connection.is_open or connection.call("pause") == {"paused": True}
        client.close()


PLACED = ("outline", "why", "related", "add", "remove")


@pytest.mark.parametrize("method", PLACED)
def test_an_empty_path_is_no_working_directory(
    served: tuple[Daemon, Path], monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    subject, root = served
    monkeypatch.chdir(root)
    with regend.Client(subject.socket) as client:
        for asked in (lambda: getattr(client, method)(""), lambda: client.search("job", under=["src", ""])):
            with pytest.raises(PathError, match="The path is empty"):
                asked()
        assert [found.path for found in client.roots()] == [str(root)]


def test_a_working_directory_that_was_deleted(
    served: tuple[Daemon, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with regend.Client(served[0].socket) as client:
        for method in PLACED:
            with pytest.raises(PathError, match="working directory cannot be found"):
                getattr(client, method)("src")
