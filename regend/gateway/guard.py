"""Who may ask: Host and Origin against other web pages, and the token against other users. No IO here.

A page of another site can make a browser send requests to loopback, and by DNS rebinding even read the answers under
its own host name. So a request must name loopback as its host, and its origin, if it has one, must be the gateway
itself. https://developer.mozilla.org/en-US/docs/Web/Security/Attacks/DNS_rebinding
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from regend.errors import RpcError
from regend.gateway.settings import is_loopback

COOKIE = "regend-token"
_BEARER = "bearer "


@dataclass(frozen=True, slots=True)
class Guard:
    """Checks requests.

    Attributes:
        cookie: its name; cookies of one host are sent to all of its ports, so the name holds the port.
    """

    token: str
    cookie: str = COOKIE

    def check_place(self, host: str, headers: Mapping[str, str]) -> None:
        """Refuse a request that was not meant for us, or that a page of another origin has sent.

        Args:
            host: value of the header `Host`.

        Raises:
            RpcError: with code ``wrong_host`` or ``wrong_origin``.
        """
        name = _host_name(host)
        if name is None or not is_loopback(name):
            raise RpcError(
                f"This request is for the host {host[:80]!r}; ask 127.0.0.1 or localhost.", code="wrong_host"
            )
        origin = headers.get("Origin")
        if origin is not None and origin.lower() != f"http://{host.lower()}":
            raise RpcError(f"Pages of {origin[:80]!r} may not ask this gateway.", code="wrong_origin")
        if headers.get("Sec-Fetch-Site", "none") == "cross-site":
            raise RpcError("Pages of other sites may not ask this gateway.", code="wrong_origin")

    def check_token(self, headers: Mapping[str, str], cookies: Mapping[str, str]) -> None:
        """Refuse a request without the right token.

        Raises:
            RpcError: with code ``unauthorized``.
        """
        given = headers.get("Authorization", "")
        shown = given[len(_BEARER) :].strip() if given.lower().startswith(_BEARER) else cookies.get(self.cookie, "")
        if not self.accepts(shown):
            raise RpcError(
                "The token is missing or wrong; open the link that `regenctl http` prints, or send the header "
                "`Authorization: Bearer TOKEN`.",
                code="unauthorized",
            )

    def accepts(self, token: str) -> bool:
        """Compare a token with ours, in a time that does not tell how much of it is right."""
        return hmac.compare_digest(token.encode("utf-8", "surrogateescape"), self.token.encode())


def _host_name(host: str) -> str | None:
    """Return the name in a `Host` header, without brackets and port; None if it is malformed."""
    try:
        parts = urlsplit(f"//{host}")
        parts.port  # noqa: B018 - raises for a wrong port.
    except ValueError:
        return None
    return parts.hostname if parts.netloc == host and "@" not in host and not parts.path else None
