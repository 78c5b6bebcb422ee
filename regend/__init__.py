"""A daemon that keeps a semantic and lexical index of source trees fresh and answers questions about them.

`regend.Client` asks it from Python; it is loaded at its first use.
"""

from __future__ import annotations

__version__ = "0.1.0"
__all__ = ["Client", "__version__"]

TYPE_CHECKING = False
if TYPE_CHECKING:
    from regend.client import Client


def __getattr__(name: str) -> object:
    if name != "Client":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return import_module("regend.client").Client
