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

git's own data is left out wherever it lies: the root's git directory and common directory by their places, every other
one by its shape, the data of other version controls by name. A rule file that is there and cannot be read admits
nothing: what it governs is `unsure`.

Decisions depend on more than the tree, which is watched. `Inputs` holds every file beside it that was consulted: the
`.git` of the root and of the directories above it, what makes its target a git directory, `commondir`, `info/exclude`,
git's configuration with all that it includes, the global excludes, and the ignore files between the worktree's top and
the root; for each repository below the root, the same of its own. `refresh_if_outside_changed` compares all of them.

Threads: any may ask. Decisions come from immutable frames, one for each directory, found in a dict without a lock;
building frames and dropping them takes a lock, so what is asked after `invalidate` returned sees the new files.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from regend.disk.ignore.builtin import (
    SECRETS,
    STATE_MARK,
    VERSION_CONTROL_SOURCE,
    is_version_control,
    secret_directory,
    version_control_directory,
)
from regend.disk.ignore.decision import NOT_IGNORED, Decision, Frame, compile_patterns, first_match
from regend.disk.ignore.rule_list import RuleList, as_bytes_text
from regend.disk.ignore.sources import GitSettings, RuleReader, git_settings
from regend.disk.inputs import Inputs
from regend.disk.repository import (
    REPOSITORY_CONFIG_NAME,
    Repository,
    RepositoryConfigError,
    find_repository,
    holds_git_data,
    load_repository_config,
    repository_at,
)
from regend.errors import ConfigError

RULE_FILE_NAMES = frozenset((".gitignore", ".regenignore", ".git", STATE_MARK))
_SHAPE_NAMES = frozenset(("HEAD", "commondir", "config", "objects", "refs"))
"""A directory becomes or ceases to be a git directory by these."""
_MARKS = RULE_FILE_NAMES | _SHAPE_NAMES | {REPOSITORY_CONFIG_NAME}
_MAX_BELOW = 256
"""Maximum repositories below the root that one `refresh_if_outside_changed` compares; the others take their turns. Each
costs some five calls of `stat`, so this bounds it to about 2 ms."""


class IgnoreRules:
    """The rules of one root.

    Args:
        root: absolute, without links.
        user_patterns: `Config.ignore.patterns`.
        excluded_dirs: absolute directories that are never indexed (the daemon's own state).
        read: False where the file system does not answer; everything is ignored until `refresh`.

    Attributes:
        git_dir: the git directory of the worktree that holds the root now; None for a plain folder, where `.gitignore`
            files count all the same.
        problem: why `.regend.toml` or git's configuration is not in force, or the root must not be one; or empty.
        version: grows each time that rules are read again, whether or not they differ.
    """

    def __init__(
        self,
        root: Path,
        user_patterns: tuple[str, ...] = (),
        excluded_dirs: tuple[Path, ...] = (),
        read: bool = True,
    ) -> None:
        self._root = root
        self._user = compile_patterns(0, user_patterns, "user configuration")
        self._excluded = {
            path.relative_to(root).as_posix(): str(path) for path in excluded_dirs if path.is_relative_to(root)
        }
        self._whole = NOT_IGNORED
        if secret_name := secret_directory(root):
            self._whole = Decision(True, SECRETS.source, 0, f"{secret_name}/")
        elif above := [path for path in excluded_dirs if root.is_relative_to(path)]:
            self._whole = Decision(True, "state directory", 0, str(above[0]))
        self._lock = threading.RLock()
        self._frames: dict[str, Frame] = {}
        self._below: dict[str, Inputs] = {}
        self._turn = 0
        self._inputs = Inputs()
        self._repository: Repository | None = None
        self._settings_inputs: Inputs | None = None
        self._settings = GitSettings(None, False)
        self._own_data: frozenset[str] = frozenset()
        self._config: tuple[RuleList, ...] | None = None
        self._prefix = ""
        self.git_dir: Path | None = None
        self.problem = ""
        self.version = 0
        if read:
            self.refresh()
        else:
            self._frames[""] = Frame(Decision(True, "rules that could not be read yet"))

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
        parent, _, name = path.rpartition("/")
        if name in _SHAPE_NAMES:
            frame = self._frames.get(parent)
            known = frame is not None and frame.decision.source == VERSION_CONTROL_SOURCE
            if frame is None or frame.decision.ignored != known:
                return False
            return holds_git_data(f"{self._root}/{parent}") != known
        return name in RULE_FILE_NAMES or path == REPOSITORY_CONFIG_NAME

    def invalidate(self, path: str) -> str:
        """Forget what was read in the directory of a rule file, or in a directory, and below.

        Returns:
            The directory whose decisions may now differ.
        """
        directory = path.rpartition("/")[0] if self.is_rule_file(path) else path
        self._forget(directory)
        return directory

    def settle(self, directory: str, names: Iterable[str]) -> Decision:
        """Decide about a directory that was listed just now, and read its rule files again if others are there.

        A directory is asked about before it is listed. Between the two, git or a person may have put something there
        that excludes it, and the event that says so may still be to come.
        """
        frame = self._frame(directory)
        stale = frame.decision.unsure or frame.marks != _MARKS.intersection(names)
        if not frame.decision.ignored and (stale or (frame.inputs is not None and frame.inputs.changed())):
            self._forget(directory)
            frame = self._frame(directory)
        return frame.decision

    def refresh_if_outside_changed(self) -> bool:
        """Compare everything beside the watched tree that decisions depend on with what it was, by `stat`.

        Returns:
            True when something differs, and the rules were read again.
        """
        with self._lock:
            own, below = (self._inputs, self._settings_inputs), list(self._below.items())
        # No lock is held meanwhile: a file system that does not answer must not hold up who asks for decisions.
        if any(inputs is None or inputs.changed() for inputs in own):
            self.refresh()
            return True
        first = self._turn if self._turn < len(below) else 0
        self._turn = first + _MAX_BELOW
        stale = [(path, inputs) for path, inputs in below[first : self._turn] if inputs.changed()]
        with self._lock:
            for path, inputs in stale:
                if self._below.get(path) is inputs:
                    self._drop(path)
        return bool(stale)

    def refresh(self) -> None:
        """Forget everything; the next questions read all rule files again."""
        with self._lock:
            self.version += 1
            inputs = Inputs()
            repository = find_repository(self._root, inputs)
            known = self._settings_inputs
            if known is None or repository != self._repository or self._settings.problem or known.changed():
                self._settings_inputs = Inputs()
                top = repository.top if repository else self._root
                self._settings = git_settings(top, repository, self._settings_inputs)
            self._inputs, self._repository = inputs, repository
            self.git_dir = repository.git_dir if repository else None
            self._own_data = frozenset((str(repository.git_dir), str(repository.common_dir)) if repository else ())
            self.problem = self._settings.problem
            reader = RuleReader((self._settings.problem if self._settings.unknown else "") or inputs.problem)
            # A rule below `top` sees the path from `top`; `_prefix` is what lies between top and root.
            self._prefix = ""
            git = self._base_lists(repository, 0, reader, inputs)
            if repository is not None and repository.top != self._root:
                inner = as_bytes_text(self._root.relative_to(repository.top).as_posix()) + "/"
                outer = self._outer_lists(repository.top, inner, git, reader)
                if outer is not None:
                    self._prefix, git = inner, outer
            whole = self._whole
            if data := version_control_directory(self._root, inputs):
                self.problem = f"{self._root} is or lies in {data}, which holds {VERSION_CONTROL_SOURCE}; remove it."
                whole = Decision(True, VERSION_CONTROL_SOURCE, 0, data)
            self._below = {}
            marks = _marks(str(self._root))
            self._frames = {"": self._open("", whole, git, self._config_lists(reader), marks, reader, None)}

    def _base_lists(
        self, repository: Repository | None, skip: int, reader: RuleReader, inputs: Inputs
    ) -> tuple[RuleList, ...]:
        """Read `info/exclude` and the global excludes, which are relative to the top of the repository."""
        fold, excludes = self._settings.fold, self._settings.excludes_file
        lists: tuple[RuleList, ...] = ()
        if excludes is not None:
            self._inputs.note(str(excludes))
            lists = reader.read(excludes, str(excludes), fold, skip, follow=True)
        if repository is not None:
            file = repository.common_dir / "info" / "exclude"
            inputs.note(str(file))
            lists = reader.read(file, self._shown(file), fold, skip, follow=True) + lists
        return lists

    def _outer_lists(
        self, top: Path, inner: str, git: tuple[RuleList, ...], reader: RuleReader
    ) -> tuple[RuleList, ...] | None:
        """Add the `.gitignore` files from `top` down to above the root; None when they ignore the root."""
        skip = 0
        directory = top
        for name in self._root.relative_to(top).parts:
            file = directory / ".gitignore"
            self._inputs.note(str(file))
            git = reader.read(file, str(file), self._settings.fold, skip) + git
            skip_after = skip + len(as_bytes_text(name))
            decision = first_match(git, inner[:skip_after], as_bytes_text(name), True)
            if decision is not None and decision.ignored:
                return None
            skip = skip_after + 1
            directory = directory / name
        return git

    def _config_lists(self, reader: RuleReader) -> tuple[RuleList, ...]:
        try:
            patterns = load_repository_config(self._root).patterns
        except ConfigError as error:
            # The patterns read before, or the excludes in spite of the mistake, stay in force: else these paths got in.
            self.problem = str(error)
            excludes = error.excludes if isinstance(error, RepositoryConfigError) else ()
            if self._config is None and not isinstance(error, RepositoryConfigError):
                reader.problem = str(error)  # Its patterns were never known.
            return (*compile_patterns(len(self._prefix), excludes, REPOSITORY_CONFIG_NAME), *(self._config or ()))
        self._config = compile_patterns(len(self._prefix), patterns, REPOSITORY_CONFIG_NAME)
        return self._config

    def _shown(self, file: Path) -> str:
        return file.relative_to(self._root).as_posix() if file.is_relative_to(self._root) else str(file)

    def _frame(self, path: str) -> Frame:
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

    def _enter(self, parent: Frame, path: str, name: str) -> Frame:
        here = f"{self._root}/{path}"
        decision = self._match(parent, path, name, True)
        if not decision.ignored and path in self._excluded:
            decision = Decision(True, "state directory", 0, self._excluded[path])
        elif not decision.ignored and here in self._own_data:
            decision = Decision(True, VERSION_CONTROL_SOURCE, 0, path)
        if decision.ignored:
            return Frame(decision)
        marks = _marks(here)
        inputs = Inputs()
        if STATE_MARK in marks:
            inputs.note_presence(f"{here}/{STATE_MARK}")
            decision = Decision(True, "state directory of a regend", 0, f"{path}/{STATE_MARK}")
        elif "HEAD" in marks and holds_git_data(here, inputs):
            decision = Decision(True, VERSION_CONTROL_SOURCE, 0, f"{path}/HEAD")
        if decision.ignored:
            self._below[path] = inputs
            return Frame(decision, marks=marks, inputs=inputs)
        if ".git" not in marks:
            return self._open(path, decision, parent.git, parent.own, marks, RuleReader(decision.unsure), None)
        self._below[path] = inputs = Inputs()
        nested, git = repository_at(Path(here), inputs), parent.git
        reader = RuleReader(decision.unsure or inputs.problem)
        if nested is not None:
            if nested.common_dir == (self._repository and self._repository.common_dir):
                return Frame(Decision(True, "nested_worktree", 0, str(nested.git_dir)), marks=marks, inputs=inputs)
            git = self._base_lists(nested, len(self._prefix) + len(as_bytes_text(path)) + 1, reader, inputs)
        return self._open(path, decision, git, parent.own, marks, reader, inputs)

    def _open(
        self,
        path: str,
        decision: Decision,
        git: tuple[RuleList, ...],
        own: tuple[RuleList, ...],
        marks: frozenset[str],
        reader: RuleReader,
        inputs: Inputs | None,
    ) -> Frame:
        """Read the rule files in a directory that is not ignored."""
        skip = len(self._prefix) + (len(as_bytes_text(path)) + 1 if path else 0)
        shown = f"{path}/" if path else ""
        if ".gitignore" in marks:
            name = f"{shown}.gitignore"
            git = reader.read(self._root / name, name, self._settings.fold, skip) + git
        if ".regenignore" in marks:
            name = f"{shown}.regenignore"
            own = reader.read(self._root / name, name, False, skip) + own
        return Frame(replace(decision, unsure=reader.problem), git, own, marks, inputs)

    def _match(self, frame: Frame, path: str, name: str, is_dir: bool) -> Decision:
        if is_version_control(name, is_dir):
            return Decision(True, VERSION_CONTROL_SOURCE, 0, name)
        if not path.isascii():
            path, name = as_bytes_text(path), as_bytes_text(name)
        rule = SECRETS.match(path, name, is_dir)
        if rule is not None and not rule.negated:
            return Decision(True, SECRETS.source, 0, rule.text)
        full = self._prefix + path
        found = (
            first_match(self._user, path, name, is_dir)
            or first_match(frame.own, full, name, is_dir)
            or first_match(frame.git, full, name, is_dir)
            or NOT_IGNORED
        )
        unsure = frame.decision.unsure
        return replace(found, unsure=unsure) if unsure and not found.ignored else found

    def _forget(self, directory: str) -> None:
        with self._lock:
            if directory == "":
                self.refresh()
            else:
                self._drop(directory)

    def _drop(self, path: str) -> None:
        self.version += 1
        parent = self._frames.get(path.rpartition("/")[0])
        if parent is not None:
            parent.children.discard(path)
        waiting = [path]
        while waiting:
            dropped = waiting.pop()
            self._below.pop(dropped, None)
            gone = self._frames.pop(dropped, None)
            if gone is not None:
                waiting.extend(gone.children)


def _marks(directory: str) -> frozenset[str]:
    """Return which of `_MARKS` lie in a directory: one listing is cheaper than a question for each."""
    try:
        return _MARKS.intersection(os.listdir(directory))  # noqa: PTH208  (called for every directory of a walk)
    except (FileNotFoundError, NotADirectoryError):
        return frozenset()
    except OSError:  # A directory that may not be listed may have readable files all the same.
        return frozenset(name for name in _MARKS if os.path.lexists(f"{directory}/{name}"))
