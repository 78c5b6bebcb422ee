"""The secret that a client of the gateway must show: 256 random bits in a file that only its owner may read."""

from __future__ import annotations

import os
import secrets
import stat
from pathlib import Path

from regend.errors import StoreError

FILE = "http-token"
"""Name of the file in the state directory. Without it, a new token is made at the next start of the gateway."""
_MAX_BYTES = 256


def token_file(state_dir: Path) -> Path:
    """Return where the token is kept."""
    return state_dir / FILE


def ensured_token(state_dir: Path) -> str:
    """Return the token; make it on first use.

    Raises:
        StoreError: the file cannot be used, is empty, or others may read it.
    """
    path = token_file(state_dir)
    made = secrets.token_urlsafe(32)
    whole = path.with_name(f"{FILE}.{os.getpid()}")
    try:
        if not path.exists():
            descriptor = os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "w") as stream:
                stream.write(made)
            try:
                path.hardlink_to(whole)  # Two that start at once agree on the first token.
            except FileExistsError:
                pass
            finally:
                whole.unlink()
    except OSError as error:
        raise StoreError(f"The token {path} cannot be made: {error.strerror}.") from error
    return read_token(state_dir)


def read_token(state_dir: Path) -> str:
    """Return the token that was made before; errors are those of `ensured_token`."""
    path = token_file(state_dir)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            found, raw = os.fstat(descriptor), os.read(descriptor, _MAX_BYTES)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise StoreError(f"The token {path} cannot be read: {error.strerror}; remove it to have a new one.") from error
    if stat.S_IMODE(found.st_mode) & 0o077 or found.st_uid != os.geteuid():
        raise StoreError(f"Others may read the token {path}; remove it, so that the next start makes a new one.")
    token = raw.decode("ascii", "replace").strip()
    if len(token) < 32 or not token.isascii() or not token.isprintable():
        raise StoreError(f"{path} holds no usable token; remove it, so that the next start makes a new one.")
    return token
