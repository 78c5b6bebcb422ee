"""Commands that watch and control the daemon, from status to stop; doctor and service have their own modules."""

from __future__ import annotations

from pathlib import Path

from regend.cli.call import call, client, connected
from regend.cli.progress import Progress, Watched, remaining
from regend.cli.terminal import print_json, printable, say, show, terminal_width
from regend.errors import RegendError, RpcError, count_text

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from typing import Any

    from regend.cli.terminal import Style

_GATEWAY_START_S = 10.0
"""Longest wait for the HTTP gateway of a daemon that has just started."""
_LOOK_EVERY_S = 0.1


def run_status(arguments: argparse.Namespace) -> int:
    if arguments.watch:
        from regend.cli.watch import watch_status

        return watch_status(arguments)
    if arguments.until_ready:
        from regend.cli.watch import wait_until_ready

        wait_until_ready(arguments)
    from regend.cli.roots import empty_reason
    from regend.cli.status_page import status_lines

    answer = call(arguments, "status")
    if not arguments.json:
        for root in answer["roots"]:
            if root["state"] == "ready" and not (root["files_indexed"] or root["files_skipped"]):
                root["reason"] = empty_reason(arguments, root["path"])
    return show(arguments, answer, lambda answer, style: status_lines(answer, style, terminal_width()))


def run_flush(arguments: argparse.Namespace) -> int:
    with connected(arguments) as daemon:
        try:
            with Watched(daemon.path, Progress()):
                answer = daemon.call("flush", timeout_s=arguments.timeout)
        except RpcError as error:
            if error.code != "timeout":
                raise
            left = remaining(daemon.call("status"))
            raise RpcError("\n  ".join([str(error), *left]), error.code) from error
    return show(arguments, answer, _flush_lines)


def _flush_lines(answer: dict[str, Any], style: Style) -> Iterator[str]:
    yield f"searchable at generation {answer['generation']} after {answer['took_ms']:.0f} ms"
    if answer["failed"]:
        yield style(f"{count_text(len(answer['failed']), 'place')} could not be indexed:", "yellow")
    elif not answer["complete"]:
        yield "some chunks are found by words only until their vectors come"
    for failed in answer["failed"]:
        yield f"  {printable(failed['root'])}/{printable(failed['path'])}: {printable(failed['reason'])}"


def run_sync(arguments: argparse.Namespace) -> int:
    answer = call(arguments, "sync", timeout_s=arguments.timeout)
    text = f"searchable by words at generation {answer['generation']} after {answer['took_ms']:.0f} ms"
    return say(arguments, answer, text)


def run_pause(arguments: argparse.Namespace) -> int:
    return say(
        arguments,
        call(arguments, "pause"),
        "indexing is paused; resume it with `regenctl resume`; queries are still answered",
    )


def run_resume(arguments: argparse.Namespace) -> int:
    return say(arguments, call(arguments, "resume"), "indexing is resumed")


def run_stop(arguments: argparse.Namespace) -> int:
    from regend.rpc.launch import wait_for_end

    with client(arguments) as daemon:
        status = daemon.call("status")
        answer = daemon.call("stop")
    wait_for_end(status)
    return say(arguments, answer, f"stopped (pid {status['pid']})")


def run_doctor(arguments: argparse.Namespace) -> int:
    from regend.cli.checks.doctor import doctor_command

    daemon = client(arguments)
    try:
        with daemon:
            pass  # It has found the place at which a daemon listens.
    except RegendError:
        pass  # The checks say why.
    return doctor_command(daemon.path, arguments.json, verify=arguments.verify)


def run_service(arguments: argparse.Namespace) -> int:
    from regend.cli.service import service_command

    rest = [word for word in arguments.rest if word != "--json"]
    return service_command(rest, arguments.json or len(rest) < len(arguments.rest))


def run_http(arguments: argparse.Namespace) -> int:
    """Print the link to the gateway's page, with its token."""
    address, token = http_access(arguments)
    header = f"Authorization: Bearer {token}"
    if arguments.json:
        print_json({"address": address, "link": f"{address}/?token={token}", "header": header})
    elif arguments.header:
        print(header)
    elif address.startswith("unix:"):
        print(f"curl --unix-socket {address.removeprefix('unix:')} -H '{header}' http://localhost/api/status")
    else:
        print(f"{address}/?token={token}")
    return 0


def http_access(arguments: argparse.Namespace) -> tuple[str, str]:
    """Return the gateway's address and token.

    Raises:
        RegendError: it does not run, also after a wait for one that starts.
    """
    from time import monotonic, sleep

    from regend.gateway.token import read_token

    with connected(arguments) as daemon:
        status = daemon.call("status")
        # The gateway is a process of its own, which serves a second or two after the daemon does.
        deadline = monotonic() + _GATEWAY_START_S
        while not status.get("http") and monotonic() < deadline and daemon.call("config")["config"]["http"]["listen"]:
            sleep(_LOOK_EVERY_S)
            status = daemon.call("status")
    if not (address := status.get("http", "")):
        raise RegendError(
            "The HTTP gateway does not run; turn it on with `regenctl config set http.listen 127.0.0.1:7433` and "
            "`regenctl restart`, or see `regenctl logs`."
        )
    return address, read_token(Path(status["state_dir"]))
