"""Where the key of an embedding server comes from: a file of mode 0600, the system's keyring, or the environment.

A key is in no message, representation or log. It is read when it is needed and kept only as long as its source says the
same.
"""

from __future__ import annotations

import asyncio
import importlib
import os
import stat
from pathlib import Path

from regend.config import EmbeddingConfig, user_path
from regend.errors import ConfigError, ProviderUnavailableError

_LONGEST_KEY = 4_096


class KeySource:
    """Finds the key as configured.

    Args:
        preset_env: variable that holds the key of the preset's own server; empty where another server is asked.

    Raises:
        ConfigError: `api_key_keyring` has no user, the package is not installed, or `api_key_file` names no user.
    """

    def __init__(self, config: EmbeddingConfig, preset_env: str, who: str) -> None:
        self._who = who
        self._file = user_path(config.api_key_file, "embedding.api_key_file") if config.api_key_file else None
        self._service, _, self._user = config.api_key_keyring.rpartition("/")
        self._env = config.api_key_env or ("" if self._file or self._user else preset_env)
        self._kept = ""
        if config.api_key_keyring:
            if not (self._service and self._user):
                raise ConfigError("`embedding.api_key_keyring` must be `service/user`, as in `regend/voyage`.")
            try:
                self._keyring = importlib.import_module("keyring")
            except ImportError as error:
                raise ConfigError(
                    "`embedding.api_key_keyring` needs the package `keyring`: install `regend[keyring]`, or use "
                    "`embedding.api_key_file`."
                ) from error

    @property
    def is_named(self) -> bool:
        """Whether a key is to be sent at all."""
        return bool(self._file or self._user or self._env)

    async def key(self) -> str:
        """Get the key; empty when none is configured.

        Raises:
            ProviderUnavailableError: it is configured and cannot be read.
        """
        if self._file is not None:
            return self._usable(await asyncio.to_thread(self._from_file, self._file), f"the file {self._file}")
        if self._user:
            place = f"the keyring's entry {self._service}/{self._user}"
            self._kept = self._kept or self._usable(await asyncio.to_thread(self._from_keyring), place)
            return self._kept
        if self._env:
            return self._usable(os.environ.get(self._env, ""), f"the variable {self._env}")
        return ""

    def denied(self) -> None:
        """Forget the key, which the server refuses; look for a new one next time."""
        self._kept = ""

    def _usable(self, value: str, place: str) -> str:
        key = value.strip()
        if not key.isascii() or not key.isprintable() or not key:
            fault = "holds characters that no key has" if key else "is empty"
            raise self._missing(place, f"{fault}; set it")
        return key

    def _from_file(self, path: Path) -> str:
        try:
            # Not through a link that another user may turn elsewhere; and never wait for a pipe.
            handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise self._missing(f"the file {path}", f"cannot be read: {error.strerror}") from error
        try:
            status = os.fstat(handle)
            if not stat.S_ISREG(status.st_mode) or status.st_uid != os.geteuid():
                raise self._missing(f"the file {path}", "is not a regular file of yours")
            if status.st_mode & 0o077:
                raise self._missing(f"the file {path}", f"has mode {status.st_mode & 0o777:04o}; `chmod 600` it")
            return os.read(handle, _LONGEST_KEY).decode(errors="replace")
        finally:
            os.close(handle)

    def _missing(self, place: str, fault: str) -> ProviderUnavailableError:
        return ProviderUnavailableError(f"{self._who} needs a key, but {place} {fault}.", kind="key")

    def _from_keyring(self) -> str:
        try:
            return str(self._keyring.get_password(self._service, self._user) or "")
        except Exception as error:  # Backends raise what they like.
            raise self._missing("the keyring", f"does not answer: {type(error).__name__}") from error
