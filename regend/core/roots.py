"""The state of a root beside its tree: whether it is there, and which places in it could not be looked at."""

from __future__ import annotations

from dataclasses import dataclass, field

AWAY = "the root is away: its directory is gone, or its file system does not answer"


@dataclass(slots=True)
class RootState:
    """A root that is served.

    Attributes:
        lost: its directory is gone; nothing is concluded until it is back.
        found_after: the newest scan id when it came back; scans up to it say nothing about the root itself.
        unsure: directories that could not be read -> when to look again, and the reason.
    """

    lost: bool = False
    found_after: int = -1
    unsure: dict[str, tuple[float, str]] = field(default_factory=dict)
