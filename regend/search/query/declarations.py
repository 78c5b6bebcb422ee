"""Declarations: which files only declare what another one beside them implements. Pure."""

from __future__ import annotations

import re

_IMPLEMENTED_IN = {
    suffix: tuple(sources.split())
    for suffixes, sources in (
        ("h hh hpp hxx h++", "c cc cpp cxx c++ m mm cu"), ("mli", "ml mly mll"), ("fsi", "fs"), ("rei", "re"),
        ("resi", "res"), ("sig", "sml"), ("pyi", "py"), ("pxd", "pyx py"), ("rbi", "rb"), ("hs-boot", "hs lhs"),
        ("ads", "adb"), ("d.ts", "js ts jsx tsx"), ("d.mts", "mjs mts"), ("d.cts", "cjs cts"),
    )
    for suffix in suffixes.split()
}  # fmt: skip
"""Endings of files that only declare, each with those of the files that implement them."""
_DECLARING = re.compile(rf"(.+?)\.({'|'.join(map(re.escape, sorted(_IMPLEMENTED_IN, key=len, reverse=True)))})")
_INTERFACE = re.compile(r"I([A-Z].*\.cs)")


def implementations_of(path: str) -> tuple[str, ...]:
    """Return the paths beside a file that implement what it declares, if there are such files."""
    folder, slash, name = path.rpartition("/")
    found = _DECLARING.fullmatch(name)
    names = [f"{found[1]}.{ending}" for ending in _IMPLEMENTED_IN[found[2]]] if found else []
    if interface := _INTERFACE.fullmatch(name):
        names.append(interface[1])
    return tuple(folder + slash + each for each in names)
