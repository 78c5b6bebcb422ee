"""Writes the pages of the manual (`man/`) from the tables of the command line and of the configuration.

`python -m tests.man_pages` writes `regenctl.1`, `regend.1` and `regend.toml.5`; a test fails when they are old.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_type_hints

from regend.__main__ import parser as daemon_parser
from regend.cli.arguments import COMMANDS, command_parser, top_parser
from regend.cli.examples import EXAMPLES
from regend.cli.settings import toml
from regend.config import Config, known_keys
from regend.fields import allowed_range

DIRECTORY = Path(__file__).parents[1] / "man"
DATE = "November 26, 2026"
EXIT_CODES = (("0", "found, or done"), ("1", "nothing found"), ("2", "an error, also in the command line"),
              ("3", "no daemon listens on the socket"))  # fmt: skip
VARIABLES = (
    ("REGEND_CONFIG", "configuration file"),
    ("REGEND_STATE_DIR", "directory of the index"),
    ("REGEND_SOCKET", "socket of the daemon"),
    ("REGEND_PAGER", "pager of regenctl; empty for no pager"),
    ("NO_COLOR", "no colours where it is set"),
)


def escaped(text: str) -> str:
    """Return text that mdoc prints as it is."""
    text = text.replace("%%", "%").replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "")
    text = re.sub(r"(?<=[a-z)])([.;]) (?=[A-Z])", r"\1\n", text)  # A sentence begins on a line of its own.
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.MULTILINE)


def head(name: str, section: int, doc: str) -> Iterator[str]:
    yield f".Dd {DATE}\n.Dt {name.upper()} {section}\n.Os\n.Sh NAME\n.Nm {name}\n.Nd {escaped(doc)}"


def options(parser: argparse.ArgumentParser) -> Iterator[str]:
    """Yield the options and arguments of a parser."""
    yield ".Bl -tag -width Ds"
    for action in parser._actions:
        if action.help == argparse.SUPPRESS or action.dest == "help":
            continue
        metavar = action.metavar or ("" if action.nargs == 0 else action.dest.upper())
        names = ", ".join(action.option_strings) or str(metavar)
        value = f" {metavar}" if action.option_strings and action.nargs != 0 else ""
        yield f".It {escaped(names + value)}\n{escaped(action.help or 'see above')}"
    yield ".El"


def exits(codes: tuple[tuple[str, str], ...]) -> Iterator[str]:
    yield ".Sh EXIT STATUS\n.Bl -tag -width Ds"
    for code, meaning in codes:
        yield f".It {code}\n{escaped(meaning)}"
    yield ".El"


def variables() -> Iterator[str]:
    yield ".Sh ENVIRONMENT\n.Bl -tag -width Ds"
    for name, meaning in VARIABLES:
        yield f".It Ev {name}\n{escaped(meaning)}"
    yield ".El"


def control_page() -> Iterator[str]:
    yield from head("regenctl", 1, "query and control the regend code-search daemon")
    yield ".Sh SYNOPSIS\n.Nm\n.Op Ar options\n.Ar command\n.Op Ar arguments"
    yield ".Sh DESCRIPTION\nA command that asks starts the daemon in the background where the configuration allows it."
    yield "These options may stand before or behind the command:"
    yield from options(top_parser())
    for command in COMMANDS:
        yield f".Ss regenctl {command.name}\n{escaped(command.doc[0].upper() + command.doc[1:])}."
        if command.arguments:
            shared = {name for action in top_parser()._actions for name in action.option_strings}
            parser = command_parser(command)
            for action in parser._actions:
                if shared.intersection(action.option_strings) and action.dest != "help":
                    action.help = argparse.SUPPRESS
            yield from options(parser)
        yield ".Pp\n.Bd -literal -compact"
        for line, doc in EXAMPLES[command.name]:
            yield f"{escaped(line)}\n    {escaped(doc)}"
        yield ".Ed"
    yield from variables()
    yield from exits(EXIT_CODES)
    yield ".Sh SEE ALSO\n.Xr regend 1 ,\n.Xr regend.toml 5"


def daemon_page() -> Iterator[str]:
    yield from head("regend", 1, "keep a fresh search index of source trees")
    yield ".Sh SYNOPSIS\n.Nm\n.Op Ar options"
    yield (".Sh DESCRIPTION\nThe daemon watches the roots, keeps their index fresh, and answers over a Unix socket.\n"
           "It runs in the foreground;\n.Xr regenctl 1\nstarts it in the background.")  # fmt: skip
    yield from options(daemon_parser())
    yield from variables()
    yield from exits((("0", "it was asked to stop"), ("1", "it could not start or go on"), ("2", "wrong options")))
    yield ".Sh SEE ALSO\n.Xr regenctl 1 ,\n.Xr regend.toml 5"


def configuration_page() -> Iterator[str]:
    yield from head("regend.toml", 5, "configuration of regend")
    yield (".Sh DESCRIPTION\nThe file is\n.Pa ~/.config/regend/config.toml\n"
           "or the one that\n.Ev REGEND_CONFIG\nnames.\n"
           "It is TOML.\nEvery key has a default, so that no file is needed.\nThe command\n.Ql regenctl config\n"
           "shows and changes it.")  # fmt: skip
    hints = get_type_hints(Config)
    for table, kind in hints.items():
        yield f".Ss [{table}]\n{escaped(' '.join((kind.__doc__ or '').split()))}\n.Bl -tag -width Ds"
        for name, item in known_keys().items():
            if name.startswith(f"{table}."):
                allowed = allowed_range(item) or ", ".join(item.metadata["choices"])
                facts = [f"default {toml(item.default)}", item.metadata["unit"], allowed]
                doc = str(item.metadata["doc"])
                yield f".It Ic {item.name}\n{escaped(doc[0].upper() + doc[1:])}"
                yield f".Pq {escaped('; '.join(filter(None, facts)))}"
        yield ".El"
    yield ".Sh SEE ALSO\n.Xr regenctl 1 ,\n.Xr regend 1"


PAGES = {"regenctl.1": control_page, "regend.1": daemon_page, "regend.toml.5": configuration_page}


def rendered(name: str) -> str:
    """Return the text of a page."""
    return "\n".join(PAGES[name]()) + "\n"


def main() -> None:
    DIRECTORY.mkdir(exist_ok=True)
    for name in PAGES:
        (DIRECTORY / name).write_text(rendered(name))


if __name__ == "__main__":
    main()
