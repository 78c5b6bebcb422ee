"""The configuration of the HTTP gateway, and what an address may be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from regend.errors import ConfigError
from regend.fields import declare, hidden

EXAMPLE_ADDRESS = "127.0.0.1:7433"


@dataclass(frozen=True, slots=True)
class HttpConfig:
    """The HTTP gateway and its page."""

    listen: str = declare(
        f"where the gateway listens: a loopback address such as `{EXAMPLE_ADDRESS}`, or the absolute path of a Unix "
        "socket; empty: no gateway",
        "",
    )
    editor_link: str = declare(
        "link with which the page opens a file in your editor, such as `vscode://file{path}:{line}`; `{path}` and "
        "`{line}` are filled in; empty: no such link",
        "",
    )


@dataclass(frozen=True, slots=True)
class Address:
    """Where the gateway listens: a Unix socket, or a loopback host with a port, where 0 means any free port."""

    path: Path | None = None
    host: str = ""
    port: int = 0


def parse_address(listen: str, source: str = "configuration") -> Address | None:
    """Return the address that `http.listen` names; None if there is to be no gateway.

    Raises:
        ConfigError: it is no address, or one that other machines could reach.
    """
    if not listen:
        return None
    known = f"{source}: `http.listen` is {hidden(listen)!r}"
    if listen.startswith(("/", "~")):
        try:
            return Address(path=Path(listen).expanduser())
        except RuntimeError as error:
            raise ConfigError(f"{known}, but this machine has no user of that name; write the path out.") from error
    host, colon, port = listen.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not port.isascii() or not port.isdigit() or len(port) > 5 or int(port) > 65_535:
        raise ConfigError(
            f"{known}; it must be HOST:PORT such as `{EXAMPLE_ADDRESS}`, or the absolute path of a socket."
        )
    if not is_loopback(host):
        raise ConfigError(
            f"{known}; only this machine may ask, so the host must be `127.0.0.1`, `[::1]` or `localhost`."
        )
    return Address(host=host, port=int(port))


def is_loopback(host: str) -> bool:
    """Say whether a host name or an IP address without brackets means this machine, whatever a name server says."""
    if host.lower() == "localhost":
        return True
    from ipaddress import ip_address  # Takes longer to import than `regenctl` may wait.

    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
