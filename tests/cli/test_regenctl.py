"""`regenctl` as a user calls it: what it prints, what it asks the daemon, and its exit codes."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from regend.cli.main import main
from regend.rpc.listen import open_listener
from regend.rpc.schema import METHODS
from tests.rpc.scripted import DEADLINE_S, ROOT, Script, ServerThread, short_directory, wire

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Iterator[ServerThread]:
    # The server runs in this process, and its log would mix with what `regenctl` prints.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with short_directory() as directory, ServerThread(directory / "s") as server:
        monkeypatch.setenv("REGEND_SOCKET", str(server.path))
        yield server
    structlog.reset_defaults()


def spawn(*arguments: str, **options: Any) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "regend.cli.main", *arguments]
    return subprocess.Popen(
        command, cwd=REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options
    )  # fmt: skip


def out(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    assert main(list(arguments)) == code
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def asked(served: ServerThread) -> Any:
    return wire(served.script.seen[-1])


def sent(served: ServerThread, kind: str) -> list[Any]:
    """Return the requests of this class that the server got."""
    return [wire(request) for request in served.script.seen if type(request).__name__ == kind]


def test_search_prints_places_and_numbered_lines(served: ServerThread, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "quiet", "time", "--all", "--format", "human"]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [
        "/src/app/core/debounce.py:10  Debouncer.push  100 %",
        "  10  def push(self, path, now):",
        "  11      due = now + self.quiet_s",
        "  12      self._due[path] = due",
        "",
        "/src/app/README.md:1  33 %",
        "  1  # App",
        "  2  Quiet.",
    ]
    assert captured.err == "2 results in all roots in 0.5 ms\n"
    assert asked(served)["query"] == "quiet time"


def test_search_passes_its_options_and_makes_the_root_absolute(
    served: ServerThread, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    served.script.roots.append(str(tmp_path / "r"))
    monkeypatch.chdir(tmp_path)
    out(
        capsys, "search", "x", "-k", "3", "--root", "r", "--path", "src/**", "--lang", "python", "--sync", "--explain",
        "--context", "2", "--offset", "10", "--files", "--json",
    )  # fmt: skip
    assert asked(served) == {
        "query": "x", "k": 3, "root": str(tmp_path / "r"), "path": "", "lang": "python", "sync": True,
        "explain": True, "context": 2, "offset": 10, "files": True, "budget": 0,
        "overlays": (), "lines": 1, "under": (), "globs": ("src/**",),
    }  # fmt: skip


def test_explain_shows_the_features(served: ServerThread, capsys: pytest.CaptureFixture[str]) -> None:
    main(["search", "x", "-k", "1", "--explain", "--all"])
    assert "    bm25    12.5  +66.7 %\n    cosine  0.75  +33.3 %\n" in capsys.readouterr().out


def test_no_results_say_why(served: ServerThread, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "nothing", "--all"]) == 1
    assert capsys.readouterr() == ("", "No file matches.\n")
    assert main(["search", "nothing", "--all", "--format", "human"]) == 1
    assert capsys.readouterr() == ("", "No file matches.\n0 results in all roots in 0.5 ms\n")


@pytest.mark.parametrize("arguments", [("search", "nothing"), ("symbols", "none")])
def test_nothing_found_is_exit_code_1_in_json_too(
    served: ServerThread, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]
) -> None:
    answer = json.loads(out(capsys, *arguments, "--all", "--json", code=1))
    assert answer.get("results", answer.get("symbols")) == []


def test_a_query_may_begin_with_a_dash(served: ServerThread, capsys: pytest.CaptureFixture[str]) -> None:
    out(capsys, "search", "--all", "--", "--watch", "flag")
    assert asked(served)["query"] == "--watch flag"


def test_symbols_and_outline(served: ServerThread, capsys: pytest.CaptureFixture[str]) -> None:
    human = ("--format", "human")
    expected = "/src/app/core/debounce.py:10-12  method Debouncer.push\n"
    assert out(capsys, "symbols", "push", "--all", *human) == expected
    assert out(capsys, "symbols", "push", "--all") == "/src/app/core/debounce.py:10:method Debouncer.push\n"
    assert main(["symbols", "none", "--all"]) == 1
    assert capsys.readouterr() == ("", "no definition of none in all roots\n")
    expected = "/src/app/core/debounce.py python\n   5-30  class   Debouncer\n  10-12  method    push\n"
    assert out(capsys, "outline", f"{ROOT}/core/debounce.py", *human) == expected
    expected = "/src/app/core/debounce.py:5:class Debouncer\n/src/app/core/debounce.py:10:method Debouncer.push\n"
    assert out(capsys, "outline", f"{ROOT}/core/debounce.py") == expected


@pytest.mark.parametrize(
    ("place", "file", "line"),
    [
        ("/src/app/a.py:3", "/src/app/a.py", 3),
        ("/src/app/a.py", "/src/app/a.py", 0),
        ("/src/app/a.py:3:14", "/src/app/a.py", 3),
        ("/src/app/a:b.py:7", "/src/app/a:b.py", 7),
        ("/src/app/x:y", "/src/app/x:y", 0),
        ("/src/app/../app/a.py:0", "/src/app/a.py", 1),
    ],
)
def test_related_takes_a_place(
    served: ServerThread, capsys: pytest.CaptureFixture[str], place: str, file: str, line: int
) -> None:
    out(capsys, "related", place)
    request = next(wire(r) for r in served.script.seen if hasattr(r, "line"))
    assert (request["file"], request["line"]) == (file, line)


def test_a_relative_file_is_made_absolute(
    served: ServerThread, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    out(capsys, "why", "a.log")
    assert asked(served)["file"] == str(tmp_path / "a.log")


def test_why_names_the_rule(served: ServerThread, capsys: pytest.CaptureFixture[str]) -> None:
    expected = "/src/app/a.log: ignored\n  A rule excludes it.\n  rule *.log in /src/app/.gitignore:3\n"
    assert out(capsys, "why", "/src/app/a.log") == expected


def test_status_is_a_page(served: ServerThread, capsys: pytest.CaptureFixture[str]) -> None:
    page = out(capsys, "status")
    for words in (
        "regend 0.1.0  pid 4242, up 1 h 2 min, complete, generation 7",
        "model    hash-256, dim 256",
        "memory   104.9 MB, workers 52.4 MB",
        "  /src/app  ready      120        3     900  events",
        "  2  binary\n  1  too_large",
        "queues\n  chunk 4\n",
        "  chunk    120     1.5     9.0    80.0",
        "  4243  busy  52.4 MB  120 items",
    ):
        assert words in page


def test_roots(served: ServerThread, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert out(capsys, "add", str(tmp_path)).startswith(f"added {tmp_path};")
    assert sent(served, "AddRequest") == [{"path": str(tmp_path), "force": False}]
    assert out(capsys, "add", str(tmp_path)).startswith(f"already added: {tmp_path};")
    out(capsys, "add", "--force", "/src/other")
    assert sent(served, "AddRequest")[-1]["force"] is True
    assert f"{ROOT}" in out(capsys, "list")
    assert out(capsys, "reindex", ROOT).startswith(f"reading {ROOT} again")
    assert out(capsys, "remove", ROOT) == f"removed {ROOT}\n"
    served.script.roots.clear()
    assert out(capsys, "list") == "no roots; add one with `regenctl add DIR`\n"


def test_files_are_listed_over_all_pages(
    served: ServerThread, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regend.cli.roots.PAGE_FILES", 1)
    expected = "README.md  markdown, 1 chunk\ncore/debounce.py  python, 9 chunks\nlogo.png  skipped: binary\n"
    assert out(capsys, "list", "--files", ROOT) == expected
    assert out(capsys, "list", "--files", ROOT, "--state", "skipped") == "logo.png  skipped: binary\n"
    answer = json.loads(out(capsys, "--json", "list", "--files", ROOT))
    assert ([f["path"] for f in answer["files"]], answer["next"]) == (["README.md", "core/debounce.py", "logo.png"], "")


def test_flush_sync_pause_resume_stop(served: ServerThread, capsys: pytest.CaptureFixture[str]) -> None:
    assert "generation 7 after 12 ms" in (text := out(capsys, "flush", "--timeout", "3"))
    assert "/src/app/bad.py: worker_crashed" in text
    assert asked(served) == {"timeout_s": 3.0}
    assert "by words at generation 7" in out(capsys, "sync")
    assert "paused" in out(capsys, "pause")
    assert "indexing is resumed" in out(capsys, "resume")
    assert out(capsys, "stop") == "stopped (pid 4242)\n"


JSON_COMMANDS = [
    ("search", "x", "--all"), ("symbols", "push", "--all"), ("related", f"{ROOT}/a.py:3"), ("outline", f"{ROOT}/a.py"),
    ("status",),
    ("flush",), ("sync",), ("add", "/src/x"), ("remove", ROOT), ("list",), ("reindex", ROOT), ("pause",), ("resume",),
    ("why", "a"), ("config",), ("stop",),
]  # fmt: skip


@pytest.mark.parametrize("command", JSON_COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
def test_json_is_the_answer_as_it_is_on_the_wire(
    served: ServerThread, capsys: pytest.CaptureFixture[str], command: tuple[str, ...], before: bool
) -> None:
    from regend.rpc.client import Client

    printed = json.loads(out(capsys, *(("--json", *command) if before else (*command, "--json"))))
    with Client(served.path) as client:
        served.script.roots = [ROOT]
        request = next(wire(seen) for seen in served.script.seen if type(seen) is METHODS[command[0]].request)
        assert client.call(command[0], **request) == printed


def test_json_with_bytes_that_are_no_text(served: ServerThread, capsys: pytest.CaptureFixture[str]) -> None:
    served.script.roots = ["/src/caf\udce9"]
    printed = out(capsys, "--json", "list")
    assert printed.isascii()
    assert json.loads(printed)["roots"][0]["path"] == "/src/caf\udce9"
    assert "/src/caf\N{REPLACEMENT CHARACTER}" in out(capsys, "list")


def test_an_error_is_1_and_says_why(served: ServerThread, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["remove", "/nope"]) == 2
    captured = capsys.readouterr()
    assert (captured.out, captured.err.startswith("regenctl: /nope is not a root")) == ("", True)
    assert main(["remove", "/nope", "--json"]) == 2
    captured = capsys.readouterr()
    assert captured.err == ""
    assert json.loads(captured.out)["error"]["code"] == "root_error"


def test_no_daemon_is_3_and_says_how_to_start_one(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--socket", str(tmp_path / "s"), "status"]) == 3
    error = capsys.readouterr().err
    assert str(tmp_path / "s") in error
    assert "start one with `regenctl start`" in error
    assert main(["status", "--json", "--socket", str(tmp_path / "s")]) == 3
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "daemon_not_running"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name a command"),
        (["frobnicate"], "no command 'frobnicate'"),
        (["search"], "QUERY"),
        (["search", "x", "-k", "0"], "invalid number of results (1 to 1000)"),
        (["search", "x", "-k", "1001"], "invalid number of results (1 to 1000)"),
        (["logs", "-n", "-1"], "invalid number of lines (0 to 1000000)"),
        (["search", "x", "--context", "-1"], "--context"),
        (["flush", "--timeout", "never"], "number of seconds"),
        (["list", "--state", "odd"], "invalid choice"),
        (["status", "--frob"], "--frob"),
        (["completion", "tcsh"], "invalid choice"),
    ],
)
def test_a_wrong_command_line_is_2(capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert words in capsys.readouterr().err


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    from regend.cli.arguments import COMMANDS

    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    page = capsys.readouterr().out
    assert all(f"\n  {command.name} " in page for command in COMMANDS)
    for command in COMMANDS:
        if command.name != "service":
            with pytest.raises(SystemExit) as caught:
                main([command.name, "--help"])
            assert caught.value.code == 0


def test_a_reader_that_has_enough_is_no_traceback(served: ServerThread) -> None:
    process = spawn("list", "--files", ROOT)
    assert process.stdout is not None
    process.stdout.close()
    assert process.stderr is not None
    assert process.stderr.read() == ""
    assert process.wait(DEADLINE_S) == 0  # As rg: with `set -o pipefail`, `| head` is no error.
    process.stderr.close()


def test_ctrl_c_is_130_without_a_traceback() -> None:
    with short_directory() as directory, ServerThread(directory / "s", Script(pending=1)) as served:
        process = spawn("--socket", str(served.path), "flush", "--timeout", "30")
        while not served.script.seen:
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=DEADLINE_S) == ("", "")
        assert process.returncode == 130


def test_a_daemon_that_does_not_accept_is_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with short_directory() as directory:
        listener = open_listener(directory / "s", {})
        listener.sock.close()
        assert main(["--socket", str(directory / "s"), "status"]) == 3
        assert os.path.exists(directory / "s")
        listener.close()


@pytest.mark.parametrize(
    ("arguments", "query", "k"),
    [
        (["retry", "-mock"], "retry -mock", None),
        (["-path:tests/**", "retry", "-k", "5"], "-path:tests/** retry", 5),
        (["retry", "-kind:class", "-k5"], "retry -kind:class", 5),
        (["retry -mock lang:go"], "retry -mock lang:go", None),
        (["--", "-k", "x"], "-k x", None),
    ],
)
def test_exclusions_are_part_of_the_query(
    served: ServerThread, capsys: pytest.CaptureFixture[str], arguments: list[str], query: str, k: int | None
) -> None:
    out(capsys, "search", "--all", *arguments)
    assert asked(served)["query"] == query
    assert asked(served)["k"] == k


def test_a_budget_shows_further_lines_and_copies(served: ServerThread, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["search", "x", "--all", "--budget", "2000"]) == 0
    captured = capsys.readouterr()
    assert captured.out.splitlines() == [
        "/src/app/core/debounce.py:10-12  Debouncer.push  100 %",
        "  10  def push(self, path, now):",
        "  11      due = now + self.quiet_s",
        "  12      self._due[path] = due",
        "   ⋮",
        "  15      self.push(path)",
        "   ⋮  Debouncer.pop",
        "  20  def pop(self):",
        "  21      return self._due.popitem()",
        "  and 7 more places: /src/app/old/x.py:10-12, /src/lib/y.py:10-12, …",
    ]
    assert captured.err == "1 result, 180 tokens in all roots in 0.5 ms\n"
    assert asked(served)["budget"] == 2000
    assert main(["related", "/src/app/a.py", "--budget", "500"]) == 0
    assert asked(served)["budget"] == 500


def test_a_page_tells_where_the_next_begins(served: ServerThread, capsys: pytest.CaptureFixture[str]) -> None:
    for offset, end in ((), "; more with --offset 1\n"), (("--offset", "1"), "in 0.5 ms\n"):
        assert main(["search", "x", "--all", "-k", "1", "--format", "human", *offset]) == 0
        assert capsys.readouterr().err.endswith(end)


def test_explain_shows_the_stages(served: ServerThread, capsys: pytest.CaptureFixture[str]) -> None:
    main(["search", "x", "--all", "--explain"])
    assert "stage     ms  CPU ms\nlegs   0.500   0.250\n" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [("--budget", "10"), ("--offset", "-1"), ("--offset", "1001")])
def test_numbers_out_of_range_are_refused(arguments: tuple[str, str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["search", "x", *arguments])
    assert stopped.value.code == 2
