"""Unsaved buffers of an editor: its own questions find them as if saved, no other client's do, and none is kept."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from regend.errors import RegendError
from regend.rpc.client import Client
from tests.e2e.rig import Daemon, daemon
from tests.search.conftest import QUEUE, RETRY

DRAFT = QUEUE.replace("JobQueue", "TicketQueue") + "\n\ndef drain_everything(queue):\n    '''Zyxwordmarker.'''\n"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("overlaid") / "app"
    (root / "src").mkdir(parents=True)
    (root / "src/queue.py").write_text(QUEUE)
    (root / "src/retry.py").write_text(RETRY)
    (root / ".gitignore").write_text("*.log\n")
    return root


@pytest.fixture(scope="module")
def served(root: Path) -> Iterator[Daemon]:
    with daemon() as subject:
        subject.start(root)
        assert subject.flush()["complete"]
        yield subject
        assert subject.stop() == 0


def draft(root: Path, path: str = "src/queue.py", text: str = DRAFT) -> list[dict[str, str]]:
    return [{"path": str(root / path), "text": text}]


def test_a_buffer_is_found_in_place_of_its_file(served: Daemon, root: Path) -> None:
    with Client(served.socket) as editor, Client(served.socket) as other:
        first = editor.call("search", query="TicketQueue", overlays=draft(root))["results"][0]
        assert (first["path"], first["symbol"], first["unsaved"]) == ("src/queue.py", "TicketQueue", True)
        assert "class TicketQueue:" in first["snippet"].split("\n")
        found = editor.call("search", query="JobQueue push", overlays=draft(root), k=50)["results"]
        assert all("class JobQueue" not in result["snippet"] for result in found)
        assert other.call("search", query="JobQueue")["results"][0]["symbol"] == "JobQueue"
        assert "TicketQueue" not in {r["symbol"] for r in other.call("search", query="TicketQueue")["results"]}
        assert editor.call("search", query="JobQueue")["results"][0]["symbol"] == "JobQueue", "only where it is sent"


def test_meaning_works_in_buffers_too(served: Daemon, root: Path) -> None:
    with Client(served.socket) as editor:
        answer = editor.call("search", query="drain everything", overlays=draft(root, "src/new.py"))
        assert answer["results"][0]["path"] == "src/new.py"
        assert answer["notes"] == []
        like = editor.call("related", file=str(root / "src/new.py"), overlays=draft(root, "src/new.py"))["results"]
        assert like[0]["path"] == "src/queue.py"
        lines = editor.call("related", file=str(root / "src/queue.py"), line=13, overlays=draft(root, "src/new.py"))
        assert lines["results"][0]["path"] == "src/new.py"
        assert lines["results"][0]["unsaved"]


def test_equal_to_what_a_saved_file_gives(served: Daemon, root: Path) -> None:
    questions = ["TicketQueue", "drain everything", "append a job", "exponential backoff", "run it", "job kind:class"]
    with Client(served.socket) as editor:
        unsaved = [editor.call("search", query=q, overlays=draft(root, "src/more.py"))["results"] for q in questions]
        (root / "src/more.py").write_text(DRAFT)
        served.flush()
        saved = [editor.call("search", query=q)["results"] for q in questions]
        (root / "src/more.py").unlink()
        served.flush()
    for one, two in zip(unsaved, saved, strict=True):
        assert (one[0]["path"], one[0]["start_line"]) == (two[0]["path"], two[0]["start_line"])
        assert {(r["path"], r["start_line"]) for r in one} == {(r["path"], r["start_line"]) for r in two}


def test_each_keystroke_is_seen(served: Daemon, root: Path) -> None:
    with Client(served.socket) as editor:
        for n in range(10):
            text = f"{QUEUE}\n\ndef typed_so_far_{n}():\n    return {n}\n"
            first = editor.call("search", query=f"typed_so_far_{n}", overlays=draft(root, text=text))["results"][0]
            assert first["symbol"] == f"typed_so_far_{n}"


def test_nothing_of_a_buffer_is_kept(served: Daemon, root: Path) -> None:
    before = served.export(root)
    counters = served.status()["counters"]["embedded_chunks"]
    with Client(served.socket) as editor:
        text = f"{DRAFT}\n\ndef qvxsecretmarker():\n    return 'qvxsecretmarker'\n"
        found = editor.call("search", query="qvxsecretmarker", overlays=draft(root, "src/secret.py", text))["results"]
        assert found[0]["symbol"] == "qvxsecretmarker"
    assert served.flush()["complete"]
    assert served.export(root) == before
    assert served.status()["counters"]["embedded_chunks"] == counters
    assert served.paths("qvxsecretmarker path:src/secret.py") == []
    assert "qvxsecret" not in served.log()
    for file in served.state_dir.rglob("*"):
        if file.is_file():
            assert b"qvxsecret" not in file.read_bytes(), file


def test_ignored_files_and_texts_that_are_no_source_are_said(served: Daemon, root: Path) -> None:
    with Client(served.socket) as editor:
        answer = editor.call("search", query="zyxwordmarker", overlays=draft(root, "debug.log"))
        assert "debug.log is ignored" in answer["notes"][-1]
        assert all(result["path"] != "debug.log" for result in answer["results"])
        answer = editor.call("search", query="JobQueue", overlays=draft(root, text="x" * 100_000))
        assert "src/queue.py" in answer["notes"][-1]
        assert all(result["path"] != "src/queue.py" for result in answer["results"])


def test_a_buffer_outside_of_all_roots_is_left_out(served: Daemon) -> None:
    answer = served.call("search", query="JobQueue", overlays=[{"path": "/nowhere/x.py", "text": DRAFT}])
    assert answer["results"][0]["symbol"] == "JobQueue"
    assert "/nowhere/x.py is in no root" in answer["notes"][-1]


def test_wrong_overlays_are_refused(served: Daemon, root: Path) -> None:
    for overlays, code in (
        ([{"path": "x.py", "text": ""}], "path_error"),
        ([{"path": str(root), "text": ""}], "path_error"),
        ([{"path": "x.py"}], "invalid_params"),
        (draft(root) * 65, "invalid_params"),
    ):
        with pytest.raises(RegendError) as caught:
            served.call("search", query="x", overlays=overlays)
        assert caught.value.code == code


def test_a_relative_path_lies_in_the_named_root(served: Daemon, root: Path) -> None:
    overlays = [{"path": "src/queue.py", "text": DRAFT}]
    found = served.call("search", query="TicketQueue", root=str(root), overlays=overlays)["results"]
    assert found[0]["symbol"] == "TicketQueue"


def test_pages_and_budgets_with_a_buffer_neither_repeat_nor_miss_anything(served: Daemon, root: Path) -> None:
    text = "\n\n".join(f"def queue_part_{n}(job):\n    return job.queue({n})" for n in range(150)) + "\n"
    sent = draft(root, text=text)
    with Client(served.socket) as editor:
        pages: list[tuple[str, int]] = []
        offset: int | None = 0
        while offset is not None:
            answer = editor.call("search", query="job queue", k=7, offset=offset, overlays=sent)
            pages += [(result["path"], result["start_line"]) for result in answer["results"]]
            offset = answer["next_offset"]
        whole = editor.call("search", query="job queue", k=1_000, overlays=sent)["results"]
        assert len(pages) == len(set(pages))
        assert set(pages) == {(result["path"], result["start_line"]) for result in whole}
        assert sum(result["unsaved"] for result in whole) >= 5
        packed = editor.call("search", query="job queue", budget=300, overlays=sent)
        places = [result["path"] for result in packed["results"]]
        assert len(places) == len(set(places))
        assert "src/queue.py" in places
        assert 0 < packed["tokens"] <= 300
        files = editor.call("search", query="job queue", files=True, overlays=sent)["results"]
        assert [result["path"] for result in files if result["unsaved"]] == ["src/queue.py"]


def test_an_emptied_buffer_hides_its_file(served: Daemon, root: Path) -> None:
    answer = served.call("search", query="JobQueue push", k=50, overlays=draft(root, text=""))
    assert "src/queue.py" not in {result["path"] for result in answer["results"]}
    with pytest.raises(RegendError, match="has no chunks") as caught:
        served.call("related", file=str(root / "src/queue.py"), overlays=draft(root, text=""))
    assert caught.value.code == "path_error"


def test_of_nested_roots_each_has_the_buffer(root: Path) -> None:
    inner = root.parent / "outer/inner"
    inner.mkdir(parents=True)
    (inner / "b.py").write_text("def saved_marker():\n    return 2\n")
    outer, text = inner.parent, "def unsaved_marker():\n    return 3\n"
    with daemon() as subject:
        subject.start(outer, inner)
        assert subject.flush()["complete"]
        for where, path in ((outer, "inner/b.py"), (inner, "b.py")):
            sent = [{"path": path, "text": text}]
            found = subject.call("search", query="unsaved_marker", root=str(where), overlays=sent)["results"]
            assert [(r["path"], r["symbol"], r["unsaved"]) for r in found] == [(path, "unsaved_marker", True)]
        everywhere = subject.call(
            "search", query="saved marker", overlays=[{"path": str(inner / "b.py"), "text": text}]
        )
        assert [(r["root"], r["symbol"]) for r in everywhere["results"]] == [(str(inner), "unsaved_marker")]
        assert subject.stop() == 0
