"""Scope: which pools, entries and roots a request may see, and under which root an entry is shown.

A file in nested roots counts once, as the innermost of those in scope has it; what that one does not hold (its rules
may differ, or it is not read yet) counts as an outer one has it.

It reads a snapshot and changes nothing. A set of allowed entries takes time in proportion to the number of files, so it
is made only where a filter needs it, and remembered per generation.
"""

from __future__ import annotations

import posixpath
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from threading import Lock

from regend.chunking.tokens import normalised
from regend.errors import PathError, RootError
from regend.search.legs.globs import compile_glob
from regend.search.query.filters import Filters
from regend.search.query.languages import languages_of
from regend.search.query.patterns import TextPattern
from regend.search.query.words import file_group
from regend.store.base import Entry, PoolSnapshot, RootRecord, Snapshot
from regend.types import PoolId, RootId

_Test = Callable[[Entry], bool]
_Place = tuple[frozenset[RootId], str]
"""Roots, and the folder or file inside of them (with final ``/``), or empty for all that they hold."""
_NO_FILTERS = Filters()
_EXPRESSION = re.compile(r"[\\^$|(]|\.[*+]")
"""A sign that a path in ``file:`` is a regular expression, as in zoekt."""


@dataclass(frozen=True, slots=True)
class InnerRoot:
    """A root that lies in another one.

    Attributes:
        folder: its path in the outer root, with final ``/``.
        pool, allow: its pool, as in `Scope.pools`.
    """

    root: RootId
    folder: str
    pool: PoolSnapshot
    allow: frozenset[int] | None

    def has(self, path: str) -> bool:
        """Return whether a file of the outer root counts as one of this root."""
        if not path.startswith(self.folder):
            return False
        entry = self.pool.entry_at(self.root, path[len(self.folder) :])
        return entry is not None and (self.allow is None or entry.entry_id in self.allow)


@dataclass(frozen=True, slots=True)
class Scope:
    """Where to look.

    Attributes:
        pools: each pool with the entries to which it is limited; None means all of its live entries.
        roots: roots whose trees count; None means all.
        inner: roots in scope that lie in another one in scope, by the outer one.
    """

    pools: tuple[tuple[PoolSnapshot, frozenset[int] | None], ...]
    roots: frozenset[RootId] | None
    inner: Mapping[RootId, tuple[InnerRoot, ...]] = field(default_factory=dict)
    _counts: dict[str, int] = field(init=False, repr=False, compare=False, default_factory=dict)

    @property
    def empty(self) -> bool:
        """True when no entry can match, so that no search is needed."""
        return not any(allow is None or allow for _, allow in self.pools)

    @property
    def limited(self) -> bool:
        """True when some live entries do not count."""
        return bool(self.inner) or any(allow is not None for _, allow in self.pools)

    def entry(self, entry_id: int) -> Entry | None:
        """Return the live entry of that id if it is in scope."""
        for pool, allow in self.pools:
            found = pool.entries.get(entry_id)
            if found is not None:
                counts = (allow is None or entry_id in allow) and (not self.inner or self.roots_of(found))
                return found if counts else None
        return None

    def roots_of(self, entry: Entry) -> frozenset[RootId]:
        """Return the roots in scope that an entry counts for: not those where an inner root has the same file."""
        roots = entry.roots if self.roots is None else entry.roots & self.roots
        if not self.inner:
            return roots
        return frozenset(r for r in roots if not any(inner.has(entry.path) for inner in self.inner.get(r, ())))

    def frequencies(self, terms: Sequence[str]) -> list[int]:
        """Return for each term about how many chunks of all pools in scope hold it; 0 is certain."""
        known = self._counts
        new = [term for term in dict.fromkeys(terms) if term not in known]
        for pool, _ in self.pools if new else ():
            for term, count in zip(new, pool.frequencies(new), strict=True):
                known[term] = known.get(term, 0) + count
        return [known.get(term, 0) for term in terms]

    def holds(self, entry_id: int) -> bool:
        """Return whether the entry is live and in scope."""
        return self.entry(entry_id) is not None

    def has_file(self, path: str) -> bool:
        """Look at all files in scope for one that has this path or ends with it."""
        ending = "/" + path
        return any(
            ("/" + normalised(entry.path)).endswith(ending) and (allow is None or entry.entry_id in allow)
            for pool, allow in self.pools
            for entry in pool.entries.values()
        )

    def beside(self, entry: Entry, path: str) -> bool:
        """Return whether a root that has the entry has a file at `path`, in scope or not."""
        pools = (pool for pool, _ in self.pools if pool.pool == entry.pool)
        return any(pool.entry_at(root, path) is not None for pool in pools for root in entry.roots)

    def shown_root(self, snapshot: Snapshot, entry: Entry) -> str:
        """Return the path of the root under which `entry` is shown: the first by path of those in scope."""
        roots = self.roots_of(entry)
        if len(roots) == 1:  # Nearly always, and this is asked for every candidate.
            record = snapshot.roots.get(next(iter(roots)))
            return "" if record is None else record.path
        return min((snapshot.roots[root].path for root in roots if root in snapshot.roots), default="")


class ScopeResolver:
    """Turns filters into a `Scope`; owns a small cache of allowed entries. Any thread may call it."""

    def __init__(self, capacity: int = 32) -> None:
        self._capacity = capacity
        self._cache: OrderedDict[tuple[int, PoolId, Filters], frozenset[int]] = OrderedDict()
        self._lock = Lock()
        self._nested: tuple[Mapping[RootId, RootRecord], tuple[tuple[RootRecord, RootRecord], ...]] = ({}, ())

    def resolve(self, snapshot: Snapshot, filters: Filters) -> Scope:
        """Return the scope of `filters` in `snapshot`.

        Raises:
            RootError: a root is not one that is indexed.
            FilterError: a path glob is not usable, or a language is unknown.
        """
        if filters == _NO_FILTERS:
            return self._unnested(snapshot, Scope(tuple((pool, None) for pool in snapshot.pools.values()), None))
        matches = _tests(filters)  # A bad glob is an error even where no file would be tested.
        roots, places = _places(snapshot, filters)
        pools: list[tuple[PoolSnapshot, frozenset[int] | None]] = []
        for pool in snapshot.pools.values():
            mine = frozenset(r.root for r in snapshot.roots.values() if r.pool == pool.pool)
            wanted = mine if roots is None else mine & roots
            if not wanted and mine:
                continue
            if wanted == mine and not matches and not places:
                pools.append((pool, None))
            else:
                pools.append((pool, self._allowed(snapshot.generation, pool, filters, wanted, [*matches, *places])))
        return self._unnested(snapshot, Scope(tuple(pools), roots))

    def _unnested(self, snapshot: Snapshot, scope: Scope) -> Scope:
        """Return the scope with the roots in it that lie in others."""
        known, pairs = self._nested
        if known is not snapshot.roots:  # Not by generation, which a new root does not change.
            pairs = _nested_roots(snapshot)
            self._nested = (snapshot.roots, pairs)  # Either of two threads may be the last.
        if not pairs:
            return scope
        pools = {pool.pool: (pool, allow) for pool, allow in scope.pools}
        inner: dict[RootId, tuple[InnerRoot, ...]] = {}
        for outer, record in pairs:
            if record.pool in pools and (scope.roots is None or {outer.root, record.root} <= scope.roots):
                folder = record.path[len(outer.path.rstrip("/")) + 1 :] + "/"
                found = InnerRoot(record.root, folder, *pools[record.pool])
                inner[outer.root] = (*inner.get(outer.root, ()), found)
        return replace(scope, inner=inner)

    def _allowed(
        self, generation: int, pool: PoolSnapshot, filters: Filters, wanted: frozenset[RootId], tests: list[_Test]
    ) -> frozenset[int]:
        key = (generation, pool.pool, filters)
        with self._lock:
            known = self._cache.get(key)
            if known is not None:
                self._cache.move_to_end(key)
                return known
        allowed = frozenset(
            entry_id
            for entry_id, entry in pool.entries.items()
            if not entry.roots.isdisjoint(wanted) and all(test(entry) for test in tests)
        )
        with self._lock:
            self._cache[key] = allowed
            while len(self._cache) > self._capacity:
                self._cache.popitem(last=False)
        return allowed


def _nested_roots(snapshot: Snapshot) -> tuple[tuple[RootRecord, RootRecord], ...]:
    """Return each pair of roots of which the second lies in the first."""
    by_path = {record.path: record for record in snapshot.roots.values()}
    return tuple(
        (by_path[str(above)], record)
        for record in by_path.values()
        for above in PurePosixPath(record.path).parents
        if str(above) in by_path
    )


def _tests(filters: Filters) -> list[_Test]:
    """Return what languages and paths ask of an entry."""
    tests: list[_Test] = []
    for key, make in (("lang", _in_languages), ("path", _on_paths), ("file", _in_files), ("in", _in_groups)):
        tests += map(make, filters.alternatives(key))
        if unwanted := filters.unwanted(key):
            tests.append(_not(make(unwanted)))
    return tests


def _in_languages(names: tuple[str, ...]) -> _Test:
    languages = frozenset[str]().union(*map(languages_of, names))
    return lambda entry: entry.language in languages


def _on_paths(globs: tuple[str, ...]) -> _Test:
    matchers = [compile_glob(normalised(glob)) for glob in globs]
    return lambda entry: any(matches(normalised(entry.path)) for matches in matchers)


def _in_files(values: tuple[str, ...]) -> _Test:
    """Return what ``file:`` asks for: a glob, a part of the path, or what can only be a regular expression."""
    globs = [value for value in values if not _EXPRESSION.search(value)]
    parts = [normalised(value).casefold() for value in globs if not set(value) & set("*?[{")]
    matchers = [TextPattern(value).matcher() for value in values if _EXPRESSION.search(value)]
    on_paths = _on_paths(tuple(globs))

    def test(entry: Entry) -> bool:
        path = normalised(entry.path)
        return (
            on_paths(entry)
            or any(part in path.casefold() for part in parts)
            or any(matcher.search(path) is not None for matcher in matchers)
        )

    return test


def _in_groups(groups: tuple[str, ...]) -> _Test:
    return lambda entry: file_group(entry.path, entry.language, entry.marks) in groups


def _not(test: _Test) -> _Test:
    return lambda entry: not test(entry)


def _places(snapshot: Snapshot, filters: Filters) -> tuple[frozenset[RootId] | None, list[_Test]]:
    """Return the roots that count (None for all) and what folders inside of roots ask of an entry."""
    groups = [[p for value in values for p in _places_of(snapshot, value)] for values in filters.alternatives("root")]
    without = [place for value in filters.unwanted("root") for place in _places_of(snapshot, value)]
    if not groups and not without:
        return None, []
    roots = frozenset(snapshot.roots)
    tests: list[_Test] = []
    for group in groups:
        roots &= frozenset[RootId]().union(*(found for found, _ in group))
        if any(inside for _, inside in group):
            tests.append(_in_places(group))
    roots -= frozenset[RootId]().union(*(found for found, inside in without if not inside))
    if folders := [(found, inside) for found, inside in without if inside]:
        tests.append(_not(_in_places(folders)))
    return roots, tests


def _in_places(places: list[_Place]) -> _Test:
    """Return whether an entry lies in one of the places."""
    return lambda entry: any(
        not entry.roots.isdisjoint(roots) and f"{entry.path}/".startswith(inside) for roots, inside in places
    )


def _places_of(snapshot: Snapshot, wanted: str) -> list[_Place]:
    """Return what `wanted` means.

    It may be a root, a folder that holds roots, a folder or file inside one root (which may hold roots, too), or the
    last folder's name of one root.
    """
    path = posixpath.normpath(wanted)
    records = snapshot.roots.values()
    whole = [r for r in records if r.path == path]
    if whole:
        return [(frozenset(r.root for r in whole), "")]
    below = [r for r in records if path.startswith("/") and r.path.startswith(path.rstrip("/") + "/")]
    found: list[_Place] = [(frozenset(r.root for r in below), "")] if below else []
    around = [r for r in records if path.startswith(r.path.rstrip("/") + "/")]
    if around:
        nearest = max(around, key=lambda r: len(r.path))
        found.append((frozenset({nearest.root}), path[len(nearest.path.rstrip("/")) + 1 :] + "/"))
    if found:
        return found
    named = [r for r in records if posixpath.basename(r.path) == path]
    if len(named) == 1:
        return [(frozenset({named[0].root}), "")]
    if named:
        raise RootError(f"Root {wanted!r} could be any of {_listed(named)}; give the full path.")
    raise RootError(f"Root {wanted!r} is not indexed; {_known(snapshot)}.")


def is_root(snapshot: Snapshot, value: str) -> bool:
    """Tell whether a value of ``root:`` means some indexed root, or several."""
    path = posixpath.normpath(value)
    if path.startswith("/"):
        return any(
            (path + "/").startswith(r.path.rstrip("/") + "/") or r.path.startswith(path)
            for r in snapshot.roots.values()
        )
    return any(posixpath.basename(record.path) == path for record in snapshot.roots.values())


def find_file(snapshot: Snapshot, root: str, path: str) -> tuple[RootRecord, Entry]:
    """Return the root and the entry of one file.

    Args:
        root: as in `Filters`; empty when `path` is absolute or only one root has such a file.
        path: relative to the root, or absolute.

    Raises:
        RootError: the root is not indexed.
        PathError: no root, or more than one, has such an indexed file.
    """
    clean = posixpath.normpath(path) if path else ""
    if not clean or clean == ".":
        raise PathError(f"The path {path!r} names no file; give a file inside an indexed root.")
    places = _places_of(snapshot, root) if root else [(frozenset(snapshot.roots), "")]
    found: list[tuple[RootRecord, Entry]] = []
    for record in snapshot.roots.values():
        inside = next((inside for roots, inside in places if record.root in roots), None)
        if inside is None:
            continue
        relative = inside + clean
        if clean.startswith("/"):
            base = record.path.rstrip("/") + "/"
            if not clean.startswith(base):
                continue
            relative = clean[len(base) :]
        entry = snapshot.pools[record.pool].entry_at(record.root, relative)
        if entry is not None:
            found.append((record, entry))
    if not found:
        raise PathError(f"File {path!r} is not indexed; `regenctl why` says for which reason.")
    if clean.startswith("/"):
        return max(found, key=lambda pair: len(pair[0].path))
    if len(found) > 1:
        raise PathError(f"File {path!r} is in {_listed([record for record, _ in found])}; name the root.")
    return found[0]


def _known(snapshot: Snapshot) -> str:
    if not snapshot.roots:
        return "no root is; add one with `regenctl add DIR`"
    return f"indexed are {_listed(list(snapshot.roots.values()))}; add it with `regenctl add`"


def _listed(records: list[RootRecord]) -> str:
    paths = sorted(record.path for record in records)
    return ", ".join(paths[:5]) + (f" and {len(paths) - 5} more" if len(paths) > 5 else "")


def has_path(entry: Entry, path: str) -> bool:
    """Return whether the end of the entry's path is `path`, which may be empty."""
    return not path or ("/" + normalised(entry.path)).endswith("/" + path)
