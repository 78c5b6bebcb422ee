"""`regenctl push`: gives the shared store the vectors of one commit, so that other daemons embed nothing of it.

It checks the commit out into a directory of its own, lets a daemon of its own index it, and removes both. The
repository, its worktree and the user's daemon stay as they are.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path
from time import monotonic, sleep

from regend.cli.terminal import print_json, printable
from regend.config import load_config, shared_pools, user_path
from regend.errors import ConfigError, RootError, RpcError, count_text
from regend.overrides import variable_of
from regend.rpc.client import Client
from regend.rpc.launch import start_daemon, wait_for_end

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from typing import Any

_POLL_S = 0.1
_GIT_LIMIT_S = 600.0


def run_push(arguments: argparse.Namespace) -> int:
    """Push one commit; return 0 once the store has all of it."""
    from regend.disk.remotes import origins_of  # The other commands start without it.
    from regend.sharing.naming import pool_name

    config = load_config()
    if not config.shared.url:
        raise ConfigError("No shared store is configured; set `shared.url`.")
    top = Path(_git(Path.cwd(), "rev-parse", "--show-toplevel"))
    commit = _git(top, "rev-parse", "--verify", "--end-of-options", f"{arguments.commit}^{{commit}}")
    origins = origins_of(top)
    name = shared_pools(config.shared).get(top) or pool_name(origins.remotes, origins.root_commits)
    if not name:
        raise ConfigError(f"Nothing names the pool of {top} beyond this machine; name it in `shared.pools`.")
    remote = {user_path(path, "embedding.remote_roots") for path in config.embedding.remote_roots}
    with tempfile.TemporaryDirectory(prefix="regend-push-") as directory:
        home = Path(directory).resolve()
        tree = home / "tree"
        tree.mkdir()
        _check_out(top, commit, tree, home / "index")
        environ = {
            **os.environ,
            "REGEND_STATE_DIR": str(home / "state"),
            variable_of("shared.roots"): str(tree),
            variable_of("shared.pools"): f"{name}={tree}",
            # A remote model may have the text of the commit if it may have that of the worktree.
            variable_of("embedding.remote_roots"): str(tree) if top in remote else "",
        }
        socket = home / "s"
        start_daemon(socket, environ)
        with Client(socket, arguments.timeout, name="regenctl") as daemon:
            daemon.call("add", path=str(tree))
            try:
                status = _finished(daemon, arguments.timeout)
            finally:
                status_now = daemon.call("status")
                daemon.call("stop")
        wait_for_end(status_now)
    return _report(arguments, name, commit, status)


def _finished(daemon: Client, timeout_s: float) -> dict[str, Any]:
    """Wait until the store has everything; return the daemon's status."""
    deadline = monotonic() + timeout_s
    while True:
        status = daemon.call("status")
        (root,) = status["shared"]["roots"]
        upgrade = status["model"].get("upgrade")
        lacking = upgrade.get("chunks_lacking", 1) if upgrade else 0
        if status["complete"] and not (lacking or root["waiting"] or root["whole"]):
            return status
        if root["error"]:
            raise RpcError(f"The shared store refuses: {root['error']}")
        if monotonic() >= deadline:
            why = status["shared"]["error"] or f"{count_text(root['waiting'], 'chunk')} still to be sent"
            raise RpcError(f"Not everything was sent within {timeout_s:g} s: {why}; run it again, and it goes on.")
        sleep(_POLL_S)


def _report(arguments: argparse.Namespace, pool: str, commit: str, status: dict[str, Any]) -> int:
    shared, (root,) = status["shared"], status["roots"]
    done = {
        "pool": pool,
        "commit": commit,
        "chunks": root["chunks"],
        "embedded": status["counters"]["embedded_chunks"],
        "reused": shared["reused"],
        "pushed": shared["pushed"],
        "withheld": shared["withheld"],
    }
    if arguments.json:
        print_json(done)
        return 0
    print(
        f"{printable(pool)} has commit {commit[:12]}: {count_text(done['chunks'], 'chunk')}, "
        f"{done['embedded']:,} embedded here, {done['reused']:,} reused, {done['pushed']:,} new"
    )
    return 0


def _check_out(top: Path, commit: str, tree: Path, index: Path) -> None:
    """Write the files of a commit; the repository's own index is not touched."""
    own = {"GIT_INDEX_FILE": str(index)}
    _git(top, "read-tree", commit, environ=own)
    _git(top, "checkout-index", "--all", "--quiet", f"--prefix={tree}/", environ=own)


def _git(directory: Path, *arguments: str, environ: dict[str, str] | None = None) -> str:
    command = ["git", "-C", str(directory), *arguments]
    try:
        done = subprocess.run(
            command, env={**os.environ, **(environ or {})}, stdin=subprocess.DEVNULL, capture_output=True,
            timeout=_GIT_LIMIT_S, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RootError(f"git cannot be asked: {error}; `regenctl push` needs it.") from error
    if done.returncode:
        said = done.stderr.decode(errors="replace").strip().partition("\n")[0]
        raise RootError(f"git refuses: {said}; run `regenctl push` in a repository, with a commit that it has.")
    return os.fsdecode(done.stdout).strip()
