"""The lock that keeps two daemons out of one state directory."""

from __future__ import annotations

import fcntl
import os
import stat
from pathlib import Path

from regend.errors import StoreError, StoreLockedError


def prepare_state_dir(state_dir: Path) -> None:
    """Create the state directory, readable by its owner only.

    Raises:
        StoreError: it cannot be created or used.
    """
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = state_dir.stat()
        if found.st_mode & stat.S_ISVTX or found.st_uid != os.geteuid():
            raise StoreError(
                f"State directory {state_dir} is shared with other users; name one of your own with --state-dir."
            )
        if found.st_mode & 0o077:
            state_dir.chmod(0o700)
    except OSError as error:
        raise _refusal(state_dir, error) from error


def _refusal(state_dir: Path, error: OSError) -> StoreError:
    return StoreError(
        f"State directory {state_dir} cannot be used: {error.strerror}; name another one with --state-dir."
    )


def sweep(state_dir: Path) -> None:
    """Remove what interrupted writes have left: our own `*.tmp` and tantivy's `.tmp*`. Only under the lock."""
    for path in state_dir.rglob("*tmp*"):
        if path.name.startswith(".tmp") or path.name.endswith(".tmp"):
            try:
                path.unlink(missing_ok=True)
            except OSError:
                pass  # It costs space and nothing else; the next start tries again.


class StateLock:
    """An flock on `<state_dir>/lock`, held until `release` or the end of the process.

    The directory itself is locked, too: users remove a lock file that they take for stale, and the directory stays.
    """

    def __init__(self, state_dir: Path) -> None:
        """Take the lock.

        Raises:
            StoreLockedError: another process holds it; the message names it.
            StoreError: the lock file cannot be opened or locked.
        """
        path = state_dir / "lock"
        try:
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _refusal(state_dir, error) from error
        self._directory = -1
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._directory = _locked(state_dir)
        except BlockingIOError:
            number = os.pread(self._fd, 32, 0).decode("ascii", "replace").strip()
            holder = f"process {number}" if number else "another process"
            os.close(self._fd)
            raise StoreLockedError(
                f"State directory {state_dir} is held by {holder}; stop that daemon or name another "
                "directory with --state-dir."
            ) from None
        except OSError as error:  # Such as ENOLCK, of a file system without locks.
            os.close(self._fd)
            raise _refusal(state_dir, error) from error
        try:
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)
        except OSError:
            pass  # For example, the disk is full. The lock holds, but its message cannot name this process.

    def release(self) -> None:
        """Release the lock. Harmless to repeat."""
        if self._fd >= 0:
            try:
                os.ftruncate(self._fd, 0)
            except OSError:
                pass  # A stale number in an unlocked file does no harm.
            if self._directory >= 0:
                os.close(self._directory)
            os.close(self._fd)
            self._fd = -1


def _locked(directory: Path) -> int:
    """Return the descriptor of the locked directory; -1 where the file system locks no directories, as NFS.

    Raises:
        BlockingIOError: another process holds it.
    """
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return -1
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise
        return -1
    return descriptor
