"""Entries of changelogs that name a commit or its pull request -> the source files of that commit."""

from __future__ import annotations

import re
from collections.abc import Iterator

from benchmarks.corpus.kinds.commit import cleaned_subject, source_files
from benchmarks.corpus.material import Material, Question
from benchmarks.corpus.mirrors import Commit
from benchmarks.corpus.prose import content_words, normalised, without_markup, without_references

LIMIT = 10
_CHANGELOG = re.compile(
    r"(?:.*[-_.])?(?:change[-_]?(?:log|s)|changes|history|news|release[-_]?(?:notes?|s))(?:[-_.].*)?(?:\.\w+)?",
    re.IGNORECASE,
)
_ENTRY = re.compile(
    r"^[ \t]{0,4}(?:[-*+•]|\d+[.)])[ \t]+(.+(?:\n(?![ \t]*(?:[-*+•#]|\d+[.)])\s)[ \t]+\S.*)*)", re.MULTILINE
)
_TRACKER = r":(?:issue|pr|pull|ghpull|gh|ticket|bug):`"
_NUMBER = re.compile(
    rf"(?:(?<![\w/])(?:#|GH-|{_TRACKER})|github\.com/([\w.-]+/[\w.-]+)/(?:pull|issues)/)(\d+)\b", re.IGNORECASE
)
_NUMBERED_LINK = re.compile(rf"\[#(\d+)\](?:\([^)]*\)|\[[^\]]*\])?|{_TRACKER}(\d+)`|`#(\d+) <[^>]*>`_*")
_ROLE = re.compile(r":[\w:]+:`[~!]?([^`<]+?)\s*(?:<[^>]*>)?`")
_NO_WORK = re.compile(r"first contribution|full changelog|^see\b|released?$", re.IGNORECASE)
_HASH = re.compile(r"\b(?=\w*\d)(?=\w*[a-f])[0-9a-f]{7,40}\b")
_CREDIT = re.compile(
    r"\s*[(\[]?\b(?:thanks?\b|by @|via @|contributed by|patch by|reported by|@)[^)\]]*[)\]]?\s*$|"
    r"(?:\s*(?:,|and|by|&)?\s*@[\w-]+)+\s*$|\s*[-–—(]\s*\**_?@?\[?@[\w-]+.*$|\s*\((?:[A-Z][\w.'-]+ ?){1,4}\)\s*$|"
    r"\s+[-–—] (?:[A-Z][\w.'-]+ ?){1,3}$",
    re.IGNORECASE,
)
_WORDS = 4
_MAX_CHARS = 200


def questions(material: Material) -> list[Question]:
    """Ask up to `LIMIT` questions whose words are not those of the commit itself."""
    by_number: dict[str, list[Commit]] = {}
    for commit in material.commits:
        for number in _numbers(commit.subject, material.name):
            by_number.setdefault(number, []).append(commit)
    by_hash = {commit.object_id[:7]: commit for commit in material.commits}
    own_name = material.name.partition("+")[2]
    asked: dict[str, Question] = {}
    for entry in material.drawn("title", _entries(material), str):
        numbered = {commit.object_id: commit for n in _numbers(entry, material.name) for commit in by_number.get(n, ())}
        hashed = {
            c.object_id: c for h in _HASH.findall(entry) if (c := by_hash.get(h[:7])) and c.object_id.startswith(h)
        }
        commits = list((numbered | hashed).values())
        text = _cleaned(entry, own_name)
        if len(commits) != 1 or not text or not (files := source_files(material, commits[0])):
            continue
        said, subject = normalised(text), normalised(without_references(commits[0].subject))
        if said not in subject and subject not in said:
            asked.setdefault(said, Question(text, files, commits[0].object_id))
        if len(asked) == LIMIT:
            break
    return list(asked.values())


def _numbers(text: str, name: str) -> set[str]:
    """Return the numbers of the repository's own issues and pull requests that a text names."""
    own = name.replace("+", "/", 1).lower()
    text = re.sub(r"\[#\d+\]\((http[^)]*)\)|`#\d+ <(http[^>]*)>`", r"\1\2 ", text)  # The address says whose it is.
    return {number for repository, number in _NUMBER.findall(text) if repository.lower() in ("", own)}


def _entries(material: Material) -> Iterator[str]:
    """Yield the entries of all changelogs, each on one line."""
    for path in material.contents:
        if path.count("/") <= 3 and _CHANGELOG.fullmatch(path.rpartition("/")[2]):
            for entry in _ENTRY.findall(material.text(path)):
                yield re.sub(r"\s+", " ", entry)


def _cleaned(entry: str, own_name: str) -> str:
    """Return what an entry says, without numbers, names of people and markup; "" for one that asks for nothing."""
    text = re.sub(r"[(\[]+`?" + _HASH.pattern + r"`?\]?(?:\([^)]*\))?\)?", "", entry)
    text = _NUMBERED_LINK.sub(lambda match: "#" + next(filter(None, match.groups())), text)
    text = _ROLE.sub(r"\1", text)
    text = without_references(text)
    text = re.sub(
        r"^(?:!?\s*)?thanks,? (?:to )?\[?@[\w-]+\]?(?:\([^)]*\))?[!.]*\s*[-–—:]\s*|\s*\(,.*$",
        "",
        text,
        flags=re.IGNORECASE,
    )
    for _ in range(2):
        text = _CREDIT.sub("", text).strip(" -–,;:")
    text = without_references(without_markup(text))
    text = re.split(r"(?<=\w[.!?])\s+(?=[A-Z])", text)[0].strip(" .-–,;:<*")
    text = re.sub(r"[\s,;(]+(?:closes|fixes|fix|see|via|in|by|for|cf)$", "", text)
    text = re.sub(r"^\[([^\]]*)\]$", r"\1", text).strip(" .")
    if (
        text.count("(") != text.count(")")
        or text.count("[") != text.count("]")
        or text.count("`") % 2
        or _NO_WORK.search(text)
    ):
        return ""
    if len(text) > _MAX_CHARS or len(content_words(text)) < _WORDS or not cleaned_subject(text, own_name):
        return ""
    return text
