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
    read_url: str = declare("a read replica of the server of `url`, asked for vectors and by queries; empty: none", "")
    roots: tuple[str, ...] = declare("roots whose hashes and vectors the store is asked for and given", (), "paths")
    pools: tuple[str, ...] = declare(
        "names of pools other than the repository's own, such as `acme/web=/home/ada/src/web`", (), "`NAME=PATH`"
    )
    search_roots: tuple[str, ...] = declare(
        "those of `roots` whose vectors stay on disk here, because the store searches them by meaning", (), "paths"
    )
    search_timeout_ms: int = declare(
        "a query is answered by words when the store has not answered within this time", 150, "ms", low=1
    )
    timeout_ms: int = declare(
        "a batch is embedded here when the store has not answered within this time", 1_000, "ms", low=1
    )
