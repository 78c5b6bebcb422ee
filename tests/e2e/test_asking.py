"""A real daemon answers over its socket: filters, names, typos, pages, files, budgets, explanations."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from regend.errors import RegendError
from tests.e2e.rig import Daemon, daemon, wait_for
from tests.search.conftest import QUEUE, README, RETRY, SERVER_GO, TEST_QUEUE

STEPS = "\n\n".join(
    f"function {name}_step(clock) {{\n" + "  clock.advance()\n" * 40 + "}" for name in ("first", "second")
)
CLOCK = "class Clock {\n  face = 1\n\n" + "\n".join(
    f"  {name}(clock) {{\n" + "    clock.advance()\n" * 25 + "  }\n" for name in ("tick", "strike", "wind", "stop")
) + "}\n"  # fmt: skip
FILES = {
    "clock/clock.js": CLOCK,
    "clock/steps.js": STEPS,
    "src/jobs/queue.py": QUEUE,
    "src/jobs/retry.py": RETRY,
    "tests/test_queue.py": TEST_QUEUE,
    "README.md": f"# Getting started\n\n{README}",
    "server/serve.go": f"package server\n\n{SERVER_GO}",
    "lib/ops.rb": "class Stack\n  def full?(item)\n    @items.push(item)\n  end\nend\n",
    **{
        f"many/part_{n:02}.py": f"def part_{n}(job):\n    '''Part {n} of the job queue.'''\n    return job.queue({n})\n"
        for n in range(25)
    },
}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    root = tmp_path_factory.mktemp("asked") / "app"
    for name, text in FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    with daemon() as subject:
        subject.start(root)
        assert subject.flush()["complete"]
        yield subject
        assert subject.stop() == 0


def ask(served: Daemon, query: str, **params: Any) -> dict[str, Any]:
    return served.call("search", query=query, **params)


@pytest.mark.parametrize(
    ("query", "path", "symbol"),
    [
        ("RetryPolicy", "src/jobs/retry.py", "RetryPolicy"),
        ("RetryPolciy", "src/jobs/retry.py", "RetryPolicy"),
        ("full?", "lib/ops.rb", "Stack.full?"),
        ("Getting started", "README.md", "Getting started"),
        ("job lang:md", "README.md", "Getting started"),
        ("job queue kind:class -path:tests/**", "src/jobs/queue.py", "JobQueue"),
        ('"doubled each time"', "src/jobs/retry.py", ""),
        ("listen root:app lang:golang", "server/serve.go", "Serve"),
    ],
)
def test_finds_first(served: Daemon, query: str, path: str, symbol: str) -> None:
    first = ask(served, query)["results"][0]
    assert (first["path"], first["symbol"]) == (path, symbol)


def test_exclusions(served: Daemon) -> None:
    found = {result["path"] for result in ask(served, "job queue -part -test lang:py", k=100)["results"]}
    assert found == {"src/jobs/queue.py", "src/jobs/retry.py"}


def test_odd_queries_are_answered_or_refused_with_a_remedy(served: Daemon) -> None:
    for query in (
        "job\udcff",
        "\udced\udca0 job",
        '"job\udcff"',
        "job -\udcffxx",
        "job\0queue",
        "the of a",
        "🚀 job",
        "語 job",
    ):
        assert ask(served, query)["results"], ascii(query)
    for query in ("\udcff", "\0", "🚀", "...", "?!", '""', " ", "a" * 10_000, "lang:go"):
        with pytest.raises(RegendError, match="give a name, a path, or words") as caught:
            ask(served, query)
        assert caught.value.code == "query_error", ascii(query)
    assert served.call("symbols", name="\udcff")["symbols"] == []


def test_an_unknown_kind_is_an_error_with_a_remedy(served: Daemon) -> None:
    with pytest.raises(Exception, match="kind:nothing") as caught:
        ask(served, "job kind:nothing")
    assert getattr(caught.value, "code", "") == "filter_error"


def test_an_unknown_language_is_an_error_with_a_remedy(served: Daemon) -> None:
    file = f"{served.status()['roots'][0]['path']}/lib/ops.rb"
    for method, params in (
        ("search", {"query": "job lang:klingon"}),
        ("search", {"query": "job -lang:klingon"}),
        ("search", {"query": "job", "lang": "klingon"}),
        ("related", {"file": file, "lang": "klingon"}),
        ("symbols", {"name": "JobQueue", "lang": "klingon"}),
    ):
        with pytest.raises(Exception, match=r"'klingon'.* There are .*bash, .*, zig\.") as caught:
            served.call(method, **params)
        assert getattr(caught.value, "code", "") == "filter_error"


def test_what_is_nearly_a_filter_is_said(served: Daemon) -> None:
    assert ask(served, "job langg:python")["notes"] == [
        "`langg:python` is not a filter and was searched for as text; did you mean `lang:python`?"
    ]


def test_quoted_text_is_found_below_chunks_with_its_words(served: Daemon) -> None:
    answer = ask(served, '"worker is woken up"')
    assert [result["symbol"] for result in answer["results"]] == ["JobQueue"]
    assert answer["notes"] == []


def test_pages(served: Daemon) -> None:
    pages: list[tuple[str, int]] = []
    offset: int | None = 0
    while offset is not None:
        answer = ask(served, "job queue", k=7, offset=offset)
        pages += [(result["path"], result["start_line"]) for result in answer["results"]]
        offset = answer["next_offset"]
    assert len(pages) == len(set(pages))
    assert len(pages) >= 25


def test_explain_adds_up_and_tells_stages(served: Daemon) -> None:
    for files in (False, True):
        answer = ask(served, "push a job to the queue", explain=True, files=files)
        for result in answer["results"]:
            total = sum(feature["contribution"] for feature in result["explain"].values())
            assert total == pytest.approx(result["score"], abs=1e-9)
        assert {"scope", "legs", "rank", "snippets"} <= set(answer["stages"])
        assert sum(stage["wall_ms"] for stage in answer["stages"].values()) <= answer["took_ms"]
    assert ask(served, "job")["stages"] is None


def test_files_and_files_like_a_file(served: Daemon) -> None:
    found = [result["path"] for result in ask(served, "job queue", files=True, k=100)["results"]]
    assert len(found) == len(set(found)) >= 25
    root = served.status()["roots"][0]["path"]
    like = served.call("related", file=f"{root}/many/part_03.py")["results"]
    assert len({result["path"] for result in like}) == len(like) == 10
    assert all(result["path"].startswith("many/") for result in like[:5])
    assert "many/part_03.py" not in {result["path"] for result in like}


def test_a_budget(served: Daemon) -> None:
    answer = ask(served, "job queue", budget=600)
    assert 400 < answer["tokens"] <= 600
    assert len({result["path"] for result in answer["results"]}) == len(answer["results"]) > 4


def test_context_and_lines_beyond_the_snippet(served: Daemon) -> None:
    plain = ask(served, "second_step")["results"][0]
    wide = ask(served, "second_step", context=2)["results"][0]
    assert plain["snippet"].startswith("function second_step(")
    assert wide["snippet_line"] == plain["snippet_line"] - 2
    lines = STEPS.split("\n")
    shown = wide["snippet"].split("\n")
    assert shown == lines[wide["snippet_line"] - 1 :][: len(shown)]


def test_a_class_is_shown_with_its_members(served: Daemon) -> None:
    first = ask(served, "where is the class Clock", k=1)["results"][0]
    assert (first["path"], first["symbol"], first["start_line"]) == ("clock/clock.js", "Clock", 1)
    line = CLOCK.split("\n").index("  strike(clock) {") + 1
    assert {"line": line, "text": "strike(clock) {"} in first["matches"]
    assert ask(served, '"strike(clock)"', k=1)["results"][0]["start_line"] > 1, "quoted text stands elsewhere"


def test_equal_questions_have_equal_answers(served: Daemon) -> None:
    for query in ("job queue", "part", "where are jobs retried", "retyr"):
        first, again = (ask(served, query, k=20) for _ in range(2))
        assert {**first, "took_ms": 0} == {**again, "took_ms": 0}


def answers(asked: Daemon, queries: tuple[str, ...]) -> list[list[tuple[str, int, str, str]]]:
    """Ask each query for chunks, for files, and within a budget; all results in order."""
    forms: tuple[dict[str, Any], ...] = ({"k": 30}, {"files": True}, {"budget": 300})
    found = [ask(asked, query, **form)["results"] for query in queries for form in forms]
    return [[(r["path"], r["start_line"], r["symbol"], r["snippet"]) for r in results] for results in found]


def test_another_history_and_a_restart_change_no_order(tmp_path: Path) -> None:
    """Many equal chunks make ties; ids of entries tell of an index's history, and scores are sums of floats."""
    root = tmp_path / "app"
    same = {f"{folder}/same_{n}.py": "def same(job):\n    return job.queue\n" for n in range(9) for folder in "abc"}
    files = {**FILES, **same}
    queries = ("job queue", "same", "part", "where are jobs retried", "JobQueue", '"job.queue"', "queue -part", "retyr")
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    with daemon() as first:
        first.start(root)
        assert first.flush()["complete"]
        wanted = answers(first, queries)
        assert all(wanted)
        assert first.stop() == 0
        first.start()
        assert first.flush()["complete"]
        assert answers(first, queries) == wanted
        assert first.stop() == 0
    for name in files:
        (root / name).unlink()
    with daemon() as second:
        second.start(root)
        for names in (list(files)[::-2], list(files)[::-1]):  # In two steps and another order, some of it twice.
            for name in names:
                (root / name).write_text(files[name])
            assert second.flush()["complete"]
        # A file may have been read while it was empty; term statistics know it for a second more, see `test_freshness`.
        wait_for(lambda: answers(second, queries) == wanted, "equal answers", 15.0)
        assert second.stop() == 0


def test_places_and_globs_limit_every_question(served: Daemon) -> None:
    root = served.status()["roots"][0]["path"]

    def paths(method: str, **params: Any) -> set[str]:
        answer = served.call(method, **params)
        return {found["path"] for found in answer.get("results", answer.get("symbols"))}

    assert paths("search", query="job queue", under=[f"{root}/src", f"{root}/README.md"], k=50) == {
        "src/jobs/queue.py", "src/jobs/retry.py", "README.md",
    }  # fmt: skip
    assert paths("search", query="job queue", globs=["*.py", "!many"], k=50) == {
        "src/jobs/queue.py", "src/jobs/retry.py", "tests/test_queue.py",
    }  # fmt: skip
    assert paths("symbols", name="run", under=[f"{root}/src"]) == {"src/jobs/retry.py"}
    assert paths("symbols", name="part_3", under=[f"{root}/src"]) == set()
    assert paths("related", file=f"{root}/many/part_03.py", globs=["src"]) == {"src/jobs/queue.py", "src/jobs/retry.py"}
    for params, code in (
        ({"under": ["src"]}, "path_error"), ({"under": ["/not/indexed"]}, "root_error"),
        ({"globs": [""]}, "filter_error"),
        ({"under": [root] * 65}, "invalid_params"), ({"globs": ["a"] * 65}, "invalid_params"),
    ):  # fmt: skip
        for method, question in (("search", {"query": "job"}), ("symbols", {"name": "run"})):
            with pytest.raises(RegendError) as caught:
                served.call(method, **question, **params)
            assert caught.value.code == code


def test_symbols_have_their_line_and_outlines_say_whether_they_are_complete(served: Daemon) -> None:
    (found,) = served.call("symbols", name="RetryPolicy", k=1)["symbols"]
    assert found["text"] == "class RetryPolicy:"
    for kind, names in (("class", ["RetryPolicy"]), ("fn,class", ["RetryPolicy"]), ("function", [])):
        assert [s["name"] for s in served.call("symbols", name="RetryPolicy", kind=kind)["symbols"]] == names
    assert served.call("outline", file=f"{served.status()['roots'][0]['path']}/src/jobs/retry.py")["complete"]
