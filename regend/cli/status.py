"""`regenctl status`, once or live."""

from __future__ import annotations

from regend.cli.call import call
from regend.cli.status_page import status_lines
from regend.cli.terminal import show

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def run_status(arguments: argparse.Namespace) -> int:
    if arguments.watch:
        from regend.cli.watch import watch_status

        return watch_status(arguments)
    return show(arguments, call(arguments, "status"), status_lines)
