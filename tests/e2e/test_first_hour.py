"""The first hour of a new user, in the order in which it goes, with the real programs in a pseudo-terminal."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.shell import Shell, shell

FILES = {
    "src/net/retry.py": "def retry_limit(attempts):\n    # Limits the repeats of a request.\n    return attempts < 5\n",
    "src/net/pool.py": "class Pool:\n    def take(self):\n        return self.free.pop()\n",
    "README.md": "# App\n\nThe pool gives connections to requests.\n",
    "build/out.py": "def built():\n    return 1\n",
    ".gitignore": "/build/\n",
}


@pytest.fixture(scope="module")
def user() -> Iterator[Shell]:
    with shell() as made:
        yield made


def git(directory: Path, *arguments: str) -> None:
    command = ["git", "-c", "user.name=a", "-c", "user.email=a@b.c", *arguments]
    subprocess.run(command, cwd=directory, check=True, capture_output=True)


def clone(user: Shell, name: str) -> Path:
    """Clone a repository into the user's home, by git as the user types it."""
    origin = user.home / ".origins" / name
    for path, text in FILES.items():
        (origin / path).parent.mkdir(parents=True, exist_ok=True)
        (origin / path).write_text(text)
    git(origin, "init", "-q")
    git(origin, "add", ".")
    git(origin, "commit", "-qm", "first")
    assert user.type("git", "clone", str(origin), str(user.home / name)).code == 0
    (user.home / name / "build").mkdir(exist_ok=True)
    (user.home / name / "build" / "out.py").write_text(FILES["build/out.py"])
    return user.home / name


def step_1_without_a_daemon_a_script_in_ci_is_told_how_to_start_one(user: Shell) -> None:
    user.here = clone(user, "app")
    done = user.pipe("regenctl", "search", "retry limits", CI="true")
    assert done.code == 3 and done.shown == ""
    assert "start one with `regenctl start`" in done.errors
    for command in ("status", "list", "stop", "pause"):
        assert user.pipe("regenctl", command).code == 3, f"{command} starts no daemon"


def step_2_the_first_search_starts_the_daemon_and_says_so_once(user: Shell) -> None:
    first, second = (user.type("regenctl", "search", "retry limits") for _ in range(2))
    assert re.search(r"started regend in the background \(pid \d+\)", first.shown.replace("\n", ""))
    assert "regenctl add" in first.shown, "nothing is added by itself; the page says how to add it"
    assert "started regend" not in second.shown
    assert user.pipe("regenctl", "list").shown == "no roots; add one with `regenctl add DIR`\n"


def step_3_start_is_single_and_names_its_log(user: Shell) -> None:
    done = user.type("regenctl", "start")
    log = user.home / ".local/state/regend/regend.log"
    assert done.code == 0
    assert re.search(rf"regend is running already \(pid \d+\); log\s+{log}", done.shown)
    assert "serving" in user.pipe("regenctl", "logs").shown
    assert user.pipe("regenctl", "logs", "-n", "1").shown.count("\n") == 1
    followed = user.type("regenctl", "logs", "-f", until="serving")
    assert followed.code == 130


def step_4_add_takes_the_working_directory_and_waits_until_it_is_searchable(user: Shell) -> None:
    done = user.type("regenctl", "add")
    assert done.code == 0
    assert f"added {user.here}; 4 files, searchable now" in done.shown
    assert "src/net/retry.py" in user.pipe("regenctl", "search", "retry limits").shown
    again = user.pipe("regenctl", "add", ".")
    assert again.shown == f"already added: {user.here}; 4 files, searchable now\n"


REFUSED = (
    ("README.md", "README.md is not a directory, and a root is one; add {here} or a directory above it."),
    ("/proc", "/proc is refused: it is the kernel's view of this machine, not a source tree."),
    ("ap", "There is no directory {here}/ap; check the path."),
    ("..", "is or holds your home directory, with far more than source code in it; add the repositories below it"),
)


def step_5_what_cannot_be_added_is_refused_with_the_right_sentence(user: Shell) -> None:
    for named, sentence in REFUSED:
        refused(user, named, sentence)


def refused(user: Shell, named: str, sentence: str) -> None:
    done = user.pipe("regenctl", "add", named)
    assert done.code == 2
    assert sentence.format(here=user.here) in done.errors


def step_6_several_directories_and_nested_ones(user: Shell) -> None:
    other = clone(user, "other")
    done = user.pipe("regenctl", "add", str(other), "src/net", "--json")
    assert done.shown.count('"pool"') == 2
    assert done.code == 0
    done = user.pipe("regenctl", "add", str(other / "src"))
    assert f"{other}/src lies in the root {other}" in done.errors
    wrong = user.pipe("regenctl", "remove", f"{other}/build")
    assert wrong.code == 2
    assert f"is not a root but lies in one; name {other}." in wrong.errors
    for name in ("src", "net", "other"):
        assert user.pipe("regenctl", "remove", name).code == 0, f"{name} is the last part of one root's path"
    assert user.pipe("regenctl", "list").shown == f"{user.here}  ready  4 files\n"


def step_7_flush_and_status(user: Shell) -> None:
    (user.here / "src/net/slow.py").write_text("def backoff_seconds(n):\n    return 2**n\n")
    assert "searchable at generation" in user.type("regenctl", "flush").shown
    assert "slow.py" in user.pipe("regenctl", "search", "backoff_seconds").shown
    ready = user.pipe("regenctl", "status", "--watch", "--until-ready")
    assert ready.code == 0 and ready.shown.splitlines()[-1].startswith("complete: 1 root, 5 indexed, 0 pending")
    page = user.type("regenctl", "status").shown
    assert re.search(r"disk +[\d.]+ [kM]B in ", page)
    assert "queues" not in page, "an idle daemon has no queues to show"
    user.columns = 50
    narrow = user.type("regenctl", "status").shown
    user.columns = 100
    assert f"\n  {user.here}\n" in narrow
    roots = narrow[narrow.index("roots") : narrow.index("\n\n", narrow.index("roots"))]
    assert all(len(line) <= 50 for line in roots.splitlines()), roots


def step_8_a_root_whose_rules_leave_out_everything_says_which_one(user: Shell) -> None:
    kernel = user.home / "kernel"
    (kernel / "fs").mkdir(parents=True)
    (kernel / "fs/inode.c").write_text("int inode;\n")
    (kernel / "Kconfig").write_text("config X\n")
    (kernel / ".gitignore").write_text("\n" * 158 + "/*\n")
    done = user.pipe("regenctl", "add", str(kernel))
    said = "nothing is indexed: `/*` in .gitignore:159 leaves out everything"
    assert said in done.shown
    assert said in user.pipe("regenctl", "status").shown
    user.pipe("regenctl", "remove", "kernel")


def step_9_restart_and_stop(user: Shell) -> None:
    restarted = user.type("regenctl", "restart")
    found = re.search(r"started again \(pid (\d+), before (\d+)\)", " ".join(restarted.shown.split()))
    assert found and found[1] != found[2], restarted
    user.pipe("regenctl", "flush")
    assert user.pipe("regenctl", "list").shown == f"{user.here}  ready  5 files\n"
    assert user.type("regenctl", "stop").shown.strip() == f"stopped (pid {found[1]})"
    assert user.pipe("regenctl", "status").code == 3


STEPS = (
    step_1_without_a_daemon_a_script_in_ci_is_told_how_to_start_one,
    step_2_the_first_search_starts_the_daemon_and_says_so_once,
    step_3_start_is_single_and_names_its_log,
    step_4_add_takes_the_working_directory_and_waits_until_it_is_searchable,
    step_5_what_cannot_be_added_is_refused_with_the_right_sentence,
    step_6_several_directories_and_nested_ones,
    step_7_flush_and_status,
    step_8_a_root_whose_rules_leave_out_everything_says_which_one,
    step_9_restart_and_stop,
)


def test_the_first_hour(user: Shell) -> None:
    """Each step goes on where the one before has ended."""
    for step in STEPS:
        step(user)
