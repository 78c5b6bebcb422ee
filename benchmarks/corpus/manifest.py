"""The corpus's repositories, none of them held out, and the part that each belongs to."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.corpus.licence import licence_of
from benchmarks.corpus.material import Material
from benchmarks.corpus.mirrors import Mirror, blobs_of, contents_of, head_of
from training.held_out import is_excluded_repository

MANIFEST = Path(__file__).with_name("manifest.jsonl")
UNSEEN = Path(__file__).with_name("unseen.jsonl")
"""Repositories for reports alone, which came when all weights and features were chosen."""
MAX_FILES = 6_000
"""Repositories with more files are left out: one of them would cost as much as ten others."""
MIN_SOURCES = 5
"""Repositories with fewer source files are left out: which file it is, is no question there."""
MAX_FILE_BYTES = 2_000_000
"""Larger files are not written."""
PARTS = ("train", "choose", "test")
_CHOOSE_SHARE, _TEST_SHARE = 0.2, 0.3
_KIN = {"tsx": "typescript", "ocaml_interface": "ocaml", "vue": "typescript", "svelte": "typescript"}
"""Languages that count as another one when the main language is found."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the manifest.

    Attributes:
        github: owner and name.
        licence: SPDX name, by the licence file.
        language: the one with the most bytes of source.
    """

    github: str
    revision: str
    licence: str
    language: str

    @property
    def name(self) -> str:
        return self.github.replace("/", "+", 1)


def read_manifest(file: Path = MANIFEST) -> list[Entry]:
    """Read all repositories of the manifest."""
    return [Entry(**json.loads(line)) for line in file.read_text("utf-8").splitlines()]


def write_manifest(entries: Iterable[Entry], file: Path = MANIFEST) -> None:
    """Write the manifest, ordered by name."""
    ordered = sorted(entries, key=lambda entry: entry.github.lower())
    file.write_text("".join(json.dumps(asdict(entry)) + "\n" for entry in ordered), "utf-8")


def chosen(mirrors: Sequence[Mirror]) -> Iterator[Entry]:
    """Yield an entry for each repository that the corpus can use, at its newest revision; none of `UNSEEN`."""
    unseen = {entry.name.lower() for entry in read_manifest(UNSEEN)}
    for mirror in mirrors:
        if is_excluded_repository(mirror.github) or mirror.name.lower() in unseen:
            continue
        revision = head_of(mirror)
        blobs = blobs_of(mirror, revision)
        if len(blobs) > MAX_FILES:
            continue
        material = Material(mirror.name, contents_of(mirror, blobs, MAX_FILE_BYTES))
        bytes_by_language: Counter[str] = Counter()
        for path in material.sources:
            language = material.language(path)
            bytes_by_language[_KIN.get(language, language)] += len(material.contents[path])
        if len(material.sources) >= MIN_SOURCES:
            outer = {path: material.text(path) for path in material.contents if path.count("/") <= 1}
            yield Entry(mirror.github, revision, licence_of(outer), bytes_by_language.most_common(1)[0][0])


def parts_of(entries: Iterable[Entry]) -> dict[str, str]:
    """Assign each repository's name to train, choose or test: by a hash of its name, within its language.

    A language with three repositories or more has each part. Where there are fewer, the hash alone decides.
    """
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.language, []).append(entry)
    parts: dict[str, str] = {}
    for group in groups.values():
        ordered = sorted(group, key=lambda entry: _hash(entry.github))
        if len(ordered) < len(PARTS):
            parts |= {entry.name: _lone_part(entry.github) for entry in ordered}
            continue
        choose = max(1, round(_CHOOSE_SHARE * len(ordered)))
        test = max(1, round(_TEST_SHARE * len(ordered)))
        for number, entry in enumerate(ordered):
            parts[entry.name] = "choose" if number < choose else "test" if number < choose + test else "train"
    return parts


def _lone_part(github: str) -> str:
    share = int(_hash(github)[:8], 16) / 0xFFFFFFFF
    return "choose" if share < _CHOOSE_SHARE else "test" if share < _CHOOSE_SHARE + _TEST_SHARE else "train"


def _hash(github: str) -> str:
    return hashlib.sha256(github.lower().encode()).hexdigest()
