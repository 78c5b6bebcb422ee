"""Which paths of a root are indexed, and which rule says otherwise.

Order, each group overriding the ones before it wherever one of its own rules matches (within a group the last match of
the deepest file wins, as in git):

1. git: global excludes, `info/exclude`, then `.gitignore` from the worktree's top down, equal to `git check-ignore`:
   these rules exclude no file that git tracks (`tracked`), nor a directory above one, where all else stays excluded;
2. `.regenignore`, in any directory, and `[ignore] patterns` of the root's `.regend.toml`. A ``!`` there brings back
   what git ignores, as ripgrep's `.rgignore` does: it is how a team gets generated code searchable;
3. the user's configuration. It comes last, so that no repository can bring back what its user excludes;
4. the built-in lists (`builtin`) and state directories of this or another regend stand above all: nothing brings
   back a secret. A root that lies in a directory for secrets, or in this daemon's state, is ignored as a whole.

A directory that is ignored takes everything below it along; no rule brings that back. Nested repositories and
submodules follow the git rules of their own top down (groups 2 to 4 go on as before). A linked worktree of the root's
own repository is left out: its files are the same files again, and it can be a root itself. Where the root is a
subdirectory of a worktree, the rules above it hold, unless they ignore the root itself: its user wants it indexed.

git's own data is left out wherever it lies: the root's git directory and common directory by their places, every other
one by its shape, the data of other version controls by name. A rule file that is there and cannot be read admits
nothing: what it governs is `unsure`.

Decisions depend on more than the tree, which is watched. `Inputs` holds every file beside it that was consulted: the
`.git` of the root and of the directories above it, what makes its target a git directory, `commondir`, `info/exclude`,
git's configuration with all that it includes, the global excludes, and the ignore files between the worktree's top and
the root; for each repository below the root, the same of its own. `refresh_if_outside_changed` compares all of them,
and the index of each.

Threads: any may ask. Decisions come from immutable frames, one for each directory, found in a dict without a lock;
building frames and dropping them takes a lock, so what is asked after `invalidate` returned sees the new files.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from regend.disk.ignore.attributes import ATTRIBUTES_NAME, Attributes
from regend.disk.ignore.builtin import (
    SECRETS,
    STATE_MARK,
    VERSION_CONTROL_SOURCE,
    is_version_control,
    secret_directory,
    version_control_directory,
)
from regend.disk.ignore.decision import (
    MARKS,
    NOT_IGNORED,
    RULE_FILE_NAMES,
    SHAPE_NAMES,
    Decision,
    Frame,
    compile_patterns,
    first_match,
    marks_in,
)
from regend.disk.ignore.rule_list import RuleList, as_bytes_text
from regend.disk.ignore.sources import GitSettings, RuleReader, git_settings, read_above, read_attributes
from regend.disk.ignore.tracked import TrackedFiles
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
        self._below: dict[str, tuple[Inputs, TrackedFiles | None]] = {}
        self._indexes: dict[Repository, TrackedFiles] = {}
        self._index_changed = False
        self._turn = 0
        self._inputs = Inputs()
        self._repository: Repository | None = None
        self._settings_inputs: Inputs | None = None
        self._settings = GitSettings(None, False)
        self._own_data: frozenset[str] = frozenset()
        self._config: tuple[RuleList, ...] | None = None
        self._prefix = ""
        self.git_dir: Path | None = None
        self._problem = ""
        self.version = 0
        if read:
            self.refresh()
        else:
            self._frames[""] = Frame(Decision(True, "rules that could not be read yet"))

    @property
    def problem(self) -> str:
        index = self._frames[""].tracked
        return self._problem or (index.problem if index is not None else "")

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

    def attributes(self, path: str) -> Attributes:
        """Return those that hold where a file lies."""
        return self._frame(path.rpartition("/")[0]).attributes

    def attributes_at_once(self, path: str) -> Attributes | None:
        """Return the same without a look at the disk, or None where that takes one."""
        frame = self._frames.get(path.rpartition("/")[0])
        return None if frame is None else frame.attributes

    def is_rule_file(self, path: str) -> bool:
        """Tell whether a change of this path can change decisions; if so, call `invalidate` with it."""
        parent, _, name = path.rpartition("/")
        if name in SHAPE_NAMES:
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
        stale = frame.decision.unsure or frame.marks != MARKS.intersection(names)
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
        if any(inputs is None or inputs.changed() for inputs in own) or self._follow_index():
            self.refresh()
            self._index_changed = False
            return True
        first = self._turn if self._turn < len(below) else 0
        self._turn = first + _MAX_BELOW
        stale = [
            (path, known)
            for path, known in below[first : self._turn]
            if known[0].changed() or (known[1] is not None and known[1].follow(self._matters))
        ]
        with self._lock:
            for path, known in stale:
                if self._below.get(path) is known:
                    self._drop(path)
        return bool(stale)

    def refresh(self) -> None:
        """Forget everything; the next questions read all rule files again."""
        with self._lock:
            self._index_changed = self._follow_index()
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
            self._problem = self._settings.problem
            reader = RuleReader((self._settings.problem if self._settings.unknown else "") or inputs.problem)
            # A rule below `top` sees the path from `top`; `_prefix` is what lies between top and root.
            self._prefix = ""
            git = reader.read_base(self._settings, repository, self._root, 0, inputs)
            attributes = Attributes()
            if repository is not None and repository.top != self._root:
                inner = as_bytes_text(self._root.relative_to(repository.top).as_posix()) + "/"
                outer, attributes = read_above(reader, repository.top, self._root, git, self._settings.fold, inputs)
                if outer is not None:
                    self._prefix, git = inner, outer
            whole = self._whole
            if data := version_control_directory(self._root, inputs):
                self._problem = f"{self._root} is or lies in {data}, which holds {VERSION_CONTROL_SOURCE}; remove it."
                whole = Decision(True, VERSION_CONTROL_SOURCE, 0, data)
            self._below = {}
            index = None if repository is None else self._index(repository, "")
            frame = Frame(whole, git, self._config_lists(reader), marks_in(str(self._root)), index)
            frame.attributes = attributes
            self._frames = {"": self._open("", frame, reader, repository)}

    def _config_lists(self, reader: RuleReader) -> tuple[RuleList, ...]:
        try:
            patterns = load_repository_config(self._root).patterns
        except ConfigError as error:
            # The patterns read before, or the excludes in spite of the mistake, stay in force: else these paths got in.
            self._problem = str(error)
            excludes = error.excludes if isinstance(error, RepositoryConfigError) else ()
            if self._config is None and not isinstance(error, RepositoryConfigError):
                reader.problem = str(error)  # Its patterns were never known.
            return (*compile_patterns(len(self._prefix), excludes, REPOSITORY_CONFIG_NAME), *(self._config or ()))
        self._config = compile_patterns(len(self._prefix), patterns, REPOSITORY_CONFIG_NAME)
        return self._config

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
        marks = marks_in(here)
        inputs = Inputs()
        if STATE_MARK in marks:
            inputs.note_presence(f"{here}/{STATE_MARK}")
            decision = Decision(True, "state directory of a regend", 0, f"{path}/{STATE_MARK}")
        elif "HEAD" in marks and holds_git_data(here, inputs):
            decision = Decision(True, VERSION_CONTROL_SOURCE, 0, f"{path}/HEAD")
        if decision.ignored:
            self._below[path] = inputs, None
            return Frame(decision, marks=marks, inputs=inputs)
        frame = Frame(decision, parent.git, parent.own, marks, parent.tracked, attributes=parent.attributes)
        if decision.tracked:
            frame.shut = replace(decision, ignored=True, tracked=False)
        if ".git" not in marks:
            return self._open(path, frame, RuleReader(decision.unsure))
        nested = repository_at(Path(here), inputs := Inputs())
        reader = RuleReader(decision.unsure or inputs.problem)
        frame.inputs = inputs
        if nested is not None and nested.common_dir == (self._repository and self._repository.common_dir):
            frame = Frame(Decision(True, "nested_worktree", 0, str(nested.git_dir)), marks=marks, inputs=inputs)
        elif nested is not None:
            skip = len(self._prefix) + len(as_bytes_text(path)) + 1
            frame.git = reader.read_base(self._settings, nested, self._root, skip, inputs)
            frame.tracked, frame.shut = self._index(nested, f"{path}/"), None
            frame.attributes = Attributes(prefix=parent.attributes.prefix)
        self._below[path] = inputs, frame.tracked if nested is not None else None
        return frame if frame.decision.ignored else self._open(path, frame, reader, nested)

    def _index(self, repository: Repository, at: str) -> TrackedFiles:
        """Return what git tracks in a repository whose worktree holds the root, or lies `at` a directory of it."""
        below = "" if at or repository.top == self._root else f"{self._root.relative_to(repository.top).as_posix()}/"
        if len(self._indexes) >= _MAX_BELOW and repository not in self._indexes:
            self._indexes.clear()
        return self._indexes.setdefault(repository, TrackedFiles(repository, below, at))

    def _follow_index(self) -> bool:
        """Tell whether git tracks other files than it did when `refresh_if_outside_changed` last was asked."""
        top = self._frames.get("")
        return self._index_changed or bool(top and top.tracked and top.tracked.follow(self._matters))

    def _open(self, path: str, frame: Frame, reader: RuleReader, repository: Repository | None = None) -> Frame:
        """Read the rule files in a directory that is not ignored; `frame` has what holds for it without them.

        Args:
            repository: the one that begins here.
        """
        skip = len(self._prefix) + (len(as_bytes_text(path)) + 1 if path else 0)
        shown = f"{path}/" if path else ""
        if ".gitignore" in frame.marks:
            name = f"{shown}.gitignore"
            frame.git = reader.read(self._root / name, name, self._settings.fold, skip) + frame.git
        if ".regenignore" in frame.marks:
            name = f"{shown}.regenignore"
            frame.own = reader.read(self._root / name, name, False, skip) + frame.own
        if ATTRIBUTES_NAME in frame.marks or repository is not None:
            inputs, fold = self._inputs if frame.inputs is None else frame.inputs, self._settings.fold
            frame.attributes = read_attributes(frame.attributes, self._root, path, repository, fold, inputs)
        frame.decision = replace(frame.decision, unsure=reader.problem)
        return frame

    def _match(self, frame: Frame, path: str, name: str, is_dir: bool) -> Decision:
        if is_version_control(name, is_dir):
            return Decision(True, VERSION_CONTROL_SOURCE, 0, name)
        plain = path
        if not path.isascii():
            path, name = as_bytes_text(path), as_bytes_text(name)
        rule = SECRETS.match(path, name, is_dir)
        if rule is not None and not rule.negated:
            return Decision(True, SECRETS.source, 0, rule.text)
        full = self._prefix + path
        found = first_match(self._user, path, name, is_dir) or first_match(frame.own, full, name, is_dir)
        if found is None or (frame.shut and not found.ignored):
            found = frame.shut or first_match(frame.git, full, name, is_dir) or NOT_IGNORED
            if found.ignored and frame.tracked is not None and frame.tracked.concerns(plain, is_dir):
                found = replace(found, ignored=False, tracked=True)
        unsure = frame.decision.unsure
        return replace(found, unsure=unsure) if unsure and not found.ignored else found

    def _matters(self, path: str) -> bool:
        decision = self.decide(path, False)
        return decision.ignored or decision.tracked

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
