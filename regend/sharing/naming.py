"""Names of pools: what two clones of a repository have in common, wherever they are. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

_SCP = re.compile(r"(?:[^@/:\s]+@)?([\w.-]+|\[[0-9a-fA-F:]+\]):(?![:/]{2}|:)(.+)", re.ASCII)
"""git's short form of an SSH address: ``git@host:path``."""
_USUAL_PORTS = {"ssh": 22, "git+ssh": 22, "ssh+git": 22, "http": 80, "https": 443, "git": 9418}


def normal_url(url: str) -> str:
    """Return ``host/path`` of a remote repository, whichever protocol and user name it; empty for a local path."""
    if "://" in url:
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError:
            return ""
        if parts.scheme not in _USUAL_PORTS or not host:
            return ""
        path = parts.path
        if port not in (None, _USUAL_PORTS[parts.scheme]):
            host = f"{host}:{port}"
    else:
        found = _SCP.fullmatch(url)
        if found is None or len(found[1]) == 1:  # One letter is a drive.
            return ""
        host, path = found[1].lower(), found[2]
    path = re.sub(r"/+", "/", path).strip("/").removesuffix(".git").rstrip("/")
    return f"{host}/{path}" if path else ""


def pool_name(remotes: Mapping[str, str], root_commits: Sequence[str]) -> str:
    """Name the pool of a repository.

    The URL of `origin` names it, otherwise that of the remote whose name comes first, otherwise the first commit:
    shallow clones have no first commit, and forks share it without sharing their readers.

    Args:
        remotes: name of each remote -> its URL.
        root_commits: commits without a parent.

    Returns:
        The name; empty where nothing names the repository beyond this machine.
    """
    for remote in sorted(remotes, key=lambda name: (name != "origin", name)):
        if name := normal_url(remotes[remote]):
            return name
    return f"commit:{min(root_commits)}" if root_commits else ""
