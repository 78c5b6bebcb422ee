"""Opens the Unix socket: private to the user, and never taken from a daemon that is alive.

`asyncio` and `uvloop` unlink any socket at the path, even a live one, and open theirs to every user. So this module
makes the socket and passes it to them. It needs a directory of mode 0700 that belongs to the user and is no symlink,
holds a lock file beside the socket for life, probes an existing socket by connecting to it, and gives it mode 0600.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import struct
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from regend.errors import ConfigError, PathError, StoreLockedError
from regend.paths import holds_sockets_only

BACKLOG = 512
MAX_PATH_BYTES = 103 if sys.platform == "darwin" else 107
"""`sun_path` holds 104 or 108 bytes, of which the last is NUL."""
_SYSTEMD_FIRST_FD = 3
_PROBE_TIMEOUT_S = 1.0


@dataclass(slots=True)
class Listener:
    """A listening socket, its file and its lock; owned by the daemon.

    Attributes:
        sock: bound and listening, non-blocking.
        path: of the socket file.
        lock_fd: open file that holds the lock; -1 after `close`.
        inode: ``(device, inode)`` of the socket file; None for a socket that systemd made.
    """

    sock: socket.socket
    path: Path
    lock_fd: int
    inode: tuple[int, int] | None

    def is_reachable(self) -> bool:
        """Tell whether the socket's file is still in its place; systemd looks after its own."""
        if self.inode is None:
            return True
        try:
            found = self.path.lstat()
        except OSError:
            return False
        return (found.st_dev, found.st_ino) == self.inode

    def renew(self) -> None:
        """Listen again at the same path; the earlier socket is left to the server that accepts clients on it.

        Raises:
            RegendError: see `open_listener`; the listener stays as it is.
        """
        _make_private_directory(self.path.parent)
        lock_fd = self.lock_fd if _is_lock_of(self.path, self.lock_fd) else _lock(self.path)
        try:
            _remove_stale(self.path)
            self.sock, self.inode = _bind(self.path)
        except BaseException:
            if lock_fd != self.lock_fd:
                os.close(lock_fd)
            raise
        if lock_fd != self.lock_fd:
            os.close(self.lock_fd)
            self.lock_fd = lock_fd

    def close(self) -> None:
        """Close the socket, unlink its file if it is the same, and release the lock; a second call does nothing."""
        self.sock.close()
        if self.inode is not None:
            try:
                found = self.path.lstat()
                if (found.st_dev, found.st_ino) == self.inode:
                    self.path.unlink()
            except OSError:
                # The file is gone or cannot be reached, so there is nothing to remove.
                pass
            self.inode = None
        if self.lock_fd >= 0:
            os.close(self.lock_fd)
            self.lock_fd = -1


def open_listener(path: Path, environ: Mapping[str, str] = os.environ) -> Listener:
    """Use systemd's socket if the daemon was given one, otherwise make one at `path`.

    Args:
        path: absolute path of the socket; ignored when systemd passes one.
        environ: holds `LISTEN_PID` and `LISTEN_FDS`.

    Raises:
        StoreLockedError: another daemon holds the path.
        PathError: the directory or what is at the path is not safe to use.
        ConfigError: the path is too long for a Unix socket, or systemd passed something else.
    """
    passed = _systemd_socket(environ)
    if passed is not None:
        where = Path(os.fsdecode(passed.getsockname()))
        try:
            return Listener(passed, where, _lock(where), None)
        except BaseException:
            passed.close()
            raise
    raw = os.fsencode(path)
    if len(raw) > MAX_PATH_BYTES:
        raise ConfigError(
            f"The socket path {path} has {len(raw)} bytes, but {MAX_PATH_BYTES} is the most the system allows; "
            "name a shorter one with --socket."
        )
    _make_private_directory(path.parent)
    lock_fd = _lock(path)
    try:
        _remove_stale(path)
        sock, inode = _bind(path)
        return Listener(sock, path, lock_fd, inode)
    except BaseException:
        os.close(lock_fd)
        raise


def peer_credentials(sock: socket.socket) -> tuple[int, int]:
    """Return the user id and process id (0 if unknown) of the peer, as the kernel knows them.

    Raises:
        OSError: the system cannot tell.
    """
    if sys.platform == "darwin":  # struct xucred of <sys/ucred.h>; not tested on macOS.
        raw = sock.getsockopt(0, 1, 76)
        return struct.unpack_from("=II", raw)[1], 0
    pid, uid, _gid = struct.unpack("=iII", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return uid, pid


def _systemd_socket(environ: Mapping[str, str]) -> socket.socket | None:
    """Return the first socket passed by systemd (`sd_listen_fds(3)`), or None."""
    if environ.get("LISTEN_PID") != str(os.getpid()):
        return None
    count = environ.get("LISTEN_FDS", "")
    if not count.isdigit() or int(count) < 1:
        return None
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)  # A child process must not use the socket.
    try:
        sock = socket.socket(fileno=_SYSTEMD_FIRST_FD)
    except OSError as error:
        raise ConfigError(f"systemd passed file descriptor 3, which is not a socket: {error.strerror}.") from error
    sock.set_inheritable(False)
    sock.setblocking(False)
    if sock.family != socket.AF_UNIX or sock.type != socket.SOCK_STREAM or not sock.getsockname():
        sock.detach()
        raise ConfigError("systemd passed a socket that is no Unix stream socket; use ListenStream= with a path.")
    return sock


def _make_private_directory(directory: Path) -> None:
    """Create it with mode 0700, or check that it is safe, through one descriptor, so that it cannot be swapped."""
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        directory.mkdir(mode=0o700, exist_ok=True)
        fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENOTDIR, errno.EEXIST):
            raise PathError(
                f"The socket directory {directory} is a symlink or no directory; remove it or name another socket."
            ) from error
        raise PathError(
            f"The socket directory {directory} cannot be used: {error.strerror}; name another with --socket."
        ) from error
    try:
        found = os.fstat(fd)
    finally:
        os.close(fd)
    if found.st_mode & stat.S_ISVTX:
        raise PathError(
            f"The socket directory {directory} is shared with other users; name a socket in one of its own with "
            f"--socket, such as {directory}/regend-{os.geteuid()}/regend.sock."
        )
    if found.st_uid != os.geteuid():
        raise PathError(
            f"The socket directory {directory} belongs to user {found.st_uid}, not to you ({os.geteuid()}); "
            "name another with --socket."
        )
    if found.st_mode & 0o077:
        known = f"The socket directory {directory} has mode {stat.S_IMODE(found.st_mode):04o}, so others may enter it"
        if holds_sockets_only(directory):
            raise PathError(f"{known}; run `chmod 700 {directory}` or name another with --socket.")
        raise PathError(f"{known}; name a socket in a directory of its own with --socket.")


def _lock(path: Path) -> int:
    """Lock `path`.lock and write the pid there. The file is never removed, or two daemons could hold a lock."""
    lock_path = path.with_name(path.name + ".lock")
    try:
        fd = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise PathError(f"The lock file {lock_path} cannot be opened: {error.strerror}; remove it.") from error
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
        os.close(fd)
        if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
            raise PathError(f"The lock file {lock_path} cannot be locked: {error.strerror}.") from error
        raise _held(path, holder or "unknown") from error
    os.ftruncate(fd, 0)
    os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
    return fd


def _is_lock_of(path: Path, lock_fd: int) -> bool:
    try:
        return os.path.samestat(path.with_name(path.name + ".lock").lstat(), os.fstat(lock_fd))
    except OSError:
        return False


def _held(path: Path, holder: str) -> StoreLockedError:
    return StoreLockedError(
        f"Another regend (pid {holder}) holds the socket {path}; stop it with `regenctl stop` or pick another --socket."
    )


def _remove_stale(path: Path) -> None:
    """Remove a socket of this user at `path` that no daemon listens on."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(found.st_mode):
        raise PathError(f"{path} exists and is not a socket; move it away or name another with --socket.")
    if found.st_uid != os.geteuid():
        raise PathError(f"The socket {path} belongs to user {found.st_uid}; name another with --socket.")
    # This daemon holds the lock, so only one whose lock file was removed can still be alive here.
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_TIMEOUT_S)
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
        except OSError:
            # A daemon that is busy or slow is alive.
            raise _held(path, "unknown") from None
        try:
            _uid, pid = peer_credentials(probe)
        except OSError:
            pid = 0
        raise _held(path, str(pid) if pid else "unknown")


def _bind(path: Path) -> tuple[socket.socket, tuple[int, int]]:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.bind(str(path))
        path.chmod(0o600)  # No umask, which would hold for all threads; until now, the directory keeps others out.
        made = path.lstat()
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise PathError(
            f"The socket {path} cannot be created: {error.strerror}; name another with --socket."
        ) from error
    return sock, (made.st_dev, made.st_ino)
