"""Topics: questions about a project that the same few files answer nearly everywhere, by whatever words. Pure.

``which checks does CI run`` has hardly a word of `.github/workflows/test.yml`, and code has all of them. So a question
counts only if it says nothing else, as with `documents`. The table is `topics.toml`.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources

from regend.search.query.asked.documents import content_of

FILE = "topics.toml"
OVERVIEW = "overview"
"""The topic of what the project is."""
_QUESTION = re.compile(
    r"\s*(?:what|which|where|how|who|whose|when|is|are|does|do|can|show|list|find|tell|give|describe|explain|see|any)\b"
    r"|.*\?\s*$"
)
_OF_THIS = re.compile(r"\b(?:this|about|our)\b")
"""`what is this library` is about the project, `where is the library` is about code."""
_PROJECT = content_of("project repository repo codebase")
_BESIDE = _PROJECT | content_of(
    "code file files folder directory page list show find tell give describe explain please locate located look see "
    "read exist exists contain contains available current live lives kept"
)
"""Words that may stand beside those of any topic."""
_DEPTH = 0.05
"""The part that each folder above a file takes off: a project's own files lie at its top, those of its parts deeper."""
_MOST_DEPTH = 10


@dataclass(frozen=True)
class Topic:
    """A question that people ask of a project, and the files that tell.

    Attributes:
        alone: sets of stems, each of which asks for the files.
        asked: the same, for words that code has, too; they ask for the files in a question about the project.
        also: stems that may stand beside these.
        words: of the files' paths.
        files: regular expression of the end of a path in small letters.
        roles: that the files have; none if all count.
    """

    name: str
    alone: tuple[frozenset[str], ...]
    asked: tuple[frozenset[str], ...]
    also: frozenset[str]
    words: str
    files: str
    roles: frozenset[str]

    def fits(self, content: frozenset[str], is_question: bool) -> bool:
        """Return whether the stems of a query ask for the topic, and for nothing else."""
        lines = self.alone + self.asked if is_question else self.alone
        return any(line <= content and content - line <= self.also | _BESIDE for line in lines)

    def answer(self, path: str, role: str) -> float:
        """Return how much a file is one of those that tell, 0..1, by its path and its role."""
        found = self._path.fullmatch(path.lower()) if not self.roles or role in self.roles else None
        return 0.0 if found is None else 1.0 - _DEPTH * min(_MOST_DEPTH, found["above"].count("/"))

    @cached_property
    def _path(self) -> re.Pattern[str]:
        return re.compile(f"(?P<above>(?:[^/]+/)*?)(?:{self.files})")


def is_question(text: str) -> bool:
    """Return whether a text asks something: it begins with a question word or a verb such as "show", or ends so."""
    return _QUESTION.match(text.lower()) is not None


def topic_of(text: str) -> Topic | None:
    """Return the topic that a question is about: ``which license is this under``, ``CI configuration``."""
    content = content_of(text)
    if not content or not content <= _known():
        return None
    lowered = text.lower()
    asks = is_question(text) or bool(len(content) > 1 and content & _PROJECT)
    if content <= _BESIDE:
        asks = bool(_OF_THIS.search(lowered))
    pieces = re.split(r"[\s-]+", lowered.strip())
    fitting = (topic for topic in topics() if topic.fits(content, asks))
    # A single word may be anything, unless it is one of the files' own.
    return next((topic for topic in fitting if len(pieces) > 1 or pieces[0] in topic.words.split()), None)


@cache
def topics() -> tuple[Topic, ...]:
    """Return the table, in which the first fitting topic counts."""
    table = tomllib.loads(resources.files(__package__).joinpath(FILE).read_text("utf-8"))
    return tuple(
        Topic(
            name,
            _phrases(row.get("alone", "")),
            _phrases(row.get("asked", "")),
            content_of(row["also"]),
            row["words"],
            "|".join(row["files"]),
            frozenset(row.get("roles", ())),
        )
        for name, row in table.items()
    )


def _phrases(text: str) -> tuple[frozenset[str], ...]:
    return tuple(filter(None, map(content_of, text.split(","))))


@cache
def _known() -> frozenset[str]:
    """Return all stems of the table: a query with another one, as nearly all have, is about no topic."""
    return _BESIDE.union(*(topic.also.union(*topic.alone, *topic.asked) for topic in topics()))
