"""`regenctl status`, once or live."""

from __future__ import annotations

import sys

from regend.cli.call import call
from regend.cli.status_page import status_lines
from regend.cli.terminal import Style, print_json

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def run_status(arguments: argparse.Namespace) -> int:
    if arguments.watch:
        from regend.cli.watch import watch_status

        return watch_status(arguments)
    answer = call(arguments, "status")
    if arguments.json:
        print_json(answer)
        return 0
    for line in status_lines(answer, Style.of(sys.stdout)):
        print(line)
    return 0
