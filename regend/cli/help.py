"""`regenctl help [COMMAND]`: the same text as `--help`."""

from __future__ import annotations

from regend.cli.arguments import COMMANDS, command_named, command_parser, top_parser

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse


def run_help(arguments: argparse.Namespace) -> int:
    if not arguments.topic:
        top_parser().print_help()
        return 0
    command = command_named(top_parser(), arguments.topic)
    if command.name == "service":
        from regend.cli.service import service_parser

        service_parser().print_help()
    else:
        command_parser(command).print_help()
    return 0


def command_names() -> str:
    """Return the names of all commands, for completion."""
    return " ".join(command.name for command in COMMANDS)
