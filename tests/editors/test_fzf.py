"""`regenctl fzf` and its recipes, typed into a real fzf in a real tmux."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shlex
import shutil
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from regend.cli.asking.fzf import editor_command
from tests.e2e.rig import REPOSITORY, wait_for
from tests.editors.conftest import Served

SECTION = (REPOSITORY / "docs/editors.md").read_text().split("\n## fzf\n")[1].split("\n## ")[0]
LIMIT_S = 20.0
PROMPT = r"(?m)^[$#] *$"

in_tmux = pytest.mark.skipif(
    not (shutil.which("tmux") and shutil.which("fzf")),
    reason="tmux or fzf is not installed (Debian: apt-get install tmux fzf)",
)


class Tmux:
    """A tmux server of its own, with one window that runs a shell in the repository, and a terminal attached to it."""

    def __init__(self, home: Path, served: Served, config: str = "") -> None:
        self.home = home
        programs = home / "bin"
        programs.mkdir()
        for name, text in {
            "regenctl": f'exec "{sys.executable}" -m regend.cli.main "$@"',
            "ed-it": f'printf "%s\\n" "$@" > {home}/edited',
            "bat": f'printf "%s\\n" "$@" > {home}/bat; printf "shown by bat\\n"',
        }.items():
            (programs / name).write_text(f"#!/bin/sh\n{text}\n")
            (programs / name).chmod(0o755)
        (home / "tmux.conf").write_text(config)
        self.environ = {
            "PATH": f"{programs}:/usr/bin:/bin", "HOME": str(home), "LANG": "C.UTF-8", "TERM": "xterm-256color",
            "REGEND_SOCKET": str(served.socket), "PYTHONPATH": str(REPOSITORY), "EDITOR": "ed-it", "PS1": "$ ",
        }  # fmt: skip
        self._command = ["tmux", "-S", str(home / "tmux"), "-f", str(home / "tmux.conf")]
        self._main, other = pty.openpty()
        fcntl.ioctl(self._main, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 140, 0, 0))
        self._client = subprocess.Popen(
            [*self._command, "new-session", "/bin/sh"],
            stdin=other, stdout=other, stderr=other, env=self.environ, cwd=served.root, start_new_session=True,
        )  # fmt: skip
        os.close(other)
        self._seen = b""

    def run(self, *words: str) -> str:
        done = subprocess.run(
            [*self._command, *words], env=self.environ, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
        return done.stdout

    def keys(self, *keys: str) -> None:
        """Type into the pane; words such as `Enter` are keys."""
        self.run("send-keys", *keys)

    def pane(self) -> str:
        self._drain()
        return self.run("capture-pane", "-p")

    def until(self, pattern: str) -> str:
        """Wait until the pane shows a pattern, and return what it shows."""
        deadline = time.monotonic() + LIMIT_S
        while not re.search(pattern, text := self.pane()):
            assert time.monotonic() < deadline, f"not shown: {pattern}\n{text}"
            time.sleep(0.02)
        return text

    def press(self, keys: bytes) -> None:
        """Press keys on the terminal, where tmux itself sees them."""
        os.write(self._main, keys)

    def until_on_terminal(self, pattern: bytes) -> None:
        """Wait until the terminal has been sent a pattern; popups are on no pane."""
        wait_for(lambda: self._drain() or re.search(pattern, self._seen) is not None, f"{pattern!r}", LIMIT_S)

    def edited(self) -> list[str]:
        """Return the arguments of the editor once it has run."""
        wait_for(lambda: self._drain() or (self.home / "edited").exists(), "the editor runs", LIMIT_S)
        return (self.home / "edited").read_text().splitlines()

    def _drain(self) -> bool:
        while select.select([self._main], [], [], 0)[0]:
            self._seen += os.read(self._main, 1 << 16)
        return False

    def close(self) -> None:
        self.run("kill-server")
        self._client.kill()
        self._client.wait(10)
        os.close(self._main)


@pytest.fixture
def tmux(served: Served, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tmux]:
    (config,) = re.findall(r"```tmux\n(.*?)```", SECTION, re.S)
    opened = Tmux(tmp_path_factory.mktemp("t"), served, config)
    try:
        opened.until(PROMPT)
        yield opened
    finally:
        opened.close()


@in_tmux
def test_words_are_asked_as_they_are_typed_and_the_choice_is_opened(tmux: Tmux) -> None:
    tmux.keys("regenctl fzf", "Enter")
    tmux.until("regend>")
    tmux.keys("JobQ")
    tmux.keys("ueue")
    shown = tmux.until(r"> src/jobs/queue\.py:4: class JobQueue")
    assert "README.md" in shown
    tmux.until("shown by bat")
    assert (tmux.home / "bat").read_text().split() == [
        "--style=numbers", "--color=always", "--highlight-line", "4", "--", "src/jobs/queue.py",
    ]  # fmt: skip
    tmux.keys("Enter")
    assert tmux.edited() == ["+4", "src/jobs/queue.py"]


@in_tmux
def test_without_bat_the_line_is_marked(tmux: Tmux) -> None:
    (tmux.home / "bin/bat").unlink()
    tmux.keys("regenctl fzf JobQueue; echo left $?", "Enter")
    tmux.until("Queue of jobs waiting for a worker")
    assert re.search(r"\x1b\[[0-9;]*7[0-9;]*m[^\n]*class JobQueue", tmux.run("capture-pane", "-p", "-e"))
    tmux.keys("Escape")
    tmux.until("left 130")


@in_tmux
def test_what_was_wrong_is_shown_in_the_list(tmux: Tmux) -> None:
    tmux.keys("regenctl fzf lang:klingon x", "Enter")
    tmux.until("No language is called 'klingon'")
    tmux.keys("Enter")
    tmux.until(PROMPT)
    tmux.keys("clear; regenctl fzf 'path:none/** job'", "Enter")
    tmux.until("> No indexed file matches")
    tmux.keys("Enter")
    tmux.until(PROMPT)
    assert not (tmux.home / "edited").exists()


@in_tmux
def test_the_popup_of_the_page(tmux: Tmux) -> None:
    tmux.press(b"\x02F")
    tmux.until_on_terminal(rb"regend>")
    tmux.press(b"JobQueue")
    tmux.until_on_terminal(rb"class")
    tmux.until_on_terminal(rb"shown by bat")
    tmux.press(b"\r")
    assert tmux.edited() == ["+4", "src/jobs/queue.py"]


@in_tmux
def test_the_script_of_the_page(tmux: Tmux) -> None:
    script = re.findall(r"```bash\n(.*?)```", SECTION, re.S)[0].strip()
    tmux.keys(script.replace("less", "ed-it"), "Enter")
    tmux.until(r"> .*retry\.py:\d+:")
    tmux.keys("Enter")
    line, path = tmux.edited()
    assert path == "src/net/retry.py"
    assert int(line.removeprefix("+")) >= 1


@pytest.mark.parametrize(
    ("environ", "arguments"),
    [
        ({"EDITOR": "nvim -R"}, ["nvim", "-R", "+7", "a b.py"]),
        ({"VISUAL": "/usr/bin/code --wait", "EDITOR": "vi"}, ["/usr/bin/code", "--wait", "--goto", "a b.py:7"]),
        ({"EDITOR": "hx"}, ["hx", "a b.py:7"]),
        ({}, ["vi", "+7", "a b.py"]),
    ],
)
def test_editors_are_told_the_line_in_their_way(environ: dict[str, str], arguments: list[str]) -> None:
    assert editor_command(environ, "a b.py", 7) == arguments
    assert editor_command({"EDITOR": "vi"}, "-x.py", 7) == ["vi", "+7", "./-x.py"]


def test_the_options_reach_the_question(served: Served) -> None:
    def listed(*words: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "regend.cli.main", "fzf", "--list", *words], cwd=served.root / "src",
            capture_output=True, text=True, timeout=LIMIT_S, check=True,
            env={**os.environ, "REGEND_SOCKET": str(served.socket), "PYTHONPATH": str(REPOSITORY)},
        ).stdout  # fmt: skip

    assert listed("JobQueue").startswith("jobs/queue.py\t4\tjobs/queue.py:4: class JobQueue")
    assert listed() == ""
    assert listed("-k", "1", "JobQueue").count("\n") == 1
    assert "README.md" not in listed("-g", "src/**", "job")
    assert listed("--lang", "markdown", "queue").startswith("../README.md\t")
    assert shlex.split(listed("--", "-path:src/**", "JobQueue"))[0] != "jobs/queue.py"


def test_fzf_has_to_be_there(served: Served, tmp_path: Path) -> None:
    environ = {"REGEND_SOCKET": str(served.socket), "PATH": str(tmp_path), "PYTHONPATH": str(REPOSITORY), "HOME": "/x"}
    command = [sys.executable, "-m", "regend.cli.main", "fzf"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=LIMIT_S, check=False)
    assert (done.returncode, done.stderr) == (
        2, "regenctl: `fzf` is not installed; on Debian: apt-get install fzf.\n",
    )  # fmt: skip
    done = subprocess.run(
        [*command, "--json"], env=environ, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert (done.returncode, '"error"' in done.stdout) == (2, True)
