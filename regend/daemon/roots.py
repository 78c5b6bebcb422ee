"""The served roots, and what the daemon knows of each: where it is, its rules, its limits.

Owned by the event loop. `prepare` and `recall` read the disk, so they are called in a thread.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from regend.config import Config, LimitConfig
from regend.disk.calls import RootCalls
from regend.disk.ignore.builtin import secret_directory, version_control_directory
from regend.disk.ignore.rules import IgnoreRules
from regend.disk.repository import RootIdentity, identify, load_repository_config, marker_of
from regend.errors import ConfigError, PathError, RegendError, RootError
from regend.paths import known_home
from regend.store.base import RootRecord
from regend.types import RootId

_T = TypeVar("_T")
log = structlog.get_logger(__name__)


_MAX_PATH_BYTES = 4_095
_MAX_NAME_BYTES = 255


def check_path(path: str) -> None:
    """Refuse a path that no system call accepts.

    Raises:
        PathError: the path holds a NUL character, or is too long.
    """
    if "\0" in path:
        raise PathError("The path holds a NUL character, which no file name can; correct it.")
    encoded = path.encode("utf-8", "surrogatepass")
    if len(encoded) > _MAX_PATH_BYTES or any(len(part) > _MAX_NAME_BYTES for part in encoded.split(b"/")):
        raise PathError(
            f"A path of {len(encoded)} bytes is too long; use {_MAX_PATH_BYTES} at most, {_MAX_NAME_BYTES} a part."
        )


def _real_path(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):
        return path


@dataclass(frozen=True, slots=True)
class RootCandidate:
    """A directory that can be served.

    Attributes:
        is_seen: its file system answered; else it is served as lost until it does.
    """

    identity: RootIdentity
    rules: IgnoreRules
    limits: LimitConfig
    is_seen: bool = True


@dataclass(slots=True)
class ServedRoot:
    """One root; changed by `Roots` only.

    Attributes:
        limits, problem: from its `.regend.toml`; the problem says why the file is not in force, or is empty. Watch
            threads and scans replace both.
        reading: held while the file is read, so that an older state of it does not replace a newer one.
    """

    record: RootRecord
    identity: RootIdentity
    rules: IgnoreRules
    limits: LimitConfig
    problem: str = ""
    reading: threading.Lock = field(default_factory=threading.Lock)

    @property
    def path(self) -> str:
        return str(self.identity.path)


class Roots:
    """Owns the served roots.

    Args:
        calls: runs the file calls.
        mount_of: names the file system that holds a path, without a look at it.
    """

    def __init__(
        self, config: Config, state_dir: Path, calls: RootCalls, mount_of: Callable[[Path], str] = lambda _: ""
    ) -> None:
        self._config = config
        self._calls = calls
        self._mount_of = mount_of
        # Roots are real paths, and the state directory may be named by a link.
        self._own_dirs = tuple(dict.fromkeys((state_dir, state_dir.resolve())))
        self._roots: dict[RootId, ServedRoot] = {}

    def prepare(self, path: Path, force: bool) -> RootCandidate:
        """Check a directory that the user wants to add.

        Raises:
            PathError: it is no directory, or cannot be read.
            RootError: it is refused: it holds far more than source code, or must never be indexed.
            ConfigError: its `.regend.toml` has a key that a repository may not set.
        """
        identity = identify(path)
        self._check_place(identity.path, force)
        return self._candidate(identity, load_repository_config(identity.path).apply(self._config.limits))

    def recall(self, record: RootRecord) -> RootCandidate:
        """Check the directory of a root from the store.

        If the directory is gone, or replaced by an empty one, the root keeps its old marker: the watcher then reports
        it lost, and found when it is back. Where links have come into its path, the candidate is where they lead.
        """
        path = Path(record.path)
        try:
            identity = identify(path)
            if identity.path != path:
                self._check_place(identity.path, force=False)
            if identity.marker != record.marker and not any(path.iterdir()):
                identity = replace(identity, marker=record.marker)
            limits = load_repository_config(identity.path).apply(self._config.limits)
        except (PathError, RootError, OSError) as error:
            log.warning("root_gone", root=record.path, reason=str(error))
            identity = RootIdentity(path, record.pool_key, record.marker, None)
            limits = self._config.limits
        except ConfigError as error:
            log.warning("repository_config_refused", root=record.path, reason=str(error))
            limits = self._config.limits
        return self._candidate(identity, limits)

    def add(self, record: RootRecord, candidate: RootCandidate) -> ServedRoot:
        served = ServedRoot(record, candidate.identity, candidate.rules, candidate.limits)
        self._roots[record.root] = served
        return served

    def remove(self, root: RootId) -> None:
        self._roots.pop(root, None)

    def get(self, root: RootId) -> ServedRoot | None:
        return self._roots.get(root)

    def all(self) -> list[ServedRoot]:
        """Return all roots, sorted by path."""
        return sorted(self._roots.values(), key=lambda served: served.path)

    def at(self, path: Path) -> ServedRoot | None:
        """Return the root at exactly this real path."""
        return next((served for served in self._roots.values() if served.identity.path == path), None)

    async def by_path(self, path: str) -> ServedRoot:
        """Return the root at exactly this path, which may lead over links.

        Raises:
            RootError: no such root is served.
            PathError: no file can have such a name.
        """
        check_path(path)
        named = Path(path)
        served = self.at(named)
        real = named
        if served is None and named.is_absolute():
            real = await self.real_path(named)
            served = self.at(real)
        if served is None:
            leads = "" if real == named else f" leads to {real} now, which"
            for outer, _ in self.all_containing(real):
                raise RootError(f"{path}{leads} is not a root but lies in one; name {outer.path}.")
            known = ", ".join(served.path for served in self.all()) or "none"
            raise RootError(f"{path}{leads} is not a root (known: {known}); add it with `regenctl add {path}`.")
        return served

    async def real_path(self, path: Path) -> Path:
        """Resolve links; return the path itself where they form a circle.

        Raises:
            RootError: its file system does not answer.
        """
        for served, _ in self.all_containing(path):
            return await self.ask(served, partial(_real_path, path))
        place = self._mount_of(path) or "/"
        return await self._calls.ask(place, partial(_real_path, path), place)

    async def ask(self, served: ServedRoot, call: Callable[[], _T]) -> _T:
        """Return what `call` returns, which looks at the root's files.

        Raises:
            RootError: the root's file system does not answer.
        """
        return await self._calls.ask(served.record.root, call, served.path)

    def all_containing(self, path: Path) -> list[tuple[ServedRoot, str]]:
        """Return every root that holds an absolute path, innermost first, and the path relative to it."""
        found = [s for s in self._roots.values() if path == s.identity.path or s.identity.path in path.parents]
        found.sort(key=lambda served: -len(served.path))
        places = [(served, path.relative_to(served.identity.path).as_posix()) for served in found]
        return [(served, "" if relative == "." else relative) for served, relative in places]

    def found(self, root: RootId, identity: RootIdentity | None) -> str | None:
        """Note the identity of a lost root that is back.

        Returns:
            Its marker, if the root is another directory than before.
        """
        served = self._roots.get(root)
        if served is None or identity is None:
            return None
        before, served.identity = served.identity, identity
        return identity.marker if identity.marker != before.marker else None

    def reload_limits(self, root: RootId) -> bool:
        """Read `.regend.toml` again and return whether the limits changed. After an error the old limits stay."""
        served = self._roots.get(root)
        if served is None:
            return False
        with served.reading:
            try:
                limits = load_repository_config(served.identity.path).apply(self._config.limits)
            except RegendError as error:
                served.problem = str(error)
                return False
            if marker_of(served.identity.path) != served.identity.marker:
                return False  # It is away, and its file with it.
            served.problem = ""
            changed, served.limits = limits != served.limits, limits
            return changed

    def unseen(self, record: RootRecord) -> RootCandidate:
        """Return a root of the store whose file system does not answer, without a look at it."""
        identity = RootIdentity(Path(record.path), record.pool_key, record.marker, None)
        rules = IgnoreRules(identity.path, self._config.ignore.patterns, self._own_dirs, read=False)
        return RootCandidate(identity, rules, self._config.limits, is_seen=False)

    def _check_place(self, path: Path, force: bool) -> None:
        """Refuse a real path that holds far more than source code, or must never be indexed.

        Raises:
            RootError: it is refused.
        """
        if secret_name := secret_directory(path):
            raise RootError(
                f"{path} lies in a directory for secrets ({secret_name}), which is never indexed; "
                "add another directory."
            )
        if data := version_control_directory(path):
            raise RootError(
                f"{path} is or lies in {data}, which holds version control data and is never indexed; "
                "add the worktree instead."
            )
        if any(path.is_relative_to(own) for own in self._own_dirs):
            raise RootError(f"{path} lies in this daemon's state directory; add another directory.")
        home = known_home()
        if home and not force and (path == home.resolve() or path in home.resolve().parents):
            raise RootError(
                f"{path} is or holds your home directory, with far more than source code in it; "
                "add the repositories below it, or add it with --force."
            )

    def _candidate(self, identity: RootIdentity, limits: LimitConfig) -> RootCandidate:
        rules = IgnoreRules(identity.path, self._config.ignore.patterns, self._own_dirs)
        return RootCandidate(identity, rules, limits)
