"""The project's own name in a question about the project: ``what is celery``, ``how do I run the celery tests``. Pure.

All files of a project may hold its name, so it tells none of them apart, and such a question asks what `documents` and
`topics` answer. Without this it would be a question about code, because they answer only what says nothing else.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from functools import lru_cache

from regend.search.query.asked.documents import asks_for_documents
from regend.search.query.asked.topics import OVERVIEW, is_question, topic_of

_FOLDERS_OF_GIT = (".git", ".bare")
_ENDING = re.compile(r"(?:\.\w{1,4}|[-_.]?v?\d+(?:\.\d+)+|[-_](?:main|master|trunk|src|develop))\Z", re.IGNORECASE)
"""Ends of folders' names that are no part of the project's: ``Pluto.jl``, ``django-5.2.19``, ``flask-main``."""
_PARTS = """
api app application backend build client cli code common core demo dev dist docs example examples frontend lib library
main monorepo my-app myapp name package private project root sample server service shared site src test tests tool
tools ui unknown utils web website workspace
"""
_NO_NAMES = frozenset(_PARTS.split())
"""Names that say what a part is for, so a question with one need not be about the whole."""
_MAJOR = re.compile(r"/v\d+\Z")
_WORD = re.compile(r"[^\W_]+")
_MIN_CHARS = 2
_IS_WHAT = re.compile(r"\b(?:what|how|about|describe|explain|overview)\b", re.IGNORECASE)


@lru_cache(maxsize=256)
def folder_names(path: str, pool_key: str) -> frozenset[str]:
    """Return the names that a root's folder and its repository give to the project.

    Args:
        pool_key: of `RootRecord`; linked worktrees have the name of the repository that they belong to, too.
    """
    repository = posixpath.dirname(pool_key) if posixpath.basename(pool_key) in _FOLDERS_OF_GIT else pool_key
    return usual_names((repository, path))


def usual_names(given: Iterable[str]) -> frozenset[str]:
    """Return names as people say them, without folders, owners and versions, such as ``mux`` of ``gorilla/mux/v2``."""
    whole = {posixpath.basename(_MAJOR.sub("", name)) for name in given}
    names = whole | {_ENDING.sub("", name) for name in whole}
    return frozenset(name for name in names if len(name) >= _MIN_CHARS and name.lower() not in _NO_NAMES)


def as_this_project(text: str, names: Iterable[str]) -> str:
    """Return the question with ``this project`` for its name if it is about the project only then, else as it is."""
    name = _pattern(frozenset(names))
    if name is None or not name.search(text) or asks_for_documents(text) or topic_of(text) is not None:
        return text
    for stand_in in ("this project",) if is_question(text) else ("", "project"):
        pieces = name.split(text)  # Text and article in turn.
        pieces[1::2] = (article or stand_in for article in pieces[1::2])
        other = " ".join("".join(pieces).split())
        topic = topic_of(other)
        if asks_for_documents(other) or (topic and (topic.name != OVERVIEW or _IS_WHAT.search(text))):
            return other
    return text


@lru_cache(maxsize=256)
def _pattern(names: frozenset[str]) -> re.Pattern[str] | None:
    """Compile what finds one of the names as a word, with the article before it."""
    spelt = filter(None, (r"[\W_]?".join(_WORD.findall(name)) for name in names))
    longest_first = "|".join(sorted(spelt, key=lambda one: (-len(one), one)))
    if not longest_first:
        return None
    # A question of how something is done with a tool is about the tool's code.
    tool = r"(?<!(?<!started )with )(?<!using )(?<!via )(?<!by )"
    name = rf"{tool}(?<![\w./@#:-])(?:{longest_first})(?:'s)?(?![\w/:(-]|\.\w)"
    return re.compile(rf"(\b(?:an?|the|its|our|this)\s+)?{name}", re.IGNORECASE)
