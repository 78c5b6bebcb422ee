"""Decide what an observation means: the difference between the disk as seen and the tree as planned.

The planner keeps, per root, the tree that the store holds or will hold once the operations already accepted are
committed. It compares files by signature and blob, knows which blobs the pool holds (so a rename, a branch switch back
or a second worktree needs no chunking), and decides which observation of a path is the newer one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import assert_never

from regend.core.commands import DeleteFile, FileOp, PutFile, SkipFile, TouchFile
from regend.core.events import FileState, Observation
from regend.types import UNSURE, BlobId, PoolId, RootId, StatSig


@dataclass(frozen=True, slots=True)
class Read:
    """The file's content is new to the pool: read and chunk it.

    Attributes:
        again: a worker failed at this path when it had this content, or seemed to have it.
    """

    path: str
    blob: BlobId
    sig: StatSig
    again: bool = False


@dataclass(slots=True)
class _Tree:
    pool: PoolId
    files: dict[str, FileState]
    reasons: dict[str, str] = field(default_factory=dict)
    below: dict[str, int] = field(default_factory=dict)
    accepted: dict[str, int] = field(default_factory=dict)
    concluded: dict[str, int] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)


def ancestors(path: str) -> Iterator[str]:
    """Yield `a/b`, `a` and the empty string (the root itself) for `a/b/c`."""
    while path:
        path = path.rpartition("/")[0]
        yield path


def covers(scope: str, path: str) -> bool:
    """Return whether `path` equals `scope` or lies below it."""
    return scope == "" or path == scope or path.startswith(scope + "/")


class Planner:
    """Owns the planned trees and the set of blobs each pool holds."""

    def __init__(self) -> None:
        self._trees: dict[RootId, _Tree] = {}
        self._blobs: dict[PoolId, set[BlobId]] = {}

    def add_root(self, root: RootId, pool: PoolId, files: Mapping[str, FileState], blobs: Iterable[BlobId]) -> None:
        """Begin with the tree and the blobs that the store holds."""
        tree = self._trees[root] = _Tree(pool, dict(files))
        for path in tree.files:
            self._count(tree, path, 1)
        self._blobs.setdefault(pool, set()).update(blobs)

    def remove_root(self, root: RootId) -> None:
        tree = self._trees.pop(root)
        if all(other.pool != tree.pool for other in self._trees.values()):
            del self._blobs[tree.pool]

    def known(self, root: RootId, scopes: Iterable[str]) -> dict[str, StatSig]:
        """Return the signatures within the scopes that a scan may trust.

        A file that was skipped unread is left out, because the limit that excluded it may have changed.
        """
        files = self._trees[root].files
        scopes = tuple(scopes)
        if "" in scopes:
            return {path: state.sig for path, state in files.items() if state.blob is not None}
        found = (path for scope in scopes for path in self._under(root, scope))
        return {path: files[path].sig for path in found if files[path].blob is not None}

    def planned_sig(self, root: RootId, path: str) -> StatSig | None:
        """Return the signature in the planned tree; None where the tree has no such path."""
        state = self._trees[root].files.get(path)
        return None if state is None else state.sig

    def names_of(self, root: RootId, linked: Mapping[int, frozenset[tuple[RootId, str]]]) -> set[str]:
        """Return the paths of these inodes that are not among the known names, and those whose inode is not sure."""
        linked = {**linked, UNSURE.inode: frozenset()}
        return {
            path
            for path, state in self._trees[root].files.items()
            if state.sig.inode in linked and state.blob is not None and (root, path) not in linked[state.sig.inode]
        }

    def is_doubted(self, root: RootId, path: str) -> bool:
        """Return whether `pool_lost` doubted this path, with nothing planned since."""
        state = self._trees[root].files.get(path)
        return state is not None and state.blob is None and state.sig == UNSURE

    # -- which observation is newer --------------------------------------------------------------------------------

    def is_stale(self, root: RootId, path: str, version: int) -> bool:
        """Return whether a newer observation of this path was accepted, or a newer scan found no such path.

        Versions are scan ids. A newer scan that saw the path makes no older result stale: of a file that is written all
        the time, the older result is progress, and the newer one follows.
        """
        tree = self._trees[root]
        if self.is_accepted_since(root, path, version):
            return True
        if not tree.concluded:
            return False
        known = max(version, tree.seen.get(path, -1))
        return any(known < tree.concluded.get(p, -1) for p in (path, *ancestors(path)))

    def is_accepted_since(self, root: RootId, path: str, version: int) -> bool:
        """Return whether a decision about this path was accepted from a scan that began after this one."""
        return version < self._trees[root].accepted.get(path, -1)

    def is_doomed(self, root: RootId, path: str) -> bool:
        """Return whether the planned tree has the path although the newest observation says that it is gone."""
        tree = self._trees[root]
        return path in tree.gone and path in tree.files

    def accept(self, root: RootId, path: str, version: int, gone: bool = False) -> None:
        """Record the version; older observations of this path become stale."""
        tree = self._trees[root]
        tree.accepted[path] = version
        if gone:
            tree.gone.add(path)
        else:
            tree.gone.discard(path)

    def saw(self, root: RootId, path: str, version: int) -> None:
        """Record that a scan saw the path, whatever comes of it."""
        seen = self._trees[root].seen
        seen[path] = max(version, seen.get(path, -1))

    def conclude(self, root: RootId, scopes: Iterable[str], version: int) -> None:
        """Record that a scan saw everything within the scopes; older observations there become stale."""
        concluded = self._trees[root].concluded
        for scope in scopes:
            concluded[scope] = max(version, concluded.get(scope, -1))

    def forget_versions(self, root: RootId) -> None:
        """Drop the versions of a root with nothing in flight: no stale answer can arrive."""
        tree = self._trees[root]
        tree.accepted.clear()
        tree.concluded.clear()
        tree.seen.clear()
        tree.gone.clear()

    # -- the difference --------------------------------------------------------------------------------------------

    def diff(self, root: RootId, seen: Observation, retry_skipped: bool = False) -> FileOp | Read | None:
        """Return what to do about one file that exists; None when the tree holds it as it is.

        Args:
            retry_skipped: read again what was skipped although its content is the same (the user asked for it).

        A file that is still skipped for the planned reason is left as it is, whatever its signature: a log that is not
        indexed would otherwise lead to a commit with each line. One in quarantine is read again when it was written
        again, even with the same content: its worker may have failed at another one that stood there for a moment.
        """
        tree = self._trees[root]
        state = tree.files.get(seen.path)
        if seen.unchanged:
            return None
        if seen.blob is None:
            known = tree.reasons.get(seen.path) == seen.skip_reason
            if state is not None and state.blob is None and (known or state.sig == seen.sig):
                return None
            return SkipFile(root, seen.path, seen.sig, None, seen.skip_reason)
        retry = retry_skipped and state is not None and state.skipped
        if state is not None and state.blob == seen.blob and not retry:
            settled = seen.path in tree.reasons and state.sig != UNSURE
            if settled or state.sig == seen.sig:
                return None
            if not state.skipped or seen.path in tree.reasons:
                return TouchFile(root, seen.path, seen.sig)
        if seen.blob in self._blobs[tree.pool] and not retry:
            return PutFile(root, seen.path, seen.sig, seen.blob, None)
        again = state is not None and state.blob == seen.blob and not retry
        return Read(seen.path, seen.blob, seen.sig, again)

    def missing(self, root: RootId, scopes: Iterable[str], seen: set[str], unsure: Iterable[str]) -> list[str]:
        """Return the sorted planned paths within the scopes that a scan did not see, except below `unsure`."""
        kept = tuple(unsure)
        gone = {path for scope in scopes for path in self._under(root, scope) if path not in seen}
        return sorted(path for path in gone if not any(covers(place, path) for place in kept))

    def is_skipped_for(self, root: RootId, path: str, reason: str) -> bool:
        """Return whether the path is planned as skipped for this reason; never for a reason of before the start."""
        return self._trees[root].reasons.get(path) == reason

    def plan(self, op: FileOp, skip_reason: str = "") -> None:
        """Apply an accepted operation to the planned tree.

        Args:
            skip_reason: why a worker that read the file made no chunks of it.
        """
        tree = self._trees[op.root]
        state = tree.files.get(op.path)
        match op:
            case PutFile():
                self._set(tree, op.path, FileState(op.sig, op.blob, bool(skip_reason)), skip_reason)
            case SkipFile():
                # A quarantine belongs to one content.
                self._set(tree, op.path, FileState(op.sig, op.blob, True), op.reason if op.blob is None else "")
            case TouchFile():
                assert state is not None, "only a planned file can be touched"
                tree.files[op.path] = FileState(op.sig, state.blob, state.skipped)
            case DeleteFile():
                del tree.files[op.path]
                tree.reasons.pop(op.path, None)
                self._count(tree, op.path, -1)
            case _ as unreachable:
                assert_never(unreachable)

    def pool_holds(self, root: RootId, blob: BlobId) -> None:
        """Record that the pool holds the blob's chunks."""
        self._blobs[self._trees[root].pool].add(blob)

    def pool_lost(self, root: RootId, path: str) -> None:
        """Doubt the path and its blob, because the store does not hold what was planned."""
        tree = self._trees[root]
        state = tree.files.get(path)
        if state is not None:
            if state.blob is not None:
                self._blobs[tree.pool].discard(state.blob)
            self._set(tree, path, FileState(UNSURE, None, True))

    def check_invariants(self) -> None:
        for tree in self._trees.values():
            counts: dict[str, int] = {}
            for path in tree.files:
                for above in ancestors(path):
                    counts[above] = counts.get(above, 0) + 1
            assert counts == tree.below
            assert all(tree.files[path].skipped for path in tree.reasons)
            assert tree.pool in self._blobs

    def _under(self, root: RootId, scope: str) -> list[str]:
        """Return planned paths equal to the scope or below it; walk the tree only if something lies below."""
        tree = self._trees[root]
        found = [scope] if scope in tree.files else []
        if scope == "":
            return list(tree.files)
        if scope in tree.below:
            start = scope + "/"
            found.extend(path for path in tree.files if path.startswith(start))
        return found

    def _set(self, tree: _Tree, path: str, state: FileState, reason: str = "") -> None:
        if path not in tree.files:
            self._count(tree, path, 1)
        tree.files[path] = state
        if reason:
            tree.reasons[path] = reason
        else:
            tree.reasons.pop(path, None)

    @staticmethod
    def _count(tree: _Tree, path: str, by: int) -> None:
        for above in ancestors(path):
            count = tree.below.get(above, 0) + by
            if count:
                tree.below[above] = count
            else:
                del tree.below[above]
