"""Every row of the tables in docs/coming-from-ripgrep.md does what it says."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.rig import REPOSITORY
from tests.e2e.terminal import Place, places

PAGE = (REPOSITORY / "docs/coming-from-ripgrep.md").read_text()
ROW = re.compile(r"^\| ((?:[^|\n]|\\\|)+) \| `((?:[^|`\n]|\\\|)+)` \|", re.MULTILINE)
COMMANDS = [command.replace("\\|", "|") for _, command in ROW.findall(PAGE)]


@dataclass(frozen=True)
class Wanted:
    """The result of a row's command: `out` and `err` are patterns, `without` is one that must not match."""

    out: str
    code: int = 0
    err: str = r"\A\Z"
    without: str = r"(?!)"


PLACE = r"^[^/\n][^:\n]*:\d+:.*$"
QUEUE = r"^src/jobs/queue.py:4:class JobQueue:$"
OUTSIDE = r"^(tests|README|lib|odd)"
WANTED = {
    "regenctl search retry": Wanted(r"^src/jobs/retry.py:\d+:"),
    "regenctl search when is a job tried again": Wanted(r"\Asrc/jobs/retry.py:\d+:.*tried again"),
    """regenctl search '"doubled each time"'""": Wanted(r"\Asrc/jobs/retry.py:\d+:.*doubled each time.*\n\Z"),
    "regenctl search JobQueue": Wanted(rf"\A{QUEUE[1:]}"),
    "regenctl search JobQ": Wanted(rf"\A{QUEUE[1:]}", err="searched for 'JobQueue'"),
    "regenctl search jobqueue": Wanted(rf"\A{QUEUE[1:]}"),
    "regenctl search job src tests": Wanted(r"^src/", without=r"^(?!src/|tests/)."),
    "regenctl search job ../other": Wanted(r"^/.*/other/work/queue.py:\d+:", without=r"^(?!/.*/other/)."),
    "regenctl search -g '*.py' -g '!tests' job": Wanted(r"^src/jobs/queue.py:", without=r"^(tests|README)"),
    "regenctl search -t py job": Wanted(r"^src/jobs/queue.py:", without=r"^README"),
    "regenctl search 'job -lang:md'": Wanted(r"^src/jobs/queue.py:", without=r"^README"),
    "regenctl search 'job -push'": Wanted(r"^lib/shared.py:", without=r"push"),
    "regenctl search -n 3 job": Wanted(r"\A([^\n]+:\d+:[^\n]*\n){3}\Z"),
    "regenctl search -C 2 doubled": Wanted(
        r"^src/jobs/retry.py-3-.*\nsrc/jobs/retry.py-4-.*\nsrc/jobs/retry.py:5:.*doubled.*\n"
    ),
    "regenctl search -l job": Wanted(r"\A([^:\n]+\n)+\Z"),
    "regenctl search -l -0 job | xargs -0 wc -l": Wanted(r"^ *\d+ src/jobs/queue.py\n(.*\n)* *\d+ total$"),
    "regenctl search --vimgrep job": Wanted(r"^src/jobs/queue.py:\d+:\d+:"),
    "regenctl search --format jsonl job": Wanted(r'\A(\{"root": .*\}\n)+\Z'),
    "regenctl search --format human job": Wanted(
        r"^src/jobs/queue.py:\d+  .*%\n  \d+  ", err=r"\A\d+ results in app in "
    ),
    "regenctl search --color always --format human job": Wanted(r"\x1b\[31;1m[jJ]ob", err=r"results in app in "),
    "regenctl search -- -x": Wanted(r"^odd \[x\]/space in.py:"),
    "regenctl list --files .": Wanted(r"^src/jobs/queue.py  python, \d+ chunk"),
    "regenctl symbols JobQueue": Wanted(rf"\A{QUEUE[1:]}"),
    "regenctl -V": Wanted(r"\Aregenctl \d+\.\d+\.\d+"),
    "regenctl search JobQueue | cat": Wanted(PLACE, without=r"^(?![^:]+:\d+:)."),
    "regenctl search -C 1 JobQueue | cat": Wanted(r"^src/jobs/queue.py-3-.*\nsrc/jobs/queue.py:4:.*\n.*-5-.*\n--\n"),
    "regenctl search xyzzyplugh": Wanted(r"\A\Z", code=1, err="xyzzyplugh"),
    "regenctl search -k none job": Wanted(r"\A\Z", code=2, err="-k"),
    "regenctl symbols JobQueue no/such/place": Wanted(r"\A\Z", code=2, err="no/such/place does not exist"),
    "cd ../stranger && regenctl search job": Wanted(r"\A\Z", code=2, err=r"is not indexed; add it with `regenctl add "),
    "CI=1 REGEND_SOCKET=/nowhere regenctl search job": Wanted(
        r"\A\Z", code=3, err="No daemon listens on /nowhere; start"
    ),
    "set -o pipefail; regenctl search job | head -n 1": Wanted(r"\A[^\n]+:\d+:[^\n]*\n\Z"),
}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with places(tmp_path_factory.mktemp("habits").resolve()) as made:
        yield made


def test_every_row_is_tried() -> None:
    assert set(COMMANDS) == set(WANTED)
    assert len(COMMANDS) == PAGE.count("\n| ") - 2  # Without the two headings.


@pytest.mark.parametrize("command", sorted(set(COMMANDS)))
def test_a_row_does_what_it_says(place: Place, command: str) -> None:
    wanted = WANTED[command]
    done = place.run("app", "bash", "-c", command)
    assert done.returncode == wanted.code, done.stderr
    assert re.search(wanted.out, done.stdout, re.MULTILINE), done.stdout
    assert not re.search(wanted.without, done.stdout, re.MULTILINE), done.stdout
    assert re.search(wanted.err, done.stderr), done.stderr


def test_jsonl_is_json_by_line_and_json_one_object(place: Place) -> None:
    lines = place.run("app", "regenctl", "search", "job", "--format", "jsonl").stdout.splitlines()
    whole = json.loads(place.run("app", "regenctl", "search", "job", "--format", "json").stdout)
    assert [json.loads(line) for line in lines] == whole["results"]
