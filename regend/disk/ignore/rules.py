"""Which paths of a root are indexed, and which rule says otherwise.

Order, each group overriding the ones before it wherever one of its own rules matches (within a group the last match of
the deepest file wins, as in git):

1. git: global excludes, `info/exclude`, then `.gitignore` from the worktree's top down, equal to
   `git check-ignore --no-index` (a tracked file that a rule excludes is excluded here; git keeps tracking it);
2. `.regenignore`, in any directory, and `[ignore] patterns` of the root's `.regend.toml`. A ``!`` there brings back
   what git ignores, as ripgrep's `.rgignore` does: it is how a team gets generated code searchable;
3. the user's configuration. It comes last, so that no repository can bring back what its user excludes;
4. the built-in lists (`builtin`) and state directories of this or another regend stand above all: nothing brings
   back a secret. A root that lies in a directory for secrets, or in this daemon's state, is ignored as a whole.

A directory that is ignored takes everything below it along; nothing below can be brought back. Nested repositories and
submodules follow the git rules of their own top down (groups 2 to 4 go on as before). A linked worktree of the root's
own repository is left out: its files are the same files again, and it can be a root itself. Where the root is a
subdirectory of a worktree, the rules above it hold, unless they ignore the root itself: its user wants it indexed.

Threads: any may ask. Decisions come from immutable frames, one for each directory, found in a dict without a lock;
building frames and dropping them takes a lock, so what is asked after `invalidate` returned sees the new files.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from regend.disk.ignore.builtin import SECRETS, STATE_MARK, VERSION_CONTROL, secret_directory
from regend.disk.ignore.rule_list import RuleList, as_bytes_text
from regend.disk.ignore.sources import GitSettings, git_settings, read_rules, settings_files
from regend.disk.repository import (
    REPOSITORY_CONFIG_NAME,
    Repository,
    RepositoryConfigError,
    find_repository,
    load_repository_config,
    repository_at,
)
from regend.errors import ConfigError

RULE_FILE_NAMES = frozenset((".gitignore", ".regenignore", ".git", STATE_MARK))
_Stamp = tuple[tuple[int, int, int] | None, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """The decision about a path, and its reason.

    Attributes:
        source: the file of the deciding rule (relative to the root where it lies within), a name for a built-in
            rule, or empty where no rule matches. A rule that begins with ``!`` decides, too.
        line: the rule's line in it, from 1; 0 where there is no rule.
        pattern: the rule as written.
    """

    ignored: bool
    source: str = ""
    line: int = 0
    pattern: str = ""


NOT_IGNORED = Decision(False)


@dataclass(slots=True)
class _Frame:
    """One directory: the decision on it, and the lists that hold for what is in it, strongest first."""

    decision: Decision
    git: tuple[RuleList, ...] = ()
    own: tuple[RuleList, ...] = ()
    children: set[str] = field(default_factory=set)


class IgnoreRules:
    """The rules of one root.

    Args:
        root: absolute, without links.
        git_dir: from `RootIdentity`; None for a plain folder, where `.gitignore` files count all the same.
        user_patterns: `Config.ignore.patterns`.
        excluded_dirs: absolute directories that are never indexed (the daemon's own state).
        read: False where the file system does not answer; everything is ignored until `refresh`.

    Attributes:
        problem: why `.regend.toml` is not in force, or empty.
        version: grows each time that rules are read again, whether or not they differ.
    """

    def __init__(
        self,
        root: Path,
        git_dir: Path | None,
        user_patterns: tuple[str, ...] = (),
        excluded_dirs: tuple[Path, ...] = (),
        read: bool = True,
    ) -> None:
        self._root = root
        self._git_dir = git_dir
        self._user = _lists(0, user_patterns, "user configuration")
        self._excluded = {
            path.relative_to(root).as_posix(): str(path) for path in excluded_dirs if path.is_relative_to(root)
        }
        self._whole = NOT_IGNORED
        if secret_name := secret_directory(root):
            self._whole = Decision(True, SECRETS.source, 0, f"{secret_name}/")
        elif above := [path for path in excluded_dirs if root.is_relative_to(path)]:
            self._whole = Decision(True, "state directory", 0, str(above[0]))
        self._lock = threading.RLock()
        self._frames: dict[str, _Frame] = {}
        self._settings = GitSettings(None, False)
        self._settings_stamp: _Stamp = ()
        self._outside_stamp: _Stamp = ()
        self._config: tuple[RuleList, ...] = ()
        self.problem = ""
        self.version = 0
        if read:
            self.refresh()
        else:
            self._frames[""] = _Frame(Decision(True, "rules that could not be read yet"))

    def decide(self, path: str, is_dir: bool) -> Decision:
        """Decide about a path relative to the root, with ``/``; names that are not UTF-8 carry surrogates.

        Args:
            is_dir: a directory, and not a link to one.
        """
        if is_dir:
            return self._frame(path).decision
        parent, _, name = path.rpartition("/")
        frame = self._frames.get(parent) or self._frame(parent)
        if frame.decision.ignored:
            return frame.decision
        return self._match(frame, path, name, False)

    def is_rule_file(self, path: str) -> bool:
        """Tell whether a change of this path can change decisions; if so, call `invalidate` with it."""
        return path.rpartition("/")[2] in RULE_FILE_NAMES or path == REPOSITORY_CONFIG_NAME

    def invalidate(self, path: str) -> str:
        """Forget what was read in the directory of a rule file, or in a directory, and below.

        Returns:
            The directory whose decisions may now differ.
        """
        directory = path.rpartition("/")[0] if self.is_rule_file(path) else path
        with self._lock:
            if directory == "":
                self.refresh()
            else:
                self._drop(directory)
        return directory

    def refresh_if_outside_changed(self) -> bool:
        """Check the rule files outside the tree (global excludes, `info/exclude`, git's configuration) by `stat`.

        Returns:
            True when one differs, and `refresh` was done.
        """
        with self._lock:
            if _stamp(self._outside) == self._outside_stamp and _stamp(self._settings_files) == self._settings_stamp:
                return False
            self.refresh()
            return True

    def refresh(self) -> None:
        """Forget everything; the next questions read all rule files again."""
        with self._lock:
            self.version += 1
            repository = find_repository(self._root) if self._git_dir is not None else repository_at(self._root)
            self._common_dir = repository.common_dir if repository else None
            self._settings_files = settings_files(self._common_dir)
            stamp = _stamp(self._settings_files)
            if stamp != self._settings_stamp:
                self._settings = git_settings(repository.top if repository else self._root)
                self._settings_stamp = stamp
            excludes = self._settings.excludes_file
            exclude = None if self._common_dir is None else self._common_dir / "info" / "exclude"
            self._outside = tuple(file for file in (excludes, exclude) if file is not None)
            self._outside_stamp = _stamp(self._outside)
            # A rule below `top` sees the path from `top`; `_prefix` is what lies between top and root.
            self._prefix = ""
            git = self._base_lists(repository, 0)
            if repository is not None and repository.top != self._root:
                inner = as_bytes_text(self._root.relative_to(repository.top).as_posix()) + "/"
                outer = self._outer_lists(repository.top, inner, git)
                if outer is not None:
                    self._prefix, git = inner, outer
            self._frames = {"": self._open("", self._whole, git, self._config_lists())}

    def _base_lists(self, repository: Repository | None, skip: int) -> tuple[RuleList, ...]:
        """Read `info/exclude` and the global excludes, which are relative to the top of the repository."""
        fold, excludes = self._settings.fold, self._settings.excludes_file
        lists = () if excludes is None else read_rules(excludes, str(excludes), fold, skip, follow=True)
        if repository is not None:
            file = repository.common_dir / "info" / "exclude"
            lists = read_rules(file, self._shown(file), fold, skip, follow=True) + lists
        return lists

    def _outer_lists(self, top: Path, inner: str, git: tuple[RuleList, ...]) -> tuple[RuleList, ...] | None:
        """Add the `.gitignore` files from `top` down to above the root; None when they ignore the root."""
        skip = 0
        directory = top
        for name in self._root.relative_to(top).parts:
            file = directory / ".gitignore"
            git = read_rules(file, str(file), self._settings.fold, skip) + git
            skip_after = skip + len(as_bytes_text(name))
            decision = _first_match(git, inner[:skip_after], as_bytes_text(name), True)
            if decision is not None and decision.ignored:
                return None
            skip = skip_after + 1
            directory = directory / name
        return git

    def _config_lists(self) -> tuple[RuleList, ...]:
        try:
            patterns = load_repository_config(self._root).patterns
            self.problem = ""
        except ConfigError as error:
            # The patterns read before, or the excludes in spite of the mistake, stay in force: else these paths got in.
            self.problem = str(error)
            excludes = error.excludes if isinstance(error, RepositoryConfigError) else ()
            return (*_lists(len(self._prefix), excludes, REPOSITORY_CONFIG_NAME), *self._config)
        self._config = _lists(len(self._prefix), patterns, REPOSITORY_CONFIG_NAME)
        return self._config

    def _shown(self, file: Path) -> str:
        return file.relative_to(self._root).as_posix() if file.is_relative_to(self._root) else str(file)

    def _frame(self, path: str) -> _Frame:
        found = self._frames.get(path)
        if found is not None:
            return found
        with self._lock:
            frame, current = self._frames[""], ""
            for name in path.split("/") if path else ():
                if frame.decision.ignored:
                    # Nothing below has a frame of its own, so a visit to a large ignored directory costs no memory.
                    break
                current = f"{current}/{name}" if current else name
                child = self._frames.get(current)
                if child is None:
                    child = self._frames[current] = self._enter(frame, current, name)
                    frame.children.add(current)
                frame = child
            return frame

    def _enter(self, parent: _Frame, path: str, name: str) -> _Frame:
        decision = self._match(parent, path, name, True)
        if not decision.ignored and path in self._excluded:
            decision = Decision(True, "state directory", 0, self._excluded[path])
        elif not decision.ignored and os.path.lexists(f"{self._root}/{path}/{STATE_MARK}"):
            decision = Decision(True, "state directory of a regend", 0, f"{path}/{STATE_MARK}")
        if decision.ignored:
            return _Frame(decision)
        git = parent.git
        nested = repository_at(self._root / path)
        if nested is not None:
            if nested.common_dir == self._common_dir:
                return _Frame(Decision(True, "nested_worktree", 0, str(nested.git_dir)))
            git = self._base_lists(nested, len(self._prefix) + len(as_bytes_text(path)) + 1)
        return self._open(path, decision, git, parent.own)

    def _open(self, path: str, decision: Decision, git: tuple[RuleList, ...], own: tuple[RuleList, ...]) -> _Frame:
        """Read the rule files in a directory that is not ignored."""
        skip = len(self._prefix) + (len(as_bytes_text(path)) + 1 if path else 0)
        base = f"{self._root}/{path}/" if path else f"{self._root}/"
        shown = f"{path}/" if path else ""
        of_git = read_rules(Path(f"{base}.gitignore"), f"{shown}.gitignore", self._settings.fold, skip)
        of_regend = read_rules(Path(f"{base}.regenignore"), f"{shown}.regenignore", False, skip)
        return _Frame(decision, of_git + git, of_regend + own)

    def _match(self, frame: _Frame, path: str, name: str, is_dir: bool) -> Decision:
        if name in VERSION_CONTROL:
            return Decision(True, "version control data", 0, name)
        if not path.isascii():
            path, name = as_bytes_text(path), as_bytes_text(name)
        rule = SECRETS.match(path, name, is_dir)
        if rule is not None and not rule.negated:
            return Decision(True, SECRETS.source, 0, rule.text)
        full = self._prefix + path
        return (
            _first_match(self._user, path, name, is_dir)
            or _first_match(frame.own, full, name, is_dir)
            or _first_match(frame.git, full, name, is_dir)
            or NOT_IGNORED
        )

    def _drop(self, path: str) -> None:
        self.version += 1
        parent = self._frames.get(path.rpartition("/")[0])
        if parent is not None:
            parent.children.discard(path)
        waiting = [path]
        while waiting:
            gone = self._frames.pop(waiting.pop(), None)
            if gone is not None:
                waiting.extend(gone.children)


def _lists(skip: int, patterns: tuple[str, ...], source: str) -> tuple[RuleList, ...]:
    rules = RuleList("\n".join(patterns).encode(), source, skip=skip)
    return (rules,) if rules.rules else ()


def _first_match(lists: Iterable[RuleList], path: str, name: str, is_dir: bool) -> Decision | None:
    for rules in lists:
        rule = rules.match(path, name, is_dir)
        if rule is not None:
            return Decision(not rule.negated, rules.source, rule.line, rule.text)
    return None


def _stamp(files: Iterable[Path]) -> _Stamp:
    stamps: list[tuple[int, int, int] | None] = []
    for file in files:
        try:
            found = os.stat(file)  # noqa: PTH116  (follows links, as the reader of these files does)
        except OSError:
            stamps.append(None)
        else:
            stamps.append((found.st_mtime_ns, found.st_size, found.st_ino))
    return tuple(stamps)
