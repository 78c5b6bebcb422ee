"""Sources held out of training: evaluation repositories, packages made from them, and their copies in others."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

EVAL = Path(__file__).resolve().parent.parent.parent / "shared" / "eval"
_RELATED = {
    "rails": "rails railties activerecord activesupport actionpack actionview actionmailer activemodel activejob actioncable activestorage",
    "Newtonsoft.Json": "newtonsoft newtonsoft.json newtonsoft-json json.net",
    "abseil-cpp": "abseil absl abseil-cpp",
    "commons-lang": "commons-lang commons-lang3 commons-lang2 lang3 libcommons-lang-java libcommons-lang3-java",
    "jackson-databind": "jackson-databind databind jackson2-databind",
    "framework": "laravel illuminate",
    "serde": "serde serde-derive serde_derive serde-test serde_test",
    "tokio": "tokio tokio-macros tokio-util tokio-stream tokio-test",
    "axum": "axum axum-core axum-macros",
    "json": "nlohmann nlohmann-json nlohmann-json3",
    "libuv": "libuv libuv1 uv",
    "xmonad": "xmonad xmonad-contrib",
    "guzzle": "guzzle guzzlehttp psr7",
    "redux": "redux reduxjs",
    "kotlinx.coroutines": "kotlinx.coroutines kotlinx-coroutines coroutines",
    "vitest": "vitest",
    "trpc": "trpc",
    "requests": "requests",
    "plug": "plug plug_crypto",
    "phoenix": "phoenix phoenix_html phoenix_pubsub phoenix_live_view",
    "ecto": "ecto ecto_sql",
    "mini.nvim": "mini.nvim",
    "chi": "go-chi",
    "fmt": "fmtlib",
    "zig": "ziglang zig",
    "cats": "typelevel cats-core cats-effect",
    "exposed": "exposed",
    "MessagePack-CSharp": "messagepack-csharp",
    "core": "vue vuejs vue3",
    "http": "dart-http",
}
"""Further names under which a repository is packaged or copied. Some names are too common to be excluded as a folder's
(`json`, `framework`, `fmt`, `chi`, `core`, `http`); for those only these are."""
_COMMON = frozenset({"json", "framework", "fmt", "chi", "zig", "core", "http"})


@cache
def excluded_repositories() -> tuple[str, ...]:
    """Return the repositories (`owner/name`) that search is judged by: those held out, and the development part."""
    listed = [
        line for line in (EVAL / "held-out-repositories.txt").read_text().splitlines() if "/" in line and line[0] != "#"
    ]
    return (*listed, *(entry["github"] for entry in json.loads((EVAL / "search-dev.json").read_text())))


def is_excluded_repository(github: str) -> bool:
    """Tell whether a repository is one of these or a fork of one under the same name, unless the name is common."""
    excluded = {repository.lower() for repository in excluded_repositories()}
    name = github.lower().partition("/")[2]
    forked = {repository.partition("/")[2] for repository in excluded} - _COMMON
    return github.lower() in excluded or name in forked


@cache
def excluded_names() -> frozenset[str]:
    """Return the lower-case names of packages, folders and file stems that are left out."""
    names: set[str] = set()
    for repository in excluded_repositories():
        name = repository.partition("/")[2]
        names.update(_RELATED.get(name, "").lower().split())
        if name.lower() not in _COMMON:
            names.add(name.lower())
    return frozenset(names)


def is_excluded_package(name: str) -> bool:
    """Tell whether a package is one of these by name: `libcurl4`, `python3-requests`, `golang-github-spf13-cobra-dev`, ….

    Any part of the name that is such a name excludes it, so some packages that are merely related are left out too.
    """
    whole = name.lower()
    names = excluded_names()
    parts = [part for part in re.split(r"[-/@_+]+|\.(?!\w+$)", whole) if part]
    parts += [re.sub(r"^lib|[\d.]+$", "", part) for part in parts]
    joined = ["-".join(parts[a:b]) for a in range(len(parts)) for b in range(a + 1, min(a + 4, len(parts)) + 1)]
    return whole in names or bool(names & {*parts, *joined}) or whole.startswith(("ruby-active", "ruby-action"))


def is_excluded_path(path: str) -> bool:
    """Tell whether a path runs through a folder, or names a file, that is called like one of these (a vendored copy)."""
    names = excluded_names()
    parts = path.lower().split("/")
    stem = parts[-1].rpartition(".")[0]
    versionless = (re.sub(r"[-_]v?\d[\d.]*.*$", "", part) for part in parts[1:-1])
    return stem in names or any(part in names for part in parts[1:-1]) or any(part in names for part in versionless)
