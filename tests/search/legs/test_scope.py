"""Filters limit an answer to roots, folders, globs and languages, and are worked out once per generation."""

from typing import Any

import pytest

from regend.errors import PathError, RootError
from regend.search.errors import FilterError
from regend.search.legs.scope import ScopeResolver, find_file
from regend.search.query.filters import Filters, Inline
from regend.store.base import Entry
from tests.search.memory import MemoryStore


@pytest.fixture
def store() -> MemoryStore:
    """Two worktrees that share a pool, and a plain folder."""
    store = MemoryStore()
    main, tree, notes = store.add_root("/w/main", 1), store.add_root("/w/tree", 1), store.add_root("/n/notes", 2)
    for root in (main, tree):
        store.put(root, "src/a.py", "def a():\n    pass\n")
    store.put(tree, "src/only.py", "def only():\n    pass\n")
    store.put(main, "lib/deep/b.go", "func b() {}\n", "go")
    store.put(notes, "todo.md", "Buy milk.\n", "markdown")
    return store


def seen(store: MemoryStore, **filters: Any) -> set[str]:
    scope = ScopeResolver().resolve(store, Filters(**filters))
    entries: list[Entry] = [e for pool in store.pools.values() for e in pool.entries.values()]
    return {e.path for e in entries if scope.entry(e.entry_id) is not None}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, {"src/a.py", "src/only.py", "lib/deep/b.go", "todo.md"}),
        ({"root": "/w/main"}, {"src/a.py", "lib/deep/b.go"}),
        ({"root": "/w/main/"}, {"src/a.py", "lib/deep/b.go"}),
        ({"root": "tree"}, {"src/a.py", "src/only.py"}),
        ({"root": "/w"}, {"src/a.py", "src/only.py", "lib/deep/b.go"}),
        ({"root": "/"}, {"src/a.py", "src/only.py", "lib/deep/b.go", "todo.md"}),
        ({"root": "/w/main/lib"}, {"lib/deep/b.go"}),
        ({"root": "/w/main/li"}, set()),
        ({"path": "src/**"}, {"src/a.py", "src/only.py"}),
        ({"lang": "golang"}, {"lib/deep/b.go"}),
        ({"lang": "Python", "root": "/w/tree", "path": "**/only.*"}, {"src/only.py"}),
        ({"root": "notes", "lang": "go"}, set()),
        ({"under": ("/w/main/src",)}, {"src/a.py"}),
        ({"under": ("/w/tree/src/only.py", "/n/notes")}, {"src/only.py", "todo.md"}),
        ({"under": ("/w/tree/src/only",)}, set()),
        ({"under": ("/w/main",), "root": "/w/tree"}, set()),
        ({"under": ("/w/main",), "inline": (Inline("root", "tree", False),)}, set()),
        ({"globs": ("*.go", "*.md")}, {"lib/deep/b.go", "todo.md"}),
        ({"globs": ("src/**", "!only.py")}, {"src/a.py"}),
        ({"globs": ("!src",), "path": "*.go"}, {"lib/deep/b.go"}),
        ({"globs": ("*.py",), "inline": (Inline("path", "only.*", False),)}, {"src/only.py"}),
    ],
)
def test_filters(store: MemoryStore, filters: dict[str, Any], expected: set[str]) -> None:
    assert seen(store, **filters) == expected


def test_a_root_that_is_a_whole_pool_needs_no_set(store: MemoryStore) -> None:
    scope = ScopeResolver().resolve(store, Filters(root="/n/notes"))
    assert [(pool.pool, allow) for pool, allow in scope.pools] == [(2, None)]


def test_sets_are_remembered_per_generation_and_bounded(store: MemoryStore) -> None:
    resolver = ScopeResolver(capacity=2)
    first = resolver.resolve(store, Filters(path="src/**")).pools[0][1]
    assert resolver.resolve(store, Filters(path="src/**")).pools[0][1] is first
    store.put(next(iter(store.roots)), "src/new.py", "x = 1\n")
    assert resolver.resolve(store, Filters(path="src/**")).pools[0][1] != first
    for i in range(10):
        resolver.resolve(store, Filters(path=f"{i}/**"))
    assert len(resolver._cache) == 2


def test_unknown_and_ambiguous_roots(store: MemoryStore) -> None:
    with pytest.raises(RootError, match=r"/n/notes, /w/main, /w/tree"):
        seen(store, root="/elsewhere")
    store.add_root("/x/main", 3)
    with pytest.raises(RootError, match="full path"):
        seen(store, root="main")


def test_empty_scope(store: MemoryStore) -> None:
    assert ScopeResolver().resolve(store, Filters(lang="rust")).empty
    assert not ScopeResolver().resolve(store, Filters()).empty


def test_find_file(store: MemoryStore) -> None:
    assert find_file(store, "", "/w/tree/src/only.py")[0].path == "/w/tree"
    assert find_file(store, "", "todo.md")[1].path == "todo.md"
    assert find_file(store, "/w/main", "./lib/deep/b.go")[1].path == "lib/deep/b.go"
    assert find_file(store, "/w/main/lib", "deep/b.go")[1].path == "lib/deep/b.go"


@pytest.mark.parametrize(
    ("root", "path", "message"),
    [
        ("", "src/a.py", "name the root"),
        ("", "nothing.py", "not indexed"),
        ("", "/w/main/nothing.py", "not indexed"),
        ("", "", "names no file"),
        ("/n/notes", "src/a.py", "not indexed"),
    ],
)
def test_find_file_says_what_is_wrong(store: MemoryStore, root: str, path: str, message: str) -> None:
    with pytest.raises(PathError, match=message):
        find_file(store, root, path)


@pytest.mark.parametrize("lang", ["klingon", "go,klingon", "klingon,", ",", " ", "go;rust"])
def test_unknown_languages_are_refused(store: MemoryStore, lang: str) -> None:
    named = lang.strip(",").removeprefix("go,") or lang
    with pytest.raises(FilterError, match=f"No language is called '{named}'.*haskell"):
        ScopeResolver().resolve(store, Filters(lang=lang))


def test_a_folder_that_holds_a_root_is_that_root_and_the_rest_of_the_folder() -> None:
    store = MemoryStore()
    outer, inner = store.add_root("/w", 1), store.add_root("/w/src/vendor", 2)
    store.put(outer, "src/a.py", "def a():\n    pass\n")
    store.put(outer, "b.py", "def b():\n    pass\n")
    store.put(inner, "c.py", "def c():\n    pass\n")
    assert seen(store, under=("/w/src",)) == {"src/a.py", "c.py"}
    assert seen(store, root="/w/src") == {"src/a.py", "c.py"}
    assert seen(store, inline=(Inline("root", "/w/src", True),)) == {"b.py"}
