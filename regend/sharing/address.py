"""URLs of shared stores: which kind it is, how a connection is protected, and how it is shown. Pure."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from regend.errors import ConfigError

_SAFE_MODES = ("require", "verify-ca", "verify-full")
_POSTGRES = ("postgres", "postgresql")
_PLACES = re.compile(r"(?:(?:[^:@,\[\]]*|\[[^@,\[\]]*\])(?::\d*)?(?:,|$))*")
"""Hosts with ports, as they stand behind the user of a URL."""
_OPTION = re.compile("[a-z_]+=")


@dataclass(frozen=True, slots=True)
class Address:
    """A shared store's URL, checked.

    Attributes:
        kind: ``postgresql`` or ``sqlite``.
        url: as the user wrote it; it may hold a password.
        path: file of an SQLite store.
        tls: ``sslmode`` of a connection; empty where none leaves this machine.
        shown: the URL without user and password.
    """

    kind: str
    url: str
    path: str
    tls: str
    shown: str


def parse_address(url: str, key: str = "shared.url") -> Address:
    """Check a URL such as ``postgresql://ada@db.example.org/regend`` or ``sqlite:///srv/regend/shared.db``.

    Args:
        key: of the configuration, which errors name.

    Raises:
        ConfigError: it names no store, or a connection to another machine would be without TLS.
    """
    try:
        parts = urlsplit(url)
        query = parse_qs(parts.query, keep_blank_values=True)
        hosts = _hosts(parts.netloc.rpartition("@")[2], query)
    except ValueError:  # Its message may hold the password.
        raise ConfigError(f"`{key}` is not a URL; write it as the documentation shows.") from None
    if parts.scheme == "sqlite":
        if parts.netloc or not parts.path.startswith("/") or parts.path == "/":
            raise ConfigError(f"`{key}` of an SQLite store needs an absolute path: `sqlite:///srv/regend/shared.db`.")
        return Address("sqlite", url, unquote(parts.path), "", url)
    if parts.scheme not in _POSTGRES:
        raise ConfigError(f"`{key}` must begin with `postgresql://` or `sqlite:///`.")
    if _is_torn(parts):
        raise ConfigError(
            f"`{key}` cannot be read; write `@ / ? # :` in a user or a password as `%40 %2F %3F %23 %3A`, or keep the "
            "password in `~/.pgpass`."
        )
    if not hosts or "service" in query:
        raise ConfigError(f"`{key}` names no host; write it out, as in `postgresql://ada@db.example.org/regend`.")
    shown = f"postgresql://{','.join(hosts)}{parts.path}"
    mode = query.get("sslmode", [""])[-1]
    if all(map(_is_local, hosts)):
        return Address("postgresql", url, "", mode if mode in _SAFE_MODES else "", shown)
    if mode and mode not in _SAFE_MODES:
        raise ConfigError(
            f"`{key}` has `sslmode={mode}`, but {shown} is not this machine, and without TLS anyone on the way "
            f"could read and change vectors; use one of: {', '.join(_SAFE_MODES)}."
        )
    return Address("postgresql", url, "", mode or "verify-full", shown)


def _is_torn(parts: SplitResult) -> bool:
    """Tell whether a user or password has a character that ends it before the host, so that the rest would be shown."""
    places, query = parts.netloc.rpartition("@")[2], parts.query
    if not _PLACES.fullmatch(places) or parts.netloc.count("@") > 1 or "@" in parts.path or parts.fragment:
        return True
    is_named = "@" in parts.netloc or parts.path.strip("/")
    return bool(query) and (not all(map(_OPTION.match, query.split("&"))) or ("@" in query and not is_named))


def _hosts(netloc: str, query: dict[str, list[str]]) -> list[str]:
    """Return each host that a connection may go to, with its port where it is given."""
    named = (value for key in ("host", "hostaddr") for value in query.get(key, []))
    return [unquote(host) for part in (netloc, *named) for host in part.split(",") if host]


def _is_local(host: str) -> bool:
    """Tell whether a host is a Unix socket or a loopback address."""
    if host.startswith(("/", "@")):
        return True
    if host.startswith("["):
        host = host[1:].partition("]")[0]
    elif host.count(":") == 1:
        host = host.partition(":")[0]
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
