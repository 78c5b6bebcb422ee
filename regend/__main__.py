"""`regend`: the daemon in the foreground. Parses the command line, sets up logging, runs the event loop."""

from __future__ import annotations

from regend.interpreter import settle

if __name__ == "__main__":
    settle()

import argparse
import gc
import os
import resource
import sys
import threading
import time
from pathlib import Path
from typing import Any

from regend import __version__
from regend.config import load_config
from regend.errors import RegendError
from regend.paths import absolute, default_socket_path, default_state_dir

SWITCH_INTERVAL_S = 0.0005
"""Longest time that one thread keeps the interpreter from another. Python's 5 ms are a query's whole time budget."""

MAX_OPEN_FILES = 4_096
_THREADS_S = 1.0
"""How long threads have to end after the index is closed."""
_ONE_THREAD = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def parser() -> argparse.ArgumentParser:
    """Build the parser of the command line of `regend`."""
    made = argparse.ArgumentParser(
        prog="regend", description="Keep a fresh search index of source trees and answer questions over a Unix socket."
    )
    made.add_argument("--config", type=Path, metavar="F", help="configuration file (default: $REGEND_CONFIG)")
    made.add_argument("--state-dir", type=Path, metavar="D", help="where the index is kept ($REGEND_STATE_DIR)")
    made.add_argument("--socket", type=Path, metavar="P", help="Unix socket to listen on ($REGEND_SOCKET)")
    made.add_argument(
        "--root", type=Path, action="append", default=[], metavar="DIR", help="serve this directory too; repeatable"
    )
    made.add_argument("--log-format", choices=("console", "json"), default="console")
    made.add_argument("--log-file", type=Path, metavar="F", help="log to this file, which is rotated, not to stderr")
    made.add_argument("--trace", type=Path, metavar="F", help="at the end, write there when each stage ran (Perfetto)")
    made.add_argument("--log-level", choices=("debug", "info", "warning", "error"), default="info")
    made.add_argument("--version", action="version", version=f"regend {__version__}")
    return made


def _import_structlog() -> None:
    """Import structlog without rich: loading rich takes 50 ms of a start, and our tracebacks are plain."""
    hidden: dict[str, Any] = {} if "rich" in sys.modules else {"rich": None}
    sys.modules.update(hidden)
    try:
        import structlog  # noqa: F401 - so that it is there.
    finally:
        for name in hidden:
            del sys.modules[name]


def main(argv: list[str] | None = None) -> int:
    """Run the daemon until it is stopped, and return the exit status."""
    before = set(threading.enumerate())
    options = parser().parse_args(argv)
    os.umask(0o077)
    for name in _ONE_THREAD:  # Before numpy is imported: a query is too small to share among threads.
        os.environ.setdefault(name, "1")
    _import_structlog()
    from regend.daemon.logs import log, set_up_logging

    try:
        # Objects that are made during the start live on. Looking for garbage among them took a fifth of the time to the
        # first answer. `App` switches the collector on again.
        gc.disable()
        config = load_config(options.config)
        set_up_logging(options.log_format, options.log_level, options.log_file)
    except RegendError as error:
        print(f"regend: {error}", file=sys.stderr)
        return 1
    status = 1
    try:
        status = _serve(config, options)
    except RegendError as error:
        if options.log_file:
            log.error("ended", reason=str(error))
        print(f"regend: {error}", file=sys.stderr)
    except Exception as error:
        log.error(
            "ended", reason=f"a mistake of regend's own ({type(error).__name__}); please report it", exc_info=error
        )
    except KeyboardInterrupt:
        status = 130
    finally:
        gc.enable()
    if held := _held_threads(before):
        # Python would wait for them without end. Everything is closed, so nothing is lost.
        log.warning("threads_left_behind", threads=held)
        os._exit(status)
    return status


def _held_threads(before: set[threading.Thread]) -> list[str]:
    """Wait briefly for the threads that were started since; return the names of those that a file system holds."""
    deadline = time.monotonic() + _THREADS_S
    started = [thread for thread in threading.enumerate() if thread not in before and not thread.daemon]
    for thread in started:
        thread.join(max(0.0, deadline - time.monotonic()))
    return sorted(thread.name for thread in started if thread.is_alive())


def _raise_open_files() -> None:
    """Raise the limit on open files up to `MAX_OPEN_FILES`: each client and each watched root takes one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, MAX_OPEN_FILES) if hard != resource.RLIM_INFINITY else MAX_OPEN_FILES
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _serve(config: object, options: argparse.Namespace) -> int:
    import asyncio

    import uvloop

    from regend.config import Config
    from regend.daemon.app import App, Places
    from regend.daemon.logs import loop_failed
    from regend.daemon.notify import Notifier

    assert isinstance(config, Config)
    _raise_open_files()
    sys.setswitchinterval(SWITCH_INTERVAL_S)
    places = Places(
        state_dir=absolute(options.state_dir or default_state_dir()),
        socket=absolute(options.socket or default_socket_path()),
        trace=absolute(options.trace) if options.trace else None,
    )

    roots, ended = [absolute(root) for root in options.root], False

    async def serve() -> None:
        nonlocal ended
        asyncio.get_running_loop().set_exception_handler(loop_failed)
        await App(config, places, roots).run(Notifier.from_environ())
        ended = True

    try:
        uvloop.run(serve())
    except RuntimeError:
        if not ended:
            raise
        # To end the executor, asyncio starts a thread, and the system may refuse it. Everything is closed.
    return 0


if __name__ == "__main__":
    sys.exit(main())
