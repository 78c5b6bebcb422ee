"""Pieces of training code that are, or nearly are, evaluation code, and docs that are evaluation questions.

    python -m training.near_duplicates CHECKOUTS     writes near_duplicates.txt: keys of the records to leave out

CHECKOUTS holds the evaluation repositories, each in a folder of its name. The result is kept with the sources, so that
`make model` leaves out the same records where no checkouts are at hand. Method: hashes of runs of four lines (shingles;
Broder, "On the resemblance and containment of documents", 1997).
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from training.held_out import EVAL

LISTED = Path(__file__).resolve().parent / "near_duplicates.txt"
_RUN = 4
_SHARE = 0.2
"""A record is a near-duplicate when this share of its runs, or all of a short one's, is in an evaluation repository."""
_MAX_BYTES = 1_000_000


def main() -> None:
    from training.pairs import PAIRS, read_records  # It imports this module's siblings.

    shingles = np.unique(np.concatenate(list(_checkout_shingles(Path(sys.argv[1])))))
    print(f"{len(shingles)} runs of lines in the evaluation repositories")
    found = set()
    for file in sorted(PAIRS.glob("*.jsonl")):
        for record in read_records(file):
            if is_near_duplicate(record.body, shingles) or is_question(record.doc):
                found.add(record.key())
    LISTED.write_text("".join(f"{key}\n" for key in sorted(found)))
    print(f"{len(found)} records to leave out")


@cache
def listed() -> frozenset[str]:
    """Read the keys of the records to leave out."""
    return frozenset(LISTED.read_text().split()) if LISTED.exists() else frozenset()


def shingles_of(text: str) -> npt.NDArray[np.uint64]:
    """Hash each run of four lines that say something, spaces and case aside."""
    lines = [line for raw in text.split("\n") if len(line := re.sub(r"\W+", "", raw).lower()) > 3]
    hashes = [hash_of("\n".join(lines[at : at + _RUN])) for at in range(max(0, len(lines) - _RUN + 1))]
    return np.array(hashes, np.uint64)


def hash_of(text: str) -> int:
    """Hash a text to 64 bits, the same on every run."""
    import hashlib

    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=8).digest(), "little")


def is_near_duplicate(body: str, shingles: npt.NDArray[np.uint64]) -> bool:
    """Tell whether a fifth of the runs of lines is in `shingles` (sorted)."""
    own = shingles_of(body)
    if not len(own) or not len(shingles):
        return False
    places = np.minimum(np.searchsorted(shingles, own), len(shingles) - 1)
    return float((shingles[places] == own).mean()) >= _SHARE


@cache
def _questions() -> frozenset[str]:
    entries = json.loads((EVAL / "search-dev.json").read_text())
    return frozenset(_plain(query["query"]) for entry in entries for query in entry["queries"] if " " in query["query"])


def is_question(doc: str) -> bool:
    """Tell whether a doc says word for word what an evaluation question asks."""
    plain = _plain(doc)
    return plain in _questions() or any(len(q) > 25 and q in plain for q in _questions()) if plain else False


def _plain(text: str) -> str:
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))


def _checkout_shingles(folder: Path) -> Iterator[npt.NDArray[np.uint64]]:
    for file in _files(folder):
        yield shingles_of(file.read_text("utf-8", "replace"))


def _files(folder: Path) -> Iterable[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and path.stat().st_size <= _MAX_BYTES)


if __name__ == "__main__":
    main()
