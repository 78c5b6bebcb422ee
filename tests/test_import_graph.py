"""The checks of the architecture themselves: each finds what it is for, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.import_graph import (
    crowded_folders,
    cycle,
    forbidden_edges,
    foreign_imports,
    impure,
    loaded_by,
    long_modules,
    longest_chain,
    third_party,
)
from tests.test_architecture import BUILTINS, IO, PURE


def test_edges_by_the_longest_row() -> None:
    edges = {"regend": (), "regend.a": ("regend.a.*", "regend.b.seam"), "regend.a.base": (), "regend.b": ()}
    sources = {
        "regend": "",
        "regend.a": "",
        "regend.a.base": "",
        "regend.a.one": "from regend.a.base import X\nfrom regend.b import seam\nimport os, numpy",
        "regend.b": "",
        "regend.b.seam": "",
        "regend.b.deep": "",
    }
    assert list(forbidden_edges(sources, edges)) == []
    rows = [
        ("regend.a.one", "import regend.b.deep", "regend.a.one:1 imports regend.b.deep, which `regend.a` may not"),
        ("regend.a.one", "from regend.b import deep", "regend.a.one:1 imports regend.b.deep"),
        ("regend.a.one", "from regend import b", "regend.a.one:1 imports regend.b"),
        ("regend.a.one", "from ..b import deep", "regend.a.one:1 imports regend.b.deep"),
        ("regend.a.one", "def f():\n    import regend.b", "regend.a.one:2 imports regend.b"),
        ("regend.a.one", "if TYPE_CHECKING:\n    from regend.b.deep import X", "regend.a.one:2 imports regend.b.deep"),
        ("regend.a.one", "import_module('regend.b')", "regend.a.one:1 imports regend.b"),
        ("regend.a.base", "from regend.a import one", "regend.a.base:1 imports regend.a.one, which `regend.a.base`"),
        ("regend.a", "from .base import X\nfrom ..b import Y", "regend.a:2 imports regend.b"),
        ("regend.c", "", "regend.c has no row"),
    ]
    for name, source, expected in rows:
        (found,) = forbidden_edges({**sources, name: source}, edges)
        assert found.startswith(expected), source


def test_cycles() -> None:
    sources = {"regend.a": "import regend.b", "regend.b": "def f():\n    from regend.c import X", "regend.c": ""}
    assert cycle(sources) == []
    sources["regend.c"] = "if typing.TYPE_CHECKING:\n    from regend import a"
    assert cycle(sources) == ["regend.a", "regend.b", "regend.c", "regend.a"]
    assert cycle({"regend.a": "import regend.a"}) == ["regend.a", "regend.a"]


@pytest.mark.parametrize("module", sorted(("asyncio", "threading", "time", "os", "socket", "random", "logging")))
def test_io_in_the_core(module: str) -> None:
    for source in (f"import {module}", f"from {module} import x", f"def f():\n    import {module}.y"):
        assert len(list(impure({"regend.core.x": source}, PURE, IO, BUILTINS))) == 1, source
        assert list(impure({"regend.daemon.x": source}, PURE, IO, BUILTINS)) == []


@pytest.mark.parametrize("module", ["watchdog", "aiohttp", "hnswlib", "msgpack", "numpy", "tree_sitter", "structlog"])
def test_foreign_packages_in_the_core(module: str) -> None:
    assert len(list(impure({"regend.core.x": f"import {module}"}, PURE, IO, BUILTINS))) == 1


def test_builtins_that_do_io() -> None:
    assert list(impure({"regend.core.x": "def f(): return open('/x')"}, PURE, IO, BUILTINS)) == [
        "regend.core.x:1 calls open(), but it must be pure"
    ]


def test_what_is_pure_in_chunking() -> None:
    assert list(impure({"regend.chunking.x": "import tree_sitter, re"}, PURE, IO, BUILTINS)) == []
    assert len(list(impure({"regend.chunking.x": "import hnswlib, socket"}, PURE, IO, BUILTINS))) == 2
    assert list(impure({"regend.chunking.grammars": "import tree_sitter_language_pack"}, PURE, IO, BUILTINS)) == []
    assert len(list(impure({"regend.chunking.x": "import time, tree_sitter_language_pack"}, PURE, IO, BUILTINS))) == 2
    assert list(impure({"regend.chunking.structure": "import time"}, PURE, IO, BUILTINS)) == []
    assert len(list(impure({"regend.chunking.grammars": "import socket"}, PURE, IO, BUILTINS))) == 1


def test_what_is_loaded_at_start() -> None:
    sources = {
        "regend": "",
        "regend.cli": "import aiohttp",
        "regend.cli.main": "from regend.paths import X\nimport json\ndef f():\n    import rich\n    import regend.big",
        "regend.paths": "if TYPE_CHECKING:\n    import hnswlib\nelse:\n    import msgpack",
        "regend.big": "import numpy",
    }
    loaded = loaded_by("regend.cli.main", sources)
    assert {top for name in loaded if (top := third_party(name))} == {"aiohttp", "msgpack"}
    assert "regend.big" not in loaded


def test_owners_of_foreign_packages() -> None:
    owners = {"numpy": ("regend.store",)}
    assert list(foreign_imports({"regend.store.x": "import numpy.typing, os"}, owners)) == []
    assert list(foreign_imports({"regend.search.x": "import numpy"}, owners)) == [
        "regend.search.x:1 imports numpy, which is for regend.store"
    ]
    assert list(foreign_imports({"regend.store.x": "import requests"}, owners)) == [
        "regend.store.x:1 imports requests, which no row allows"
    ]


def test_chains() -> None:
    sources = {
        "p": "",
        "p.top": "import p.inner.door\nimport p.low",
        "p.inner": "",
        "p.inner.door": "from p.inner import room",
        "p.inner.room": "import p.middle",
        "p.middle": "def f():\n    from p import low",
        "p.low": "import q.other",
        "q.other": "",
    }
    assert longest_chain(sources, "p") == ["p.top", "p.middle", "p.low"]
    assert longest_chain(sources, "p.inner") == ["p.inner.door", "p.inner.room"]
    assert longest_chain(sources, "elsewhere") == []


def test_crowds() -> None:
    sources = dict.fromkeys(("p", "p.a", "p.b", "p.c", "p.d", "p.d.x", "p.d.y"), "")
    assert list(crowded_folders(sources, 3)) == []
    (found,) = crowded_folders(sources, 2)
    assert found.startswith("p has 3 modules")


def test_length(tmp_path: Path) -> None:
    (tmp_path / "good.py").write_text("x\n" * 400)
    (tmp_path / "bad.py").write_text("x\n" * 401)
    (found,) = long_modules(sorted(tmp_path.iterdir()), 400)
    assert "bad.py has 401 lines" in found
