"""The settings of a shared store, a part of the user's configuration. It imports the standard library only."""

from __future__ import annotations

from dataclasses import dataclass

from regend.fields import declare


@dataclass(frozen=True, slots=True)
class SharedConfig:
    """Vectors that daemons share, so that each text is embedded once. Hashes and vectors are sent, and never a text."""

    url: str = declare(
        "the shared store: `postgresql://ada@db.example.org/regend`, or a file for daemons of one machine: "
        "`sqlite:///srv/regend/shared.db`; empty: none",
        "",
    )
    roots: tuple[str, ...] = declare("roots whose hashes and vectors the store is asked for and given", (), "paths")
    pools: tuple[str, ...] = declare(
        "names of pools other than the repository's own, such as `acme/web=/home/ada/src/web`", (), "`NAME=PATH`"
    )
    timeout_ms: int = declare(
        "a batch is embedded here when the store has not answered within this time", 1_000, "ms", low=1
    )
