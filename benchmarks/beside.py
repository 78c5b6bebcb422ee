"""Other programs of a run: semble, ripgrep, and floors, which are one part of the work by itself.

Each runs in a process of its own on the same cores: `python -m benchmarks.beside NAME DIR QUERIES` prints its figures.
The floors take one thread. Words and vectors of the chunks are made before their clocks start.
"""

from __future__ import annotations

import importlib.util
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.daemons import pinned
from benchmarks.figures import Rounds

TOP = 10
_LINKS, _EF_CONSTRUCTION, _EF = 16, 120, 64
"""Those of the daemon's own graphs."""
_ASKED = 100
"""Maximum queries for each program."""
_BATCH = 256


def measure(
    directory: Path, asked: Sequence[str], cores: frozenset[int], rounds: Rounds, names: Sequence[str]
) -> list[str]:
    """Run each program once over the files of `directory`; return which ones could not run, and why."""
    remarks = []
    with tempfile.NamedTemporaryFile("w", suffix=".json") as queries:
        json.dump(list(asked[:_ASKED]), queries)
        queries.flush()
        for name in names:
            if why := missing(name):
                remarks.append(why)
                continue
            command = [sys.executable, "-m", "benchmarks.beside", name, str(directory), queries.name]
            done = subprocess.run(command, capture_output=True, text=True, preexec_fn=pinned(cores))
            if done.returncode:
                remarks.append(f"{name} failed: {done.stderr.strip()[-300:]}")
                continue
            for what, unit, value in json.loads(done.stdout.splitlines()[-1]):
                rounds.add(what, unit, value, name)
    return remarks


def missing(name: str) -> str:
    """Say why a program cannot run here; empty if it can."""
    if name == "semble" and importlib.util.find_spec("semble") is None:
        return "semble is not installed; `pip install semble` adds its column."
    if name == "ripgrep" and shutil.which("rg") is None:
        return "ripgrep is not installed; Debian's package `ripgrep` adds its column."
    return ""


Row = tuple[str, str, float]


def semble(directory: Path, asked: Sequence[str]) -> Iterator[Row]:
    """Index with semble and the built-in model, then ask; its own default model is not downloaded."""
    from benchmarks.semble import SembleIndex
    from regend.embedding.static import built_in

    encoder = built_in()
    index, wall_s, used_s = _timed(lambda: SembleIndex(directory, encoder))
    yield from _indexed(wall_s, used_s)
    yield "chunks", "chunks", float(index.chunk_count)
    yield "files", "files", float(index.file_count)
    yield "peak memory", "MB", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1_000
    yield "a query, p50", "ms", _median_ms(asked, lambda query: index.search(query, "semble-hybrid"))


def ripgrep(directory: Path, asked: Sequence[str]) -> Iterator[Row]:
    """Ask for the files that have a query's first word; ripgrep has no index."""

    def ask(query: str) -> None:
        subprocess.run(["rg", "-l", "-i", "-w", "-e", query.split()[0], str(directory)], stdout=subprocess.DEVNULL)

    yield "a query, p50", "ms", _median_ms(asked, ask)


def parse_only(directory: Path, asked: Sequence[str]) -> Iterator[Row]:
    """Read, hash and chunk every file in one thread; keep nothing."""
    count, wall_s, used_s = _timed(lambda: sum(1 for _ in chunks_of(directory)))
    yield from _indexed(wall_s, used_s)
    yield "chunks", "chunks", float(count)


def bare_tantivy(directory: Path, asked: Sequence[str]) -> Iterator[Row]:
    """Index the chunks' words in tantivy with one thread, and ask for any of a query's words."""
    import tantivy

    from regend.chunking.tokens import lexical_tokens, query_terms

    words = [lexical_tokens(text) for text in _texts(directory)]
    with tempfile.TemporaryDirectory() as place:
        schema = tantivy.SchemaBuilder().add_text_field("body", stored=False, tokenizer_name="whitespace").build()
        index = tantivy.Index(schema, path=place)

        def fill() -> None:
            writer = index.writer(heap_size=64_000_000, num_threads=1)
            for number, text in enumerate(words):
                writer.add_document(tantivy.Document(body=text))
                if number % 10_000 == 9_999:
                    writer.commit()
            writer.commit()
            writer.wait_merging_threads()

        _, wall_s, used_s = _timed(fill)
        yield from _indexed(wall_s, used_s)
        index.reload()
        searcher = index.searcher()

        def ask(query: str) -> None:
            terms = [
                (tantivy.Occur.Should, tantivy.Query.term_query(schema, "body", term)) for term in query_terms(query)
            ]
            searcher.search(tantivy.Query.boolean_query(terms), TOP)

        yield "a query, p50", "ms", _median_ms(asked, ask)


def bare_hnswlib(directory: Path, asked: Sequence[str]) -> Iterator[Row]:
    """Build a graph of the chunks' vectors with one thread, and ask with the queries' vectors."""
    import hnswlib
    import numpy as np

    from regend.embedding.static import built_in

    encoder, texts = built_in(), list(_texts(directory))
    if not texts:
        return
    parts = [encoder.encode(texts[at : at + _BATCH], "document") for at in range(0, len(texts), _BATCH)]
    vectors = np.concatenate(parts)
    index = hnswlib.Index("ip", vectors.shape[1])

    def fill() -> None:
        index.init_index(len(vectors), M=_LINKS, ef_construction=_EF_CONSTRUCTION)
        index.add_items(vectors, num_threads=1)

    _, wall_s, used_s = _timed(fill)
    yield from _indexed(wall_s, used_s)
    index.set_ef(_EF)
    asked_vectors = {query: encoder.encode([query], "query") for query in asked}
    count = min(TOP, len(vectors))
    yield (
        "a query, p50",
        "ms",
        _median_ms(asked, lambda query: index.knn_query(asked_vectors[query], k=count, num_threads=1)),
    )


PROGRAMS: dict[str, Callable[[Path, Sequence[str]], Iterator[Row]]] = {
    "semble": semble,
    "ripgrep": ripgrep,
    "parse only": parse_only,
    "bare tantivy": bare_tantivy,
    "bare hnswlib": bare_hnswlib,
}


def _indexed(wall_s: float, used_s: float) -> Iterator[Row]:
    yield "to complete", "s", wall_s
    yield "CPU to complete", "s", used_s


def _timed(work: Callable[[], Any]) -> tuple[Any, float, float]:
    """Return what the work returned, its wall time, and the CPU seconds of this process and its children."""
    before_s, began_at = _cpu_s(), time.perf_counter()
    done = work()
    return done, time.perf_counter() - began_at, _cpu_s() - before_s


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(one.ru_utime + one.ru_stime for one in used)


def _median_ms(asked: Sequence[str], ask: Callable[[str], object]) -> float:
    took_ms = []
    for query in [*asked[:10], *asked]:  # The first are asked twice: caches are warm then.
        began_at = time.perf_counter()
        ask(query)
        took_ms.append((time.perf_counter() - began_at) * 1e3)
    return statistics.median(took_ms[10:])


def chunks_of(directory: Path) -> Iterator[tuple[str, str]]:
    """Yield the symbol and text of each chunk, as the daemon's workers make them."""
    from regend.chunking.chunker import chunk_content
    from regend.config import LimitConfig
    from regend.disk.blob_names import name_blob
    from regend.types import UNSURE

    limits = LimitConfig()
    for file in sorted(directory.rglob("*")):
        if file.is_file():
            content = file.read_bytes()
            _, language = name_blob(str(file.relative_to(directory)), content)
            for chunk in chunk_content(content, language, UNSURE, limits).chunks:
                yield chunk.symbol, chunk.text


def _texts(directory: Path) -> Iterator[str]:
    from regend.types import embedded_text

    return (embedded_text(symbol, text) for symbol, text in chunks_of(directory))


def main(name: str, directory: str, queries: str) -> None:
    """Print the figures of this process as JSON."""
    print(json.dumps(list(PROGRAMS[name](Path(directory), json.loads(Path(queries).read_text())))))


if __name__ == "__main__":
    main(*sys.argv[1:])
