"""Draws `docs/terminal.svg`, the picture of the README: real commands on a copy of this repository, in a terminal.

`python -m tests.terminal_picture` starts a daemon in a home directory of its own, types the commands, and writes what
they show.
"""

from __future__ import annotations

import io
import re
import subprocess
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from tests.e2e.shell import REPOSITORY, Shell, shell

PICTURE = REPOSITORY / "docs" / "terminal.svg"
COLUMNS = 96
COMMANDS = (
    "regenctl add",
    'regenctl search "how long does a changed path rest" -k 3 --snippet-lines 3',
    "regenctl why .env",
)


def copy_of_this_repository(user: Shell) -> Path:
    """Make a repository from what git tracks here, with a file that holds a secret."""
    top = user.home / "regend"
    top.mkdir()
    command = ["git", "archive", "HEAD", "regend", "docs"]
    archive = subprocess.run(command, cwd=REPOSITORY, capture_output=True, check=True)
    subprocess.run(["tar", "-x", "-C", str(top)], input=archive.stdout, check=True)
    subprocess.run(["git", "init", "-q", str(top)], check=True)
    (top / ".env").write_text("TOKEN=1\n")
    return top


def draw(screen: str) -> str:
    """Return terminal output as SVG."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for line in screen.splitlines():
        console.print(Text.from_ansi(line), soft_wrap=False, no_wrap=True, overflow="crop")
    svg = console.export_svg(title="regenctl", theme=MONOKAI, unique_id="regend")
    return "\n".join(line.rstrip() for line in svg.splitlines()) + "\n"


def main() -> None:
    with shell() as user:
        user.columns = COLUMNS
        user.here = copy_of_this_repository(user)
        user.pipe("regenctl", "start")
        shown = []
        for command in COMMANDS:
            done = user.type("bash", "-c", command)
            raw = re.sub(r"[^\n]*\r\x1b\[K", "", done.raw.replace("\r\n", "\n"))
            raw = raw.replace(str(user.home), "/home/ada")
            shown.append(f"\x1b[1m$ {command}\x1b[0m\n{raw.rstrip()}\n")
    PICTURE.write_text(draw("\n".join(shown)))
    print(f"{PICTURE.relative_to(REPOSITORY)} is written")


if __name__ == "__main__":
    main()
