"""Real programs read what `regenctl` prints into a pipe: Vim, Neovim, Emacs, fzf, xargs."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.rig import REPOSITORY
from tests.e2e.terminal import Place, places

EDITORS = (REPOSITORY / "docs/editors.md").read_text()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with places(tmp_path_factory.mktemp("programs").resolve()) as made:
        yield made


def needs(program: str, package: str = "") -> pytest.MarkDecorator:
    reason = f"{program} is not installed (Debian: apt-get install {package or program})"
    return pytest.mark.skipif(shutil.which(program) is None, reason=reason)


def example(language: str, section: str) -> str:
    text = EDITORS.split(f"\n## {section}\n")[1].split("\n## ")[0]
    *_, found = re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)
    return str(found)


QUICKFIX = "map(getqflist(), '[bufname(v:val.bufnr), v:val.lnum, v:val.col, v:val.text, v:val.valid]')"


@pytest.mark.parametrize(
    "editor", [pytest.param("vim", marks=needs("vim")), pytest.param("nvim", marks=needs("nvim", "neovim"))]
)
@pytest.mark.parametrize(
    "commands",
    [
        [*example("vim", "Vim").splitlines()[:1], "silent grep! JobQueue"],
        [example("vim", "Vim").splitlines()[1].replace("debounce quiet time", "JobQueue")],
        ["set grepformat=%f:%l:%c:%m grepprg=regenctl\\ search\\ --vimgrep\\ $*", "silent grep! JobQueue"],
    ],
    ids=["grepprg", "cexpr", "vimgrep"],
)
def test_the_quickfix_list(place: Place, editor: str, commands: list[str], tmp_path: Path) -> None:
    out = tmp_path / "quickfix"
    script = tmp_path / "script.vim"
    write = f"call writefile([json_encode({QUICKFIX})], '{out}')"
    script.write_text("\n".join(["set nomore", *commands, write, "qall!", ""]))
    start = ["vim", "-Nu", "NONE", "-es"] if editor == "vim" else ["nvim", "--headless", "--clean", "-es"]
    place.run("app/src", *start, "-S", str(script))
    name, line, column, text, valid = json.loads(out.read_text())[0]
    assert (name, line, text, valid) == ("jobs/queue.py", 4, "class JobQueue:", 1)
    assert column == (7 if "vimgrep" in commands[0] else 0)


@needs("emacs", "emacs-nox")
def test_grep_mode_of_emacs(place: Place) -> None:
    show = """(with-current-buffer (regend-grep "JobQueue")
                (while (get-buffer-process (current-buffer)) (accept-process-output nil 0.1))
                (princ (format "%s " major-mode))
                (setq next-error-last-buffer (current-buffer))
                (next-error)
                (with-current-buffer (window-buffer) (princ (format "%s:%d" buffer-file-name (line-number-at-pos)))))"""
    done = place.run(
        "app/src", "emacs", "-Q", "--batch", "--eval", f"(progn (require 'grep) {example('elisp', 'Emacs')} {show})"
    )
    assert f"grep-mode {place.base}/app/src/jobs/queue.py:4" in done.stdout, done.stderr


@needs("fzf")
def test_fzf_filters_and_previews(place: Place, tmp_path: Path) -> None:
    listed = place.run("app", "regenctl", "search", "queue of jobs").stdout
    chosen = place.run("app", "fzf", "--delimiter", ":", "--filter", "class JobQueue", text=listed).stdout
    assert chosen.splitlines()[0] == "src/jobs/queue.py:4:class JobQueue:"
    preview = re.search(r"--preview '(.*?)'", example("bash", "fzf"))
    assert preview is not None
    seen = tmp_path / "seen"
    command = f"regenctl search -k 1 JobQueue | fzf --delimiter : --preview '{preview[1]} > {seen}; echo shown'"
    shown, _ = place.on_terminal("app", "bash", "-c", command, until="shown", keys=b"\x1b")
    assert "shown" in shown
    assert seen.read_text() == (place.base / "app/src/jobs/queue.py").read_text()


@needs("fzf")
def test_fzf_asks_again_as_one_types(place: Place) -> None:
    command = example("bash", "fzf").strip()
    shown, _ = place.on_terminal(
        "app", "bash", "-c", f"{command} --query JobQueue", until="class JobQueue:", keys=b"\x1b"
    )
    shown, _ = place.on_terminal(
        "app", "bash", "-c", f"{command} --bind 'load:+change-query(JobQueue)'", until="class JobQueue:", keys=b"\x1b"
    )
    assert "class JobQueue:" in shown


def test_names_with_spaces_and_brackets_reach_xargs_whole(place: Place) -> None:
    done = place.run("app", "bash", "-c", "regenctl search spaced_name -k 1 -l -0 | xargs -0 cat")
    assert done.stdout == (place.base / "app/odd [x]/space in.py").read_text()
    done = place.run("app", "regenctl", "search", "spaced_name", "-k", "1", "-0")
    assert done.stdout == "odd [x]/space in.py\x001:def spaced_name(job):\n"


def test_names_and_lines_that_are_not_utf_8_stay_as_they_are(place: Place) -> None:
    name = b"caf\xe9.py"
    file = place.base / "other" / name.decode("utf-8", "surrogateescape")
    file.write_bytes(b"def latin_name(job):\n    return job\n")
    assert place.served.flush()["complete"]
    done = place.run("other", "regenctl", "search", "latin_name", "-k", "1")
    assert done.returncode in (0, 1)
    assert "Traceback" not in done.stderr
    file.unlink()


def test_a_reader_that_ends_early_ends_it_quietly(place: Place) -> None:
    for command in (
        "set -o pipefail; regenctl search job -k 100 -v --format human | head -n 1",
        "set -o pipefail; regenctl search job -k 100 -l | head -n 1",
        "set -o pipefail; regenctl symbols job -k 100 | true",
        "set -o pipefail; regenctl search job --json | true",
    ):
        done = place.run("app", "bash", "-c", command)
        assert "Traceback" not in done.stderr
        assert "rror" not in done.stderr
        assert done.returncode == 0, command


def test_notes_are_not_among_the_results(place: Place) -> None:
    done = place.run("app", "regenctl", "search", "jobb queue langg:py")
    assert "langg:py" in done.stderr
    assert all(re.match(r"[^:]+:\d+:", line) for line in done.stdout.splitlines())
