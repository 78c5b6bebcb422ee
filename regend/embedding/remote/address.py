"""Addresses of embedding servers: what of them may be shown, and which of them are on this machine."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from regend.errors import ConfigError


def is_loopback_url(url: str) -> bool:
    """Tell whether requests to `url` stay on this machine; no for host names other than ``localhost``."""
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def origin_of(url: str) -> str:
    """Return the part of a URL that may be shown: scheme, host and port.

    Raises:
        ConfigError: it is not usable.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and parts.hostname and not (parts.username or parts.password)
        if usable and (parts.port is None or parts.port > 0) and not parts.query and not parts.fragment:
            return f"{parts.scheme}://{parts.netloc}"
    except ValueError:
        pass  # Said below, without what may be a password in it.
    raise ConfigError(
        "A URL in `embedding.urls` is not usable; give an http or https URL such as http://127.0.0.1:8080/v1, without "
        "credentials or query, and name the variable that holds the key in `embedding.api_key_env`."
    )
