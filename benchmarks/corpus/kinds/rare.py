"""Words and identifiers that exactly one file of the tree holds -> that file, whatever its role."""

from __future__ import annotations

import re
from collections.abc import Iterable

from benchmarks.corpus.material import Material, Question
from benchmarks.corpus.sources import CODE, PROSE
from regend.chunking.chunker import is_generated
from regend.chunking.grammars import TEXT

LIMIT = 8
_MAX_FILE_CHARS, _MAX_LINE_CHARS = 200_000, 1_000
_OTHER = frozenset(("yaml", "toml", "make", "cmake", "dockerfile", "ini", "css", "html", "xml", "sql", "proto"))
_WORD = re.compile(r"(?<![\w\\%&#$@.-])[A-Za-z_][A-Za-z0-9_]{4,39}(?![\w-])")
_SPELT = re.compile(r"_?[A-Za-z]+(?:_[A-Za-z]+)*\d?")
_UNLIKELY = re.compile(r"[^aeiouy_]{5}|[aeiou]{4}|(.)\1\1|^[0-9a-f]+$|^.*[xqz]{2}", re.IGNORECASE)
_NOT_ASKED = re.compile(
    r"(?:lock|snap|map|svg|csv|pem|crt|key|env)$|\bmin\.|(?:^|/)(?:fixtures?|testdata|snapshots?)/|(?:^|/)\.env"
)
"""Files whose words no person types."""
_DRAWN = 60


def questions(material: Material) -> list[Question]:
    """Ask up to `LIMIT` questions, half of them about source, each about another file."""
    lowered = {path: text.lower() for path in material.contents if (text := material.text(path))}
    holder: dict[str, str] = {}
    spelling: dict[str, str] = {}
    for path in lowered:
        for word in set(_WORD.findall(material.text(path))):
            key = word.lower()
            holder[key] = path if holder.get(key, path) == path else ""
            spelling[key] = word
    good = {path for path in lowered if _is_asked_about(material, path)}
    plausible = [key for key, path in holder.items() if path in good and _is_plausible(spelling[key])]
    asked: list[Question] = []
    of_source = [key for key in plausible if holder[key] in material.source_set]
    others = [key for key in plausible if holder[key] not in material.source_set]
    for keys, limit in ((others, LIMIT // 2), (of_source, LIMIT)):
        asked += _asked(material, keys, holder, spelling, lowered, limit - len(asked))
    return asked


def _asked(
    material: Material,
    keys: Iterable[str],
    holder: dict[str, str],
    spelling: dict[str, str],
    lowered: dict[str, str],
    limit: int,
) -> list[Question]:
    """Draw words that are no part of another file's text either."""
    found: dict[str, Question] = {}
    for key in material.drawn("rare", keys, str)[: _DRAWN * LIMIT]:
        path = holder[key]
        if len(found) == limit:
            break
        if path not in found and sum(key in text for text in lowered.values()) == 1 and key not in path.lower():
            found[path] = Question(spelling[key], (path,))
    return list(found.values())


def _is_asked_about(material: Material, path: str) -> bool:
    language = material.language(path)
    if path in material.ignored:
        return False
    if language not in CODE | PROSE | _OTHER and not (
        language == TEXT and path.endswith((".txt", ".in", ".am", ".ac"))
    ):
        return False
    text = material.text(path)
    if len(text) > _MAX_FILE_CHARS or _NOT_ASKED.search(path.lower()) or is_generated(text):
        return False
    return max(map(len, text.split("\n"))) <= _MAX_LINE_CHARS


def _is_plausible(word: str) -> bool:
    """Tell whether a word looks like one that a person types, and not like a hash or an encoding."""
    return _SPELT.fullmatch(word) is not None and not _UNLIKELY.search(word) and len(set(word.lower())) >= 4
