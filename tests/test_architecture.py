"""The architecture, as docs/architecture.md draws it: who may import whom, what stays pure, and how long a module is.

A new edge in `EDGES` is a change of the design: say why in docs/architecture.md.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.import_graph import (
    crowded_folders,
    cycle,
    forbidden_edges,
    foreign_imports,
    imports_of,
    impure,
    loaded_by,
    long_modules,
    longest_chain,
    read_sources,
    third_party,
    within,
)

REPOSITORY = Path(__file__).parents[1]
SOURCES = read_sources(REPOSITORY / "regend")
MAX_LINES = 400
MAX_MODULES = 20
"""Modules of one folder, not counting folders in it and what they hold."""
MAX_DAEMON_MODULES, MAX_DAEMON_FLOORS = 18, 8

BASICS = ("regend", "regend.errors", "regend.types")
EDGES: dict[str, tuple[str, ...]] = {
    # Values and errors import no other module of ours. `regend` itself is `__version__` only.
    # Its first use loads the client for Python programs, which is named for type checkers only.
    "regend": ("regend.client",),
    "regend.client": ("regend", "regend.errors", "regend.rpc.*"),
    "regend.errors": (),
    "regend.types": (),
    "regend.limits": (),
    # The first steps of the programs, before any other module is looked for.
    "regend.interpreter": (),
    "regend.paths": ("regend.errors",),
    # One way to declare a checked field, for the configuration and for the wire.
    "regend.fields": ("regend.errors",),
    "regend.overrides": ("regend.errors", "regend.fields"),
    "regend.config": (
        "regend.errors", "regend.fields", "regend.overrides", "regend.paths", "regend.gateway.settings",
        "regend.sharing.settings",
    ),
    # The share of the machine that a process may use.
    "regend.machine": (),
    # Pure: decides, and does nothing itself.
    "regend.core": (*BASICS, "regend.core.*"),
    # `LimitConfig` is a plain value; a second class with the same fields would be a synonym.
    "regend.chunking": (*BASICS, "regend.chunking.*", "regend.config"),
    # Seams: protocols and the wire.
    "regend.store.base": BASICS,
    "regend.embedding.base": BASICS,
    "regend.rpc": (*BASICS, "regend.fields", "regend.limits", "regend.paths", "regend.rpc.*"),
    # Looks at trees. A scan answers the core's commands with its events; a blob's name holds its language, and
    # notebooks may be larger than other files.
    "regend.disk": (
        *BASICS, "regend.config", "regend.disk.*", "regend.core.commands", "regend.core.events",
        "regend.chunking.detection", "regend.chunking.grammars", "regend.chunking.notebooks",
    ),
    # Which rules hold for a path, and nothing else of the disk but what a repository is.
    "regend.disk.ignore": (
        *BASICS, "regend.paths", "regend.disk.ignore.*", "regend.disk.inputs", "regend.disk.repository",
    ),
    # Turns what the operating system says into the core's events.
    "regend.watch": (
        *BASICS, "regend.config", "regend.watch.*", "regend.core.events", "regend.disk.calls", "regend.disk.linked",
        "regend.disk.names", "regend.disk.repository", "regend.disk.ignore.rules",
    ),
    # Warm processes: they read and chunk files and run the local model.
    "regend.workers": (
        *BASICS, "regend.interpreter", "regend.config", "regend.machine", "regend.workers.*", "regend.chunking.chunker",
        "regend.chunking.notebooks", "regend.chunking.packing", "regend.disk.blob_names",
        "regend.disk.safe_read", "regend.embedding.base", "regend.embedding.registry",
    ),
    # Adapters. The store applies the core's commands and answers with its events, hence these two.
    "regend.store": (
        *BASICS, "regend.paths", "regend.store.*", "regend.core.commands", "regend.core.events",
        "regend.embedding.base", "regend.chunking.grammars", "regend.chunking.packing", "regend.chunking.tokens",
    ),
    "regend.embedding": (*BASICS, "regend.embedding.*", "regend.config", "regend.chunking.tokens"),
    # Rates, retries and breakers are decided by pure parts; the adapters carry out what these say.
    "regend.embedding.pacing": (*BASICS, "regend.embedding.pacing.*"),
    # Vectors by the hash of their text, for many daemons. It reads the index and never writes it.
    "regend.sharing.settings": ("regend.fields",),
    "regend.sharing": (*BASICS, "regend.sharing.*", "regend.store.reads", "regend.embedding.base"),
    # Reads snapshots through the protocol; no adapter is known here. A filter's language is one of the data files'.
    "regend.search": (
        *BASICS, "regend.limits", "regend.search.*", "regend.store.base", "regend.embedding.base",
        "regend.chunking.tokens",
    ),
    # A query's rooms, in the order in which it goes through them; each knows those before it.
    "regend.search.query": (
        *BASICS, "regend.limits", "regend.search.errors", "regend.search.query.*", "regend.chunking.detection",
        "regend.chunking.grammars", "regend.chunking.tokens",
    ),
    "regend.search.legs": (
        *BASICS, "regend.search.errors", "regend.search.query.*", "regend.search.legs.*", "regend.store.base",
        "regend.chunking.tokens", "regend.disk.ignore.wildmatch",
    ),
    "regend.search.ranking": (
        *BASICS, "regend.limits", "regend.search.query.*", "regend.search.legs.*", "regend.search.ranking.*",
        "regend.search.stages", "regend.store.base", "regend.chunking.tokens",
    ),
    "regend.search.results": (
        *BASICS, "regend.limits", "regend.search.query.*", "regend.search.legs.*", "regend.search.ranking.*",
        "regend.search.results.*", "regend.search.options", "regend.search.overlay", "regend.store.base",
        "regend.chunking.tokens",
    ),
    # Joins everything, but picks adapters by their registries only.
    "regend.daemon": (
        *BASICS, "regend.config", "regend.gateway.child", "regend.limits", "regend.paths", "regend.daemon.*",
        "regend.core.*", "regend.chunking.*", "regend.disk.*", "regend.watch.*", "regend.workers.*", "regend.search.*",
        "regend.rpc.*", "regend.store.base", "regend.store.reads", "regend.store.store", "regend.store.lock",
        "regend.embedding.base", "regend.embedding.registry", "regend.machine", "regend.sharing.*",
    ),
    "regend.__main__": (
        "regend", "regend.interpreter", "regend.errors", "regend.paths", "regend.config", "regend.daemon.*",
    ),
    # Clients: they see the socket and the configuration, never the index.
    "regend.cli": (
        "regend", "regend.interpreter", "regend.errors", "regend.limits", "regend.paths", "regend.config",
        "regend.fields", "regend.overrides", "regend.rpc.*", "regend.cli.*", "regend.mcp.*", "regend.lsp.*",
        "regend.gateway.token",
    ),
    # Which servers of vectors the daemon would refuse, before it is started with them.
    "regend.cli.settings": (
        "regend.errors", "regend.fields", "regend.overrides", "regend.paths", "regend.config", "regend.cli.call",
        "regend.cli.terminal", "regend.embedding.remote.presets",
    ),
    # The one command that asks something else than the daemon.
    "regend.cli.shared": (
        "regend.errors", "regend.config", "regend.overrides", "regend.rpc.*", "regend.cli.terminal",
        "regend.cli.shared.*", "regend.sharing.*", "regend.disk.remotes",
    ),
    # It measures this machine with daemons of its own, which it asks as any client does.
    "regend.cli.tuning": (
        "regend.errors", "regend.config", "regend.limits", "regend.machine", "regend.rpc.client", "regend.cli.call",
        "regend.cli.roots", "regend.cli.settings", "regend.cli.terminal", "regend.cli.tuning.*",
    ),
    # The server for agents: a client of the socket that is started with each agent, so it loads little.
    "regend.mcp": (
        "regend", "regend.interpreter", "regend.errors", "regend.fields", "regend.limits", "regend.paths",
        "regend.mcp.*", "regend.rpc.client", "regend.rpc.query_messages", "regend.cli.asking.here",
    ),
    # HTTP, in a process of its own that asks over the socket. Agents that come by HTTP get the answers of `mcp`.
    "regend.gateway": (
        "regend", "regend.interpreter", "regend.errors", "regend.fields", "regend.limits", "regend.gateway.*",
        "regend.mcp.*", "regend.rpc.aio", "regend.rpc.parameters", "regend.rpc.schema", "regend.rpc.operation_messages",
    ),
    # The configuration knows which addresses are allowed, and the daemon how the process is kept running.
    "regend.gateway.settings": ("regend.errors", "regend.fields"),
    "regend.gateway.child": ("regend.interpreter", "regend.gateway.settings"),
    # The server for editors goes the same way to the daemon.
    "regend.lsp": ("regend", "regend.errors", "regend.mcp.link"),
}  # fmt: skip

FOREIGN: dict[str, tuple[str, ...]] = {
    "asyncpg": ("regend.sharing",),
    "aiohttp": ("regend.embedding.remote", "regend.gateway"),
    "hnswlib": ("regend.store.vectors",),
    "isal": ("regend.chunking", "regend.store"),
    "msgpack": ("regend.rpc",),
    "lsprotocol": ("regend.lsp",),
    "pygls": ("regend.lsp",),
    "keyring": ("regend.embedding.remote",),
    "msgspec": ("regend.rpc", "regend.client", "regend.workers", "regend.embedding", "regend.gateway", "regend.mcp",
                "regend.chunking.packing"),
    "prometheus_client": ("regend.gateway",),
    "pygments": ("regend.gateway",),
    "numpy": ("regend.sharing", "regend.store", "regend.embedding", "regend.search", "regend.daemon", "regend.workers"),
    "onnxruntime": ("regend.embedding",),
    "pathspec": ("regend.disk.ignore",),
    "psutil": ("regend.daemon",),
    "re2": ("regend.chunking.prefilter", "regend.search.query"),
    "rich": ("regend.cli",),
    "simsimd": ("regend.store.vectors",),
    "structlog": (
        "regend.daemon", "regend.store", "regend.embedding", "regend.rpc", "regend.sharing", "regend.watch",
        "regend.workers", "regend.disk", "regend.gateway.child", "regend.__main__",
    ),
    "tantivy": ("regend.store.lexical",),
    "tokenizers": ("regend.embedding",),
    "tree_sitter": ("regend.chunking",),
    "tree_sitter_language_pack": ("regend.chunking",),
    "tomlkit": ("regend.cli",),
    "uvloop": ("regend.daemon", "regend.gateway", "regend.__main__"),
    "watchdog": ("regend.watch",),
}  # fmt: skip
IO = frozenset(
    ("asyncio", "concurrent", "fcntl", "http", "io", "logging", "mmap", "multiprocessing", "os", "pathlib", "queue",
     "random", "secrets", "select", "selectors", "shutil", "signal", "socket", "sqlite3", "ssl", "subprocess",
     "tempfile", "threading", "time", "urllib", "uuid")
)  # fmt: skip
PURE: dict[str, frozenset[str]] = {
    "regend.errors": frozenset(),
    "regend.types": frozenset(),
    "regend.limits": frozenset(),
    "regend.core": frozenset(),
    "regend.embedding.pacing": frozenset(),
    "regend.sharing.naming": frozenset(("urllib",)),
    "regend.sharing.reach": frozenset(),
    "regend.sharing.address": frozenset(("ipaddress", "urllib")),
    "regend.sharing.schema": frozenset(),
    "regend.disk.ignore.wildmatch": frozenset(),
    "regend.chunking": frozenset(("tree_sitter",)),
    "regend.chunking.packing": frozenset(("isal", "msgspec")),
    "regend.chunking.prefilter": frozenset(("re2",)),
    # Stops a parse that takes too long; only the clock can tell.
    "regend.chunking.structure": frozenset(("tree_sitter", "time")),
    # Loads grammars and, through importlib, the languages' data files, once per process.
    "regend.chunking.grammars": frozenset(("tree_sitter", "tree_sitter_language_pack")),
}
BUILTINS = frozenset(("open", "print", "input", "exec", "eval"))
FAST_PATH = ("regend.cli.main", "regend.rpc.client", "regend.config", "regend.paths")
FAST_PATH_FOREIGN = frozenset(("msgpack",))
FORBIDDEN_NAMES = frozenset(("utils", "util", "helpers", "helper", "common", "misc", "manager", "managers"))


def python_files() -> Iterator[Path]:
    for directory in ("regend", "tests", "benchmarks", "training", "editors"):
        yield from sorted((REPOSITORY / directory).rglob("*.py"))


# --- the project ------------------------------------------------------------------------------------------------------


def test_the_project_was_read() -> None:
    assert set(SOURCES) >= {"regend", "regend.core.pipeline", "regend.store.base", "regend.rpc.client", "regend.config"}


def test_every_import_is_allowed() -> None:
    assert "\n".join(forbidden_edges(SOURCES, EDGES)) == ""


def test_no_module_imports_itself_by_way_of_others() -> None:
    assert " -> ".join(cycle(SOURCES)) == ""


def test_pure_modules_do_no_io() -> None:
    assert "\n".join(impure(SOURCES, PURE, IO, BUILTINS)) == ""


def test_foreign_packages_stay_where_they_belong() -> None:
    assert "\n".join(foreign_imports(SOURCES, FOREIGN)) == ""


@pytest.mark.parametrize("module", FAST_PATH)
def test_the_command_line_starts_with_the_standard_library_and_msgpack(module: str) -> None:
    assert module in SOURCES
    foreign = {top for name in loaded_by(module, SOURCES) if (top := third_party(name))}
    assert foreign <= FAST_PATH_FOREIGN


@pytest.mark.parametrize("module", FAST_PATH)
def test_what_the_command_line_really_loads(module: str) -> None:
    """The same, asked of Python itself."""
    code = f"import sys; before = set(sys.modules); import {module}; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True)
    loaded = [name for name in done.stdout.split() if "cython" not in name]  # Cython's run time is part of msgpack.
    assert {top for name in loaded if (top := third_party(name))} <= FAST_PATH_FOREIGN


def test_clients_use_rich_lazily_and_nothing_else() -> None:
    for name in SOURCES:
        if not within(name, "regend.cli"):
            continue
        for found in imports_of(name, SOURCES):
            top = third_party(found.target)
            assert top in ("", "msgpack", "rich", "tomlkit"), f"{name}:{found.line} imports {top}"
            assert top != "rich" or found.lazy or found.typing or name.startswith("regend.cli.rich_"), (
                f"{name}:{found.line} imports rich at start-up"
            )


def test_no_module_is_too_long() -> None:
    assert "\n".join(long_modules(python_files(), MAX_LINES)) == ""


def test_no_folder_is_crowded() -> None:
    assert "\n".join(crowded_folders(SOURCES, MAX_MODULES)) == ""


def test_the_daemon_is_small_and_flat() -> None:
    """A floor is a module that imports one of the floor below; `handlers` is a house of its own."""
    own = {name for name in SOURCES if name.rpartition(".")[0] == "regend.daemon" and name != "regend.daemon.handlers"}
    assert len(own) <= MAX_DAEMON_MODULES, sorted(own)
    chain = longest_chain(SOURCES, "regend.daemon")
    assert len(chain) <= MAX_DAEMON_FLOORS, " -> ".join(chain)


def test_names_say_what_a_module_is_for() -> None:
    assert [str(file) for file in python_files() if FORBIDDEN_NAMES & set(file.stem.lower().split("_"))] == []
