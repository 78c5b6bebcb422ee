"""Commands for agents and editors: mcp (the server, and its place in agents' configurations), savings, lsp."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from regend.cli.call import absolute, call
from regend.cli.terminal import columns, complain, print_json, printable, show
from regend.errors import DaemonNotRunningError, RegendError
from regend.paths import default_state_dir, socket_places

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Sequence
    from typing import Any

    from regend.mcp.install.clients import Client, Command
    from regend.mcp.install.installing import Change

ACTIONS = ("serve", "install", "uninstall", "list", "hook", "plugin")


def run_mcp(arguments: argparse.Namespace) -> int:
    if arguments.clients and arguments.action not in ("install", "uninstall"):
        raise RegendError(f"`regenctl mcp {arguments.action}` takes no names of clients; leave them out.")
    action: int = {
        "serve": _serve, "install": _install, "uninstall": _uninstall, "list": _list, "hook": _hook, "plugin": _plugin,
    }[arguments.action](arguments)  # fmt: skip
    return action


def run_lsp(arguments: argparse.Namespace) -> int:
    """Serve an editor over the Language Server Protocol."""
    try:
        from regend.lsp.server import serve
    except ModuleNotFoundError as error:
        raise RegendError(f"`regenctl lsp` needs the package `{error.name}`: install `regend[lsp]`.") from error
    return serve(absolute(arguments.socket) if arguments.socket else None, arguments.document_symbols)


def run_savings(arguments: argparse.Namespace) -> int:
    """Show what agents' answers saved, from the counts beside the index."""
    from regend.mcp.savings import counts

    try:
        state_dir = Path(call(arguments, "status")["state_dir"])
    except DaemonNotRunningError:
        state_dir = default_state_dir()
    found = counts(state_dir)
    return show(arguments, found, lambda found, _: _savings_lines(found))


def _savings_lines(found: dict[str, Any]) -> list[str]:
    tools: dict[str, dict[str, int]] = found.get("tools", {})
    if not tools:
        return ["No answer to an agent was counted yet; see `regenctl mcp install`."]
    total = {key: sum(own[key] for own in tools.values()) for key in ("answers", "tokens", "file_tokens")}
    rows = [
        (name, *(f"{own[key]:,}" for key in ("answers", "tokens", "file_tokens")))
        for name, own in [*sorted(tools.items()), ("together", total)]
    ]
    part = total["tokens"] / max(1, total["file_tokens"])
    return [
        f"since {found['since_utc']}",
        *columns([("tool", "answers", "tokens given", "tokens of the files"), *rows], right=frozenset({1, 2, 3})),
        f"The answers took {part:.0%} of the tokens of the files they name, by estimate.",
    ]


def _serve(arguments: argparse.Namespace) -> int:
    if arguments.http:
        return _http(arguments)
    from regend.mcp.stdio import Settings, serve

    root = absolute(arguments.root) if arguments.root else ""
    socket = absolute(arguments.socket) if arguments.socket else None
    status = serve(Settings(socket, root, arguments.add, arguments.manage))
    # Calls that hang in threads must not hold up the end.
    os._exit(status)


def _http(arguments: argparse.Namespace) -> int:
    """Print the entry of a client's configuration for the gateway's endpoint, in the form that most clients take."""
    from urllib.parse import quote

    from regend.cli.operations import http_access

    address, token = http_access(arguments)
    if address.startswith("unix:"):
        raise RegendError("Agents cannot use a Unix socket by HTTP; set `http.listen` to an address.")
    root = f"?root={quote(absolute(arguments.root))}" if arguments.root else ""
    entry = {"type": "http", "url": f"{address}/mcp{root}", "headers": {"Authorization": f"Bearer {token}"}}
    print_json({"mcpServers": {"regend": entry}})
    return 0


def _hook(arguments: argparse.Namespace) -> int:
    from regend.mcp.hook import run

    return run(absolute(arguments.socket) if arguments.socket else None, sys.stdin.buffer.read(1 << 20))


def _plugin(_: argparse.Namespace) -> int:
    from regend.mcp.install.guidance import PLUGIN

    print(PLUGIN)
    return 0


def _install(arguments: argparse.Namespace) -> int:
    from regend.mcp.install import installing
    from regend.mcp.install.guidance import put_skill, with_block

    command = _command(arguments)
    chosen = _chosen(arguments.clients)
    if not chosen and not arguments.guide:
        raise RegendError("No coding agent was found here; name one, as in `regenctl mcp install codex`.")
    trouble = "" if arguments.dry_run else installing.lists_tools(command, os.environ)
    if trouble:
        raise RegendError(f"The server does not work, so nothing was installed: {trouble}.")

    def added(client: Client, change: Change) -> None:
        said = "is there already" if change.changes_nothing else "added"
        _say(client, f"{said}: {change.file}; {_checked(client)}")
        if arguments.skill and client.skills:
            _say(client, f"skill: {put_skill(client.skills(os.environ))}")

    status = _changed(arguments, chosen, lambda client: installing.installation(client, os.environ, command), added)
    _rewrite(arguments, with_block)
    return status


def _changed(
    arguments: argparse.Namespace,
    clients: Sequence[Client],
    change_of: Callable[[Client], Change],
    done: Callable[[Client, Change], None],
) -> int:
    """Change the configuration of each client, or show what would change; return the exit code."""
    from regend.mcp.install.installing import carry_out

    failed = False
    for client in clients:
        try:
            change = change_of(client)
            if arguments.dry_run:
                sys.stdout.write(change.shown())
                continue
            if not change.changes_nothing:
                carry_out(change, os.environ)
            done(client, change)
        except RegendError as error:
            failed = _complain(client, error)
    return 2 if failed else 0


def _uninstall(arguments: argparse.Namespace) -> int:
    from regend.mcp.install import installing
    from regend.mcp.install.clients import CLIENTS
    from regend.mcp.install.guidance import drop_skill, without_block

    command = _command(arguments)
    chosen = _chosen(arguments.clients) if arguments.clients else CLIENTS

    def removed(client: Client, change: Change) -> None:
        if not change.changes_nothing:
            _say(client, f"removed: {change.file}")
        elif arguments.clients:
            _say(client, "is not installed")
        if client.skills and drop_skill(client.skills(os.environ)):
            _say(client, "skill removed")

    status = _changed(arguments, chosen, lambda client: installing.removal(client, os.environ, command), removed)
    _rewrite(arguments, without_block)
    return status


def _list(arguments: argparse.Namespace) -> int:
    from regend.mcp.install import installing
    from regend.mcp.install.clients import CLIENTS

    found: list[dict[str, Any]] = []
    for client in CLIENTS:
        try:
            there = installing.installed(client, os.environ) is not None
            state = "installed" if there else "found" if installing.is_present(client, os.environ) else "not found"
        except RegendError as error:
            state = str(error)
        found.append(
            {"client": client.name, "title": client.title, "state": state, "file": str(client.file(os.environ)),
             "seen": client.seen}
        )  # fmt: skip
    if arguments.json:
        print_json({"clients": found})
        return 0
    rows = [(f["client"], f["title"], f["state"], f["file"], _seen(f["seen"])) for f in found]
    for line in columns([("client", "name", "state", "configuration", "tried with"), *rows]):
        print(printable(line))
    return 0


def _command(arguments: argparse.Namespace) -> Command:
    from regend.mcp.install.installing import own_command

    socket = Path(absolute(arguments.socket) if arguments.socket else socket_places()[0])
    root = absolute(arguments.root) if arguments.root else ""
    return own_command(socket, root, arguments.add, arguments.manage)


def _chosen(names: Sequence[str]) -> list[Client]:
    """Return the named clients; without names, those that seem to be used here."""
    from regend.mcp.install.clients import BY_NAME, CLIENTS
    from regend.mcp.install.installing import is_present

    if unknown := [name for name in names if name not in BY_NAME]:
        raise RegendError(f"There is no client {unknown[0]!r}; known are {', '.join(BY_NAME)}.")
    return [BY_NAME[name] for name in names] or [client for client in CLIENTS if is_present(client, os.environ)]


def _checked(client: Client) -> str:
    from regend.mcp.install.installing import client_says

    said = client_says(client, os.environ)
    if said is None:
        return "configuration checked only"
    asked = f"`{client.program} {' '.join(client.lists)}`"
    if not said:
        return f"{client.title} does NOT list it, see {asked}"
    if re.search("fail|disabled|disconnected|error|pending", said, re.IGNORECASE):
        return f"{client.title} lists it, but says in {asked}: {said}"
    return f"{client.title} lists it"


def _rewrite(arguments: argparse.Namespace, change: Any) -> None:
    """Change the block in the file of rules that the user named, or show what would change."""
    from regend.mcp.install.installing import difference

    if not arguments.guide:
        return
    file = Path(absolute(arguments.guide))
    try:
        before = file.read_bytes().decode() if file.exists() else ""
        with_returns = 0 < before.count("\n") == before.count("\r\n")  # Each line ends as Windows has it.
        after = change(before.replace("\r\n", "\n") if with_returns else before)
        after = after.replace("\n", "\r\n") if with_returns else after
        if arguments.dry_run:
            sys.stdout.write(difference(file, before, after))
        if arguments.dry_run or after == before:
            return
        if after:
            file.write_bytes(after.encode())
        else:
            file.unlink()
    except (OSError, UnicodeDecodeError) as error:
        raise RegendError(f"{file} cannot be changed: {error}.") from error
    print(printable(f"changed: {file}"))


def _seen(version: str) -> str:
    return version or "configuration checked only"


def _say(client: Client, words: str) -> None:
    print(printable(f"{client.name}: {words}"))


def _complain(client: Client, error: RegendError) -> bool:
    complain(f"{client.name}: {error}")
    return True
