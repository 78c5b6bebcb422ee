"""The names of a project: those of its folders, and the one that its manifest declares."""

from __future__ import annotations

import re
from collections.abc import Mapping

from regend.search.query.asked.own_name import folder_names, usual_names
from regend.store.base import Entry, RootRecord, Snapshot
from regend.types import DOC_ORDINAL_BITS

_JSON = r'"name"\s*:\s*"([^"]+)"'
_TOML = r'^name\s*=\s*"([^"]+)"'
_GRADLE = r'^rootProject\.name\s*=\s*["\']([^"\']+)'
MANIFESTS: Mapping[str, re.Pattern[str]] = {
    file: re.compile(pattern, re.MULTILINE)
    for file, pattern in {
        "Cargo.toml": _TOML, "Project.toml": _TOML, "pyproject.toml": _TOML, "gleam.toml": _TOML,
        "composer.json": _JSON, "deno.json": _JSON, "elm.json": _JSON, "package.json": _JSON,
        "settings.gradle": _GRADLE, "settings.gradle.kts": _GRADLE,
        "CMakeLists.txt": r"(?i:^\s*project)\s*\(\s*([\w.-]+)",
        "DESCRIPTION": r"^Package:\s*(\S+)",
        "MODULE.bazel": r'^\s*name\s*=\s*"([^"]+)"',
        "Package.swift": r'\bPackage\(\s*name:\s*"([^"]+)"',
        "build.sbt": r'^\s*(?:ThisBuild / )?name\s*:=\s*"([^"]+)"',
        "build.zig.zon": r'^\s*\.name\s*=\s*[."]+(\w+)',
        "dune-project": r"^\(name\s+([^\s)]+)",
        "go.mod": r"^module\s+(\S+)",
        "meson.build": r"^project\s*\(\s*'([^']+)'",
        "mix.exs": r"\bapp:\s*:(\w+)",
        "pom.xml": r"<name>([\w .-]+)</name>",
        "project.clj": r"\(defproject\s+(\S+)",
        "pubspec.yaml": r"^name:\s*[\"']?([\w-]+)",
        "setup.cfg": r"^name\s*=\s*(\S+)",
        "setup.py": r'\bname\s*=\s*["\']([^"\']+)',
        "shard.yml": r"^name:\s*(\S+)",
    }.items()
}  # fmt: skip
"""Files at the top of a project, and what finds its name there."""
_READ_CHUNKS = 2
"""Chunks at the beginning of a manifest in which its name is looked for."""
_MOST_KNOWN = 1_024


class ProjectNames:
    """Finds the names of roots; owns what it has read in manifests. Any thread may use it."""

    def __init__(self) -> None:
        self._declared: dict[bytes, frozenset[str]] = {}

    def of(self, snapshot: Snapshot, root: RootRecord) -> frozenset[str]:
        """Return the names of a root."""
        names, pool = folder_names(root.path, root.pool_key), snapshot.pools[root.pool]
        for file, pattern in MANIFESTS.items():
            if (entry := pool.entry_at(root.root, file)) is not None:
                names |= self._names_in(snapshot, entry, pattern)
        return names

    def _names_in(self, snapshot: Snapshot, entry: Entry, pattern: re.Pattern[str]) -> frozenset[str]:
        known = self._declared.get(entry.blob)
        if known is None:
            first = entry.entry_id << DOC_ORDINAL_BITS
            views = snapshot.chunks(range(first, first + _READ_CHUNKS))
            found = pattern.search("\n".join(view.text for view in views))
            known = usual_names([found[1]] if found else ())
            if len(self._declared) >= _MOST_KNOWN:
                self._declared = {}
            self._declared[entry.blob] = known
        return known
