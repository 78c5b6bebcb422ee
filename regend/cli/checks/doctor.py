"""`regenctl doctor`: check what regend needs from this machine, and say how to repair what is wrong.

It changes nothing and needs no running daemon, except for `--verify`. Heavy packages are imported in another process:
an extension that was built for another processor kills the process that imports it, and doctor must report that.
"""

from __future__ import annotations

import os
import resource
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from regend import __version__
from regend.cli.checks.finding import Check
from regend.cli.checks.limits import check_files_of, check_inotify, check_open_files, sysctl_remedy
from regend.cli.terminal import Style, print_json
from regend.config import Config, load_config
from regend.errors import ConfigError, DaemonNotRunningError, RegendError, count_text
from regend.interpreter import child_command
from regend.limits import MAX_WAIT_S
from regend.paths import APPLICATION_ID, CATALOG, STATE_FORMAT, default_state_dir, holds_sockets_only
from regend.rpc.client import Client

PACKAGES = (
    "aiohttp", "hnswlib", "msgpack", "msgspec", "numpy", "pathspec", "rich", "sqlite3", "structlog",
    "tantivy", "tomlkit", "tree_sitter", "tree_sitter_language_pack", "uvloop", "watchdog",
)  # fmt: skip
MIN_PYTHON = (3, 11)
LOW_DISK_BYTES = 1_000_000_000
"""Free space below which doctor warns; a guess: the index of a tree of 7,000 files is much smaller."""
FULL_DISK_BYTES = 100_000_000
_PACKAGES_TIMEOUT_S = 60.0
_ANSWER_TIMEOUT_S = 5.0
_LONG_LAG_S = 600.0
"""Chunks for a shared store that wait for longer have met a fault."""
_MAX_NAMED = 10
_PROBE = """
import importlib, sys
for name in sys.argv[1:]:
    print(name, flush=True)
    try:
        importlib.import_module(name)
        print("", flush=True)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}".replace("\\n", " "), flush=True)
"""


def doctor_command(socket: str, as_json: bool, environ: Mapping[str, str] = os.environ, *, verify: bool = False) -> int:
    """Check everything and print it.

    Args:
        socket: the socket that `regenctl` would use.
        verify: ask the daemon to compare its index with the disk, which reads every file.

    Returns:
        1 when a check failed, else 0.
    """
    checks = list(run_checks(Path(socket), environ))
    if verify:
        checks += check_index(Path(socket))
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        style = Style.of(sys.stdout)
        print("\n".join(_line(check, style) for check in checks))
    return 1 if any(check.result == "fail" for check in checks) else 0


def run_checks(socket: Path, environ: Mapping[str, str]) -> Iterator[Check]:
    """Yield the findings of all checks in order; no check depends on another's result."""
    yield check_python(sys.version_info[:3])
    yield check_packages(PACKAGES)
    yield check_git(environ)
    config, check = check_config(environ)
    yield check
    status, daemon = check_daemon(socket)
    state_dir = Path(str(status["state_dir"])) if status.get("state_dir") else default_state_dir(environ)
    yield check_directory("state directory", state_dir)
    yield from check_state(state_dir)
    yield check_disk(state_dir)
    yield check_directory("socket directory", socket.parent)
    yield check_open_files(resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    if sys.platform == "linux":
        yield from check_inotify(config, status)
        yield from check_files_of(status)
    yield daemon
    yield from check_roots(status)
    yield from check_shared(status)


def check_python(version: tuple[int, ...]) -> Check:
    shown = ".".join(map(str, version))
    if version < MIN_PYTHON:
        return Check("python", "fail", shown, "Install regend with Python 3.11 or newer.")
    return Check("python", "ok", f"{shown} ({sys.executable})")


def check_packages(names: tuple[str, ...]) -> Check:
    """Import every package in one other process, and name those that cannot be imported."""
    remedy = "Install regend again in this environment: pip install --force-reinstall regend"
    command = [*child_command(_PROBE), *names]
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_PACKAGES_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return Check("packages", "fail", f"they could not be imported: {error}", remedy)
    lines = done.stdout.splitlines()
    broken = [f"{name}: {error}" for name, error in zip(lines[::2], lines[1::2], strict=False) if error]
    if done.returncode:
        ended = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
        broken.append(f"{lines[-1] if lines else 'Python'} ended the process ({ended})")
        if lines[-1:] == ["hnswlib"]:
            remedy = (
                "hnswlib was built for another processor: "
                "HNSWLIB_NO_NATIVE=1 pip install --force-reinstall --no-binary hnswlib --no-cache-dir hnswlib"
            )
    if broken:
        return Check("packages", "fail", "; ".join(broken), remedy)
    return Check("packages", "ok", f"{len(names)} can be imported")


def check_git(environ: Mapping[str, str]) -> Check:
    found = shutil.which("git", path=environ.get("PATH"))
    if found is None:
        remedy = "Install git; without it the global excludes that its configuration names are not honoured."
        return Check("git", "warn", "not on PATH", remedy)
    return Check("git", "ok", found)


def check_config(environ: Mapping[str, str]) -> tuple[Config, Check]:
    """Return the configuration (all defaults if it is wrong), and the finding."""
    try:
        config = load_config(environ=environ)
    except ConfigError as error:
        return Config(), Check(
            "configuration",
            "fail",
            str(error),
            "`regenctl config validate` checks it; `regenctl config --all` shows every key.",
        )
    key = config.embedding.api_key_env
    if key and not environ.get(key):
        remedy = f"Set {key} where the daemon starts; for the service, in the file `environment` beside config.toml."
        return config, Check("configuration", "warn", f"`embedding.api_key_env` names {key}, which is not set", remedy)
    return config, Check("configuration", "ok", "valid")


def check_directory(name: str, directory: Path) -> Check:
    """Check that only this user may enter the directory, or that it can be created."""
    try:
        found = directory.lstat()
    except FileNotFoundError:
        return _check_creatable(name, directory)
    except OSError as error:
        return Check(name, "fail", f"{directory}: {error.strerror}", f"Check the permissions above {directory}.")
    if not stat.S_ISDIR(found.st_mode) and not (name == "state directory" and directory.is_dir()):
        return Check(name, "fail", f"{directory} is not a directory", f"Move {directory} away.")
    if stat.S_ISLNK(found.st_mode):
        found = directory.stat()
    mode = stat.S_IMODE(found.st_mode)
    if mode & stat.S_ISVTX:
        place = "REGEND_STATE_DIR" if name == "state directory" else "REGEND_SOCKET"
        detail = f"{directory} is shared with other users (mode {mode:04o})"
        return Check(name, "fail", detail, f"Name a place in a directory of your own with {place}.")
    if found.st_uid != os.geteuid():
        remedy = "Name another place, in a directory of your own."
        return Check(name, "fail", f"{directory} belongs to user {found.st_uid}, not to {os.geteuid()}", remedy)
    if not os.access(directory, os.R_OK | os.W_OK | os.X_OK):
        return Check(name, "fail", f"{directory} cannot be written", f"chmod 700 {directory}")
    if mode & 0o077:
        # The daemon restricts its state directory itself, but refuses a socket directory that others can enter.
        result = "warn" if name == "state directory" else "fail"
        remedy = f"chmod 700 {directory}"
        if name != "state directory" and not holds_sockets_only(directory):
            remedy = (
                f"Name a socket in a directory of its own with REGEND_SOCKET, such as {directory}/regend/regend.sock."
            )
        return Check(name, result, f"{directory} has mode {mode:04o}: others may enter", remedy)
    return Check(name, "ok", str(directory))


def _check_creatable(name: str, directory: Path) -> Check:
    above = _nearest_existing(directory.parent)
    if above.is_dir() and os.access(above, os.W_OK | os.X_OK):
        return Check(name, "ok", f"{directory} does not exist yet")
    remedy = f"Create {directory} with mode 0700 for user {os.geteuid()}, or name another place."
    return Check(name, "fail", f"{directory} does not exist and cannot be created in {above}", remedy)


def _nearest_existing(place: Path) -> Path:
    while not place.exists() and place != place.parent:
        place = place.parent
    return place


def check_disk(state_dir: Path) -> Check:
    place = _nearest_existing(state_dir)
    try:
        free_bytes = shutil.disk_usage(place).free
    except OSError as error:
        return Check("disk", "warn", f"free space of {place} is unknown: {error.strerror}", "Check it with `df`.")
    return _disk_check(free_bytes, place)


def _disk_check(free_bytes: int, place: Path) -> Check:
    detail = f"{free_bytes / 1e9:.1f} GB free for {place}"
    if free_bytes >= LOW_DISK_BYTES:
        return Check("disk", "ok", detail)
    result = "warn" if free_bytes >= FULL_DISK_BYTES else "fail"
    return Check("disk", result, detail, "Free some space, or move the index with REGEND_STATE_DIR.")


def check_state(state_dir: Path) -> Iterator[Check]:
    """Check the catalog's format by its header (https://www.sqlite.org/fileformat.html), and report earlier damage."""
    catalog = state_dir / CATALOG
    try:
        with catalog.open("rb") as file:
            header = file.read(100)
    except (FileNotFoundError, NotADirectoryError):
        yield Check("catalog", "ok", f"{catalog} does not exist yet")
    except OSError as error:
        yield Check("catalog", "fail", f"{catalog} cannot be read: {error.strerror}", f"chmod 600 {catalog}")
    else:
        yield _catalog_check(catalog, header)
    if damaged := sorted(state_dir.glob(f"{CATALOG}.damaged-*")):
        size_mb = sum(file.stat().st_size for file in damaged) / 1e6
        detail = f"{len(damaged)} damaged catalogs were put aside, {size_mb:.1f} MB, such as {damaged[-1]}"
        yield Check("catalogs", "warn", detail, "Check the disk, and remove them when you no longer need them.")


def _catalog_check(catalog: Path, header: bytes) -> Check:
    if not header:
        return Check("catalog", "ok", f"{catalog} is empty")
    is_own = header[:16] == b"SQLite format 3\0" and int.from_bytes(header[68:72], "big") == APPLICATION_ID
    found = int.from_bytes(header[60:64], "big")
    log = catalog.with_name(f"{CATALOG}-wal")
    if not (is_own and found >= STATE_FORMAT) and log.exists() and log.stat().st_size:
        # All of a new catalog, and the new format of an older one, are in the log at first.
        return Check("catalog", "ok", "its write-ahead log is in use; a start checks both")
    if not is_own:
        detail = f"{catalog} is not a catalog of regend"
        remedy = "The next start puts a damaged catalog aside; move another program's file away, or name another place."
        return Check("catalog", "fail", detail, remedy)
    if found > STATE_FORMAT:
        remedy = "Use the newer regend, or name another place with REGEND_STATE_DIR."
        detail = f"{catalog} has format {found}, but this regend knows {STATE_FORMAT} at most"
        return Check("catalog", "fail", detail, remedy)
    if found < STATE_FORMAT:
        return Check("catalog", "ok", f"format {found}, which the next start changes to {STATE_FORMAT}")
    return Check("catalog", "ok", f"format {found}")


def _ask(socket: Path, method: str, **params: Any) -> dict[str, Any]:
    with Client(str(socket), timeout_s=_ANSWER_TIMEOUT_S, name="doctor") as client:
        return client.call(method, **params)


def check_daemon(socket: Path) -> tuple[dict[str, Any], Check]:
    """Return the daemon's `status` (empty without a daemon), and the finding."""
    try:
        status = _ask(socket, "status")
    except DaemonNotRunningError:
        if socket.is_socket():
            detail = f"not running, and it left a stale socket {socket}"
            return {}, Check("daemon", "warn", detail, "`regenctl start`; it removes the stale socket itself.")
        remedy = "`regenctl start`, or `regenctl service install` to start it at every login."
        return {}, Check("daemon", "warn", f"not running: no process listens on {socket}", remedy)
    except RegendError as error:
        if error.code == "sandboxed":
            return {}, Check("daemon", "fail", str(error), "Run regenctl outside of the sandbox to check the daemon.")
        if error.code == "foreign_socket":
            return {}, Check("daemon", "fail", str(error), "`regenctl start` with a socket of your own.")
        return {}, Check("daemon", "fail", str(error), "See `regenctl logs`, then `regenctl restart`.")
    roots = count_text(len(status.get("roots", ())), "root")
    detail = f"version {status.get('version')}, pid {status.get('pid')}, {roots}"
    if status.get("version") != __version__:
        remedy = "regenctl restart"
        return status, Check("daemon", "warn", f"{detail}, but regenctl is version {__version__}", remedy)
    if status.get("paused"):
        return status, Check("daemon", "warn", f"{detail}, indexing is paused", "regenctl resume")
    if status.get("held_back"):
        return status, Check("daemon", "warn", f"{detail}, indexing is held back", " ".join(status["held_back"]))
    return status, Check("daemon", "ok", detail)


def check_shared(status: Mapping[str, Any]) -> Iterator[Check]:
    """Yield the findings about the shared store, from the daemon's `status`; nothing where none is configured."""
    shared = status.get("shared")
    if not shared:
        return
    waiting = sum(root["waiting"] for root in shared["roots"])
    detail = f"{shared['store']}: {shared['reused']:,} reused, {shared['pushed']:,} given, {waiting:,} waiting"
    problems = [shared["error"], shared["search_error"]]
    problems += [f"{root['path']}: {root['error']}" for root in shared["roots"] if root["error"]]
    leases = [root["lease_s"] for root in shared["roots"] if root.get("lease_s") is not None]
    if leases:
        detail += f", leases run for {count_text(round(min(leases) / 86_400), 'day')}"
    if (lag_s := max((root.get("lag_s", 0.0) for root in shared["roots"]), default=0.0)) > _LONG_LAG_S:
        problems.append(f"Chunks wait for {count_text(round(lag_s / 60), 'minute')}.")
    if any(problems):
        remedy = "Ask it with `regenctl store`; texts are embedded here until it answers."
        yield Check("shared store", "warn", f"{detail}; {' '.join(filter(None, problems))}", remedy)
    else:
        yield Check("shared store", "ok", detail)


def check_roots(status: Mapping[str, Any]) -> Iterator[Check]:
    """Yield a finding for each root, from the daemon's `status`."""
    for root in status.get("roots", ()):
        name, state = f"root {root['path']}", root["state"]
        skipped = root.get("skipped_by_reason", {})
        failed = sum(count for reason, count in skipped.items() if reason.startswith("quarantined"))
        detail = f"{state}: {count_text(root['files_indexed'], 'file')}, {root.get('pending', 0)} pending"
        why = root.get("reason") or ""
        if why:
            detail += f" ({why})"
        if state == "hung":
            yield Check(name, "warn", detail, "Check the mount and its server, then: regenctl status")
        elif state == "gone":
            yield Check(name, "warn", detail, f"Mount or restore it, or: regenctl remove {root['path']}")
        elif state == "degraded":
            yield Check(name, "warn", detail, sysctl_remedy(why) or "`regenctl logs` says more.")
        elif str(root.get("watching", "")).startswith("polled"):
            remedy = sysctl_remedy(why) or "Raise `watch.max_watches`, unless another machine may change its files."
            yield Check(name, "warn", f"{detail}, {root['watching']}", remedy)
        elif failed:
            remedy = "regenctl why FILE says what went wrong; a changed file is tried again."
            yield Check(name, "warn", f"{detail}, {count_text(failed, 'file')} quarantined", remedy)
        else:
            yield Check(name, "ok", detail)


def check_index(socket: Path) -> Iterator[Check]:
    """Ask the daemon to compare its index with the disk and to index again what differs."""
    try:
        found = _ask(socket, "verify", timeout_s=MAX_WAIT_S)
    except DaemonNotRunningError:
        yield Check("index", "fail", "no daemon is running to compare it with the disk", "regenctl start")
        return
    except RegendError as error:
        yield Check("index", "fail", str(error), "See `regenctl status`; try again when it is idle.")
        return
    if found["damage"]:
        remedy = "regenctl restart: the daemon puts the file aside and indexes the roots again."
        yield Check("index pages", "fail", found["damage"], remedy)
    else:
        yield Check("index pages", "ok", "sound")
    count = len(found["differing"]) + found["more"]
    if not count:
        yield Check("index", "ok", f"{count_text(found['files'], 'file matches', 'files match')} the disk")
        return
    named = "; ".join(f"{one['root']}/{one['path']}: {one['reason']}" for one in found["differing"][:_MAX_NAMED])
    more = f"; and {count - _MAX_NAMED} more" if count > _MAX_NAMED else ""
    remedy = "The daemon has indexed them again. Check the disk, unless you changed these files just now."
    yield Check("index", "warn", f"{count} of {count_text(found['files'], 'file')} differed: {named}{more}", remedy)


def _line(check: Check, style: Style) -> str:
    word = f"{check.result:<5}"
    if check.result != "ok":
        word = style(word, {"warn": "yellow", "fail": "red"}[check.result])
    remedy = f"\n      -> {check.remedy}" if check.remedy else ""
    return f"{word} {check.name}: {check.detail}{remedy}"
