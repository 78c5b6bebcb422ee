"""Carry out `Observe`: look at the disk and report what is there.

Runs in a scanner thread and owns nothing beyond the call. It reports the files that exist; the pipeline takes a file
that is not reported for gone. So a path that could not be read must be named in `unsure`, and an unfinished scan must
name all its scopes there.
"""

from __future__ import annotations

import itertools
import os
import stat
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass, field

from regend.chunking.notebooks import largest_bytes
from regend.core.commands import Observe
from regend.core.events import Observation, Observed
from regend.disk.blob_names import name_blob
from regend.disk.ignore.rules import IgnoreRules
from regend.disk.linked import LinkedFiles, Name
from regend.disk.names import is_utf8, printable_name, skip_reason_of
from regend.disk.repository import RootIdentity, marker_of
from regend.disk.safe_read import FileRefusedError, open_directory, open_root, read_at, signature
from regend.types import Declared, StatSig

PART_FILES = 256
MAX_DEPTH = 256
"""Directories deeper than this are not entered: no source tree is, and a loop of bind mounts would be."""


def scan(
    command: Observe,
    root: RootIdentity,
    rules: IgnoreRules,
    max_file_bytes: int,
    post: Callable[[Observed], None],
    cancelled: Callable[[], bool],
    own_files: Container[tuple[int, int]] = frozenset(),
    linked: LinkedFiles | None = None,
) -> None:
    """Report every file within the command's scopes, in parts of at most `PART_FILES`, the last one marked.

    A scan of the whole root reads the rule files again, so a change of theirs that was not reported is found.

    Args:
        cancelled: asked for each file; once it says yes, the rest is reported as unsure.
        own_files: device and inode of the files that the daemon writes its log and output to; they are never read.
        linked: is told of files with several names.
    """
    scopes = merge_scopes(command.scopes)
    begun = linked.begin() if linked is not None and scopes == ("",) else 0
    look = _Look(command, root, rules, max_file_bytes, post, cancelled, own_files, linked, begun)
    if marker_of(root.path) != root.marker:
        post(Observed(command.scan_id, (), True, root_gone=True))
        return
    finished = False
    try:
        if scopes == ("",):
            rules.refresh()
        finished = look.run(scopes)
    finally:
        # Also on an unforeseen error: the pipeline waits for the last part, and must not take files for gone.
        unsure = () if finished else tuple((scope, "cancelled" if cancelled() else "scan_failed") for scope in scopes)
        look.finish(unsure, marker_of(root.path) != root.marker)


def merge_scopes(scopes: Sequence[str]) -> tuple[str, ...]:
    """Drop scopes that lie within others, so that each file is reported once."""
    kept: set[str] = set()
    for scope in sorted(set(scopes), key=len):
        above = itertools.accumulate(scope.split("/")[:-1], "{}/{}".format)
        if kept.isdisjoint(("", *above)):
            kept.add(scope)
    return tuple(sorted(kept))


@dataclass(slots=True)
class _Look:
    """One scan in progress, and what it has not sent yet."""

    _command: Observe
    _root: RootIdentity
    _rules: IgnoreRules
    _max_file_bytes: int
    _post: Callable[[Observed], None]
    _cancelled: Callable[[], bool]
    _own_files: Container[tuple[int, int]]
    _linked: LinkedFiles | None
    _begun: int
    _part: list[Observation] = field(default_factory=list)
    _unsure: list[tuple[str, str]] = field(default_factory=list)
    _older: dict[int, frozenset[Name]] = field(default_factory=dict)

    def run(self, scopes: tuple[str, ...]) -> bool:
        """Look at all scopes; return False when cancelled."""
        try:
            root = open_root(str(self._root.path))
        except OSError as error:
            self._unsure += [(scope, _reason(error)) for scope in scopes]
            return True
        try:
            return all(self._scope(root, scope) for scope in scopes)
        finally:
            os.close(root)

    def finish(self, unsure: tuple[tuple[str, str], ...], root_gone: bool) -> None:
        """Send the last part."""
        unsure = (*self._unsure, *unsure)
        self._post(Observed(self._command.scan_id, tuple(self._part), True, unsure, root_gone, self._older))
        if self._linked is not None and self._begun and not unsure and not root_gone:
            self._linked.forget(self._command.root, self._begun)

    def _scope(self, root: int, scope: str) -> bool:
        if self._cancelled():
            return False
        if scope == "":
            return self._walk(root, "")
        parent, _, name = scope.rpartition("/")
        if name in ("", ".", ".."):
            return True
        try:
            directory = open_directory(root, parent)
        except FileNotFoundError:
            return True
        except OSError as error:
            if not self._rules.decide(scope, False).ignored:
                self._unsure.append((scope, _reason(error)))
            return True
        try:
            try:
                found = os.lstat(name, dir_fd=directory)
            except (FileNotFoundError, ValueError):
                return True
            except OSError as error:
                self._unsure.append((scope, _reason(error)))
                return True
            is_dir = stat.S_ISDIR(found.st_mode)
            decision = self._rules.decide(scope, is_dir)
            if decision.ignored:
                return True
            if decision.unsure and not is_dir:
                self._unsure.append((parent, decision.unsure))  # The next look at it reads its rule files again.
                return True
            if not is_dir:
                self._file(directory, name, scope, found)
                return True
        finally:
            os.close(directory)
        return self._walk(root, scope)

    def _walk(self, root: int, top: str) -> bool:
        """Report everything below a directory that is not ignored, in order of paths' components."""
        waiting = [top]
        while waiting:
            path = waiting.pop()
            try:
                directory = open_directory(root, path)
            except FileNotFoundError:
                continue
            except OSError as error:
                self._unsure.append((path, _reason(error)))
                continue
            try:
                below: list[str] = []
                for name, child, found in self._list(directory, path):
                    if self._cancelled():
                        return False
                    if stat.S_ISDIR(found.st_mode):
                        below.append(child)
                    else:
                        self._file(directory, name, child, found)
                if below and path.count("/") >= MAX_DEPTH:
                    self._unsure += [(child, "too_deep") for child in below]
                else:
                    waiting.extend(reversed(below))
            finally:
                os.close(directory)
        return True

    def _list(self, directory: int, path: str) -> Iterator[tuple[str, str, os.stat_result]]:
        """List an open directory without ignored entries: (name, path, lstat)."""
        try:
            with os.scandir(directory) as entries:
                listed = sorted((entry.name, entry) for entry in entries)
        except OSError as error:
            self._unsure.append((path, _reason(error)))
            return
        decision = self._rules.settle(path, (name for name, _ in listed))
        if decision.ignored or decision.unsure:
            if not decision.ignored:
                self._unsure.append((path, decision.unsure))
            return
        prefix = f"{path}/" if path else ""
        for name, entry in listed:
            child = prefix + name
            try:
                is_dir = entry.is_dir(follow_symlinks=False)
                if self._rules.decide(child, is_dir).ignored:
                    continue
                found = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            except OSError as error:
                self._unsure.append((prefix + printable_name(name), _reason(error)))
                continue
            if not is_utf8(name):
                self._report(Observation(prefix + printable_name(name), signature(found), skip_reason="name_not_utf8"))
            else:
                yield name, child, found

    def _file(self, directory: int, name: str, path: str, found: os.stat_result) -> None:
        said = self._rules.attributes(path).declared(path)
        sig = said.sign(signature(found))
        if found.st_nlink > 1 and self._linked is not None and stat.S_ISREG(found.st_mode):
            self._linked.note(self._command.root, path, found, self._older)
        if stat.S_ISLNK(found.st_mode):
            self._skip(path, sig, "symlink")
        elif not stat.S_ISREG(found.st_mode):
            self._skip(path, sig, "not_regular")
        elif (found.st_dev, found.st_ino) in self._own_files:
            self._skip(path, sig, "own_log")
        elif reason := skip_reason_of(name, said.marks):
            self._skip(path, sig, reason)
        elif found.st_size > largest_bytes(name, self._max_file_bytes):
            self._skip(path, sig, "too_large")
        elif self._command.known.get(path) == sig:
            self._report(Observation(path, sig, unchanged=True))
        else:
            self._read(directory, name, path, sig, said)

    def _read(self, directory: int, name: str, path: str, sig: StatSig, said: Declared) -> None:
        try:
            content, read_sig = read_at(directory, name, largest_bytes(name, self._max_file_bytes), path)
        except FileNotFoundError:
            return
        except FileRefusedError as error:
            self._skip(path, sig, error.reason)
        except OSError as error:
            self._unsure.append((path, _reason(error)))
        else:
            blob, _ = name_blob(path, content, said)
            self._report(Observation(path, said.sign(read_sig), blob, size_bytes=len(content)))

    def _skip(self, path: str, sig: StatSig, reason: str) -> None:
        self._report(Observation(path, sig, skip_reason=reason))

    def _report(self, observation: Observation) -> None:
        self._part.append(observation)
        if len(self._part) == PART_FILES:
            self._post(Observed(self._command.scan_id, tuple(self._part), False))
            self._part.clear()


def _reason(error: OSError) -> str:
    return "unreadable" if isinstance(error, PermissionError) else f"os_error: {error.strerror or error}"
