"""The log: what it may hold, where it is written, and that a failure to write it stops nothing.

It holds paths, counts and reasons. An unexpected error is logged as its type and traceback, without its message: the
message of a `KeyError` or a `ValueError` quotes a value, which may be a query or a line of the user's code.
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
import sys
import threading
import traceback
from collections.abc import Callable, MutableMapping
from functools import partial
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

import structlog

from regend.errors import PathError, StoreError

MAX_FILE_BYTES = 5_000_000
KEPT_FILES = 3
"""Older log files, named `F.1` to `F.3`."""
_QUOTABLE = (OSError, StoreError, ImportError)
"""Errors whose messages name files and never quote their content."""
_FRAMES = 40
_STDOUT, _STDERR = 1, 2

log = structlog.get_logger(__name__)


class Stream:
    """An open descriptor that drops lines instead of raising: the disk may be full, or the terminal closed."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def write(self, text: str) -> None:
        try:
            os.write(self._descriptor, text.encode("utf-8", "backslashreplace"))
        except OSError:
            pass  # There is no other place to report it.

    def flush(self) -> None:
        """Return at once: every line is already written."""


class RotatingFile(RotatingFileHandler):
    """A log file of bounded size, for its user only; at the bound it becomes `F.1`, and so on. Never raises later on.

    Raises:
        PathError: it cannot be opened.
    """

    terminator = ""

    def __init__(self, path: Path, max_bytes: int = MAX_FILE_BYTES, kept: int = KEPT_FILES) -> None:
        try:
            super().__init__(path, maxBytes=max_bytes, backupCount=kept)
        except OSError as error:
            raise PathError(f"The log file {path} cannot be written: {error.strerror}; name another one.") from error

    @property
    def names(self) -> list[str]:
        """Names of the file and of its older files."""
        return [self.baseFilename, *(f"{self.baseFilename}.{number}" for number in range(1, self.backupCount + 1))]

    def write(self, text: str) -> None:
        self.handle(logging.makeLogRecord({"msg": text}))

    def doRollover(self) -> None:  # noqa: N802 - the standard library's name.
        try:
            super().doRollover()
        except OSError:
            self.stream = self._open()  # The files cannot be renamed, so this one grows further.

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the standard library's name.
        """Drop the line: the disk may be full."""

    def _open(self) -> TextIOWrapper:
        raw = open(self.baseFilename, "ab", buffering=0, opener=_open_private)  # noqa: SIM115 - kept open.
        return TextIOWrapper(raw, "utf-8", "backslashreplace", write_through=True)


_file: RotatingFile | None = None
"""The log file of this process, if it has one; set where structlog is configured, which is one for the process, too."""


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o600)


def own_files() -> frozenset[tuple[int, int]]:
    """Return device and inode of the regular files that this process writes its log and output to; any thread.

    Nothing is remembered: files are rotated, and another file gets the inode of a deleted one.
    """
    found: set[tuple[int, int]] = set()
    looks: list[Callable[[], os.stat_result]] = [partial(os.fstat, _STDOUT), partial(os.fstat, _STDERR)]
    if (file := _file) is not None:
        looks += [partial(os.stat, name) for name in file.names]
        looks.append(lambda: os.fstat(file.stream.fileno() if file.stream else -1))  # It may have been renamed.
    for look in looks:
        try:
            status = look()
        except (OSError, ValueError):
            continue  # It is gone, or is being rotated.
        if stat.S_ISREG(status.st_mode):
            found.add((status.st_dev, status.st_ino))
    return frozenset(found)


def set_up_logging(form: str, level: str, file: Path | None = None) -> None:
    """Log for people, or as one JSON object a line, to a file or to standard error.

    Raises:
        PathError: the file cannot be written.
    """
    renderer: structlog.typing.Processor
    if form == "json":
        renderer = structlog.processors.JSONRenderer()
    else:
        colors = file is None and os.isatty(_STDERR)
        renderer = structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=structlog.dev.plain_traceback)
    global _file
    _file = None if file is None else RotatingFile(file)
    sink: Any = _file or Stream(_STDERR)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            show_errors,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level.upper()]),
        logger_factory=structlog.WriteLoggerFactory(file=sink),
    )
    logging.basicConfig(handlers=[_OfLibraries()], level=logging.WARNING, force=True)
    threading.excepthook = _thread_failed


def show_errors(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace `exc_info` by text (a processor of structlog)."""
    found = event.pop("exc_info", None)
    if found is True:
        found = sys.exc_info()
    error = found[1] if isinstance(found, tuple) else found
    if isinstance(error, BaseException):
        event["exception"] = shown(error)
    return event


def shown(error: BaseException, seen: set[int] | None = None) -> str:
    """Return the traceback of an error and of its causes, oldest first; messages only of `_QUOTABLE` errors.

    Args:
        seen: ids of errors that are told already. Each is told once, because a group may hold an error that it caused.
    """
    parts: list[str] = []
    seen = set() if seen is None else seen
    waiting: BaseException | None = error
    while waiting is not None and id(waiting) not in seen:
        seen.add(id(waiting))
        parts.append(_one(waiting, seen))
        waiting = waiting.__cause__ or (None if waiting.__suppress_context__ else waiting.__context__)
    return "\nwhich led to:\n".join(reversed(parts))


def _one(error: BaseException, seen: set[int]) -> str:
    said = type(error).__name__
    if isinstance(error, _QUOTABLE):
        said += f": {error}"
    text = "".join(traceback.format_tb(error.__traceback__, -_FRAMES)) + said
    if isinstance(error, BaseExceptionGroup):
        text += "".join(f"\n{told}" for one in error.exceptions if (told := shown(one, seen)))
    return text


def loop_failed(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log an error that the event loop could pass to no task."""
    log.error("event_loop_error", reason=str(context.get("message", "")), exc_info=context.get("exception"))


def _thread_failed(failed: threading.ExceptHookArgs) -> None:
    log.error("thread_failed", thread=failed.thread.name if failed.thread else "", exc_info=failed.exc_value)


class _OfLibraries(logging.Handler):
    """Logs which library warned and where; not its message, which may quote what the library was given."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        where = f"{record.module}:{record.lineno}"
        log.warning("library_warning", library=record.name, where=where, exc_info=error)
