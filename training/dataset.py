"""Records as arrays of tokens, split into training, development and test packages.

    python -m training.dataset      build/training/pairs -> build/training/data

Splits go by package, so that no package is in two. Equal bodies are kept once over all packages. The vocabulary is
counted over training packages only, by how many packages use a word, each language weighing the same.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from regend.embedding.code_words import blocks, words_of
from regend.embedding.vocabulary import Vocabulary
from training.comments import first_sentence
from training.mine import BUILD
from training.near_duplicates import listed
from training.pairs import PAIRS, Record, read_records

DATA = BUILD / "data"
SPLITS = ("train", "dev", "test")
FIELDS = ("body", "doc", "sentence", "symbol", "path")
"""Token fields of a record; `sentence` is the first one of `doc`, `path` the words of folder and file name."""
WORDS, BUCKETS = 28_000, 8_192
_MAX_RECORDS = 6_000
"""Maximum records of one package; `_CARRIERS` may have more."""
_CARRIERS = {
    "csharp": 60_000,
    "kotlin": 60_000,
    "swift": 60_000,
    "scala": 60_000,
    "elixir": 60_000,
    "erlang": 30_000,
    "typescript": 20_000,
}
_MAX_WORDS_PER_RECORD = 255

Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Ragged:
    """Rows of different lengths: row i is `ids[start[i]:start[i + 1]]`, each token with its count."""

    start: Ints
    ids: npt.NDArray[np.uint16]
    counts: npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Data:
    """Everything that training reads.

    Attributes:
        fields: by name of `FIELDS`.
        language, package, kind, split: number of each record's value, int32 [n].
        same: int64 [3, n]; records with an equal number have the same doc, name or path: to each other they are no
            wrong answers.
        names: the values, by attribute.
    """

    fields: dict[str, Ragged]
    language: npt.NDArray[np.int32]
    package: npt.NDArray[np.int32]
    kind: npt.NDArray[np.int32]
    split: npt.NDArray[np.int32]
    same: npt.NDArray[np.int64]
    names: dict[str, list[str]]
    vocabulary: Vocabulary


def split_of(package: str) -> str:
    """Choose the split of a package: 8 % test, 5 % development."""
    share = int.from_bytes(hashlib.sha256(f"regend:{package}".encode()).digest()[:4], "big") / 2**32
    return "test" if share < 0.08 else "dev" if share < 0.13 else "train"


def records() -> Iterator[Record]:
    """Yield all records that are used, in a fixed order."""
    seen: set[str] = set()
    for file in sorted(PAIRS.glob("*.jsonl")):
        own = [record for record in read_records(file) if record.key() not in listed()]
        own.sort(key=Record.key)
        taken: dict[str, int] = {}
        for record in own:
            key = record.key() + (record.doc if record.kind == "window" else "")
            have = taken.get(record.language, 0)
            limit = _CARRIERS.get(record.language, _MAX_RECORDS)
            if key in seen or have >= limit or (not record.doc and have >= limit // 2):
                continue
            seen.add(key)
            taken[record.language] = have + 1
            yield record


def main() -> None:
    DATA.mkdir(parents=True, exist_ok=True)
    vocabulary = _count_vocabulary()
    builders = {name: _Builder() for name in FIELDS}
    columns: dict[str, list[str]] = {"language": [], "package": [], "kind": [], "split": []}
    same: list[tuple[int, int, int]] = []
    for batch in _batches(records(), 2_000):
        same += [
            tuple(_number(text) for text in (record.doc or record.key(), record.symbol, record.package + record.path))
            for record in batch
        ]  # type: ignore[misc]
        for name, builder in builders.items():
            builder.add(vocabulary, [field_text(record, name) for record in batch])
        for record in batch:
            for column in ("language", "package", "kind"):
                columns[column].append(getattr(record, column))
            columns["split"].append(split_of(record.package))
    arrays: dict[str, npt.NDArray[Any]] = {"vocabulary": vocabulary.keys, "same": np.array(same, np.int64).T.copy()}
    for name, builder in builders.items():
        ragged = builder.done()
        arrays |= {f"{name}.start": ragged.start, f"{name}.ids": ragged.ids, f"{name}.counts": ragged.counts}
    names: dict[str, list[str]] = {}
    for column, values in columns.items():
        names[column] = list(SPLITS) if column == "split" else sorted(set(values))
        number = {value: place for place, value in enumerate(names[column])}
        arrays[column] = np.array([number[value] for value in values], np.int32)
    for name, array in arrays.items():
        np.save(DATA / f"{name}.npy", array)
    (DATA / "names.json").write_text(json.dumps(names))
    for split in SPLITS:
        here = arrays["split"] == SPLITS.index(split)
        print(split, {n: int((arrays["language"][here] == at).sum()) for at, n in enumerate(names["language"])})


def load() -> Data:
    """Load the data that `main` has written."""
    names = json.loads((DATA / "names.json").read_text())

    def read(name: str) -> npt.NDArray[Any]:
        return np.load(DATA / f"{name}.npy")  # type: ignore[no-any-return]

    return Data(
        {name: Ragged(read(f"{name}.start"), read(f"{name}.ids"), read(f"{name}.counts")) for name in FIELDS},
        read("language"), read("package"), read("kind"), read("split"), read("same"), names, Vocabulary(read("vocabulary"), BUCKETS),
    )  # fmt: skip


def _number(text: str) -> int:
    return int.from_bytes(
        hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "little", signed=True
    )


def field_text(record: Record, name: str) -> str:
    """Return the text of one field of a record."""
    if name == "sentence":
        return first_sentence(record.doc)
    if name == "path":
        path = Path(record.path)
        return f"{path.parent.name} {path.stem}"
    return str(getattr(record, name))


def _count_vocabulary() -> Vocabulary:
    """Count the words that most packages use, languages weighing alike."""
    by_language: dict[str, dict[int, int]] = {}
    packages: dict[str, set[str]] = {}
    for package, group in _by_package(records()):
        if split_of(package) != "train":
            continue
        texts: dict[str, list[str]] = {}
        for record in group:
            texts.setdefault(record.language, []).append(f"{record.symbol} {record.body} \n\n {record.doc}")
        for language, own in texts.items():
            packages.setdefault(language, set()).add(package)
            # A carrier's folders stand for packages, or a language with one package would have all its words once.
            parts = max(1, len(own) // 300)
            counts = by_language.setdefault(language, {})
            for part in range(parts):
                for key in _distinct(own[part::parts]):
                    counts[key] = counts.get(key, 0) + 1
    scores: dict[int, float] = {}
    for counts in by_language.values():
        most = max(counts.values())
        for key, count in counts.items():
            if count >= 2:
                scores[key] = scores.get(key, 0.0) + (count / most) ** 0.5
    best = sorted(scores, key=lambda key: (-scores[key], key))[:WORDS]
    return Vocabulary(np.array(best, np.uint64), BUCKETS)


def _distinct(texts: Sequence[str]) -> list[int]:
    found = [np.zeros(0, np.uint64)]
    for _, block in blocks(texts):
        words = words_of(block)
        found += [np.unique(words.hashes), np.unique(words.pair_hashes)]
    return np.unique(np.concatenate(found)).tolist()


class _Builder:
    def __init__(self) -> None:
        self._lengths: list[npt.NDArray[np.int64]] = []
        self._ids: list[npt.NDArray[np.uint16]] = []
        self._counts: list[npt.NDArray[np.uint8]] = []

    def add(self, vocabulary: Vocabulary, texts: Sequence[str]) -> None:
        for _, block in blocks(texts):
            bag = vocabulary.bag(block)
            self._lengths.append(np.diff(bag.start))
            self._ids.append(bag.ids.astype(np.uint16))
            self._counts.append(np.minimum(bag.counts, _MAX_WORDS_PER_RECORD).astype(np.uint8))

    def done(self) -> Ragged:
        start = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.concatenate(self._lengths))])
        return Ragged(start, np.concatenate(self._ids), np.concatenate(self._counts))


def _by_package(all_records: Iterator[Record]) -> Iterator[tuple[str, list[Record]]]:
    group: list[Record] = []
    for record in all_records:
        if group and group[0].package != record.package:
            yield group[0].package, group
            group = []
        group.append(record)
    if group:
        yield group[0].package, group


def _batches(all_records: Iterator[Record], size: int) -> Iterator[list[Record]]:
    batch: list[Record] = []
    for record in all_records:
        batch.append(record)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


if __name__ == "__main__":
    main()
