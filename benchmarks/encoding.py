"""How fast the built-in model encodes: one core, chunks of 40 lines; beside WordLlama's encoder if it is installed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_LINES = 40
_CHUNKS = 4_000
_ROUNDS = 3
_QUESTION = "where is it parsed"
_ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "RAYON_NUM_THREADS"), "1")
_LOAD = """
import time
import numpy
import regend.embedding.base
before = int(open("/proc/self/statm").read().split()[1])
began = time.process_time()
from regend.embedding.static import built_in
built_in().encode(["def f(): pass"], "document")
print((time.process_time() - began) * 1e3, (int(open("/proc/self/statm").read().split()[1]) - before) * 4096 / 1e6)
"""


def run(root: Path) -> dict[str, Any]:
    """Encode chunks of the files below `root` in a process of its own with one thread."""
    done = subprocess.run(
        [sys.executable, "-c", "import sys; from benchmarks.encoding import main; main(sys.argv[1])", str(root)],
        env=os.environ | _ONE_THREAD, capture_output=True, text=True, check=True,
    )  # fmt: skip
    loads = [
        subprocess.run(
            [sys.executable, "-c", _LOAD], env=os.environ | _ONE_THREAD, capture_output=True, text=True, check=True
        )
        for _ in range(5)
    ]
    load_ms, load_mb = sorted(tuple(map(float, load.stdout.split())) for load in loads)[2]
    return {"load_cpu_ms": round(load_ms, 1), "load_mb": round(load_mb, 1), **json.loads(done.stdout)}


def chunks_of(root: Path) -> list[str]:
    """Cut the source files below `root` into stretches of 40 lines, at most 4,000 of them."""
    found: list[str] = []
    for file in sorted(root.rglob("*")):
        if file.suffix in (".py", ".go", ".rb", ".java", ".php", ".rs", ".c", ".ts", ".js") and file.is_file():
            lines = file.read_text("utf-8", "replace").split("\n")
            found += ["\n".join(lines[at : at + _LINES]) for at in range(0, len(lines) - _LINES, _LINES)]
    return found[:_CHUNKS]


def main(root: str) -> None:
    """Print the figures of this process as JSON."""
    from regend.embedding.code_words import blocks, words_of
    from regend.embedding.static import built_in

    chunks = chunks_of(Path(root))
    encoder = built_in()
    tokens = sum(len(w.hashes) + len(w.pair_hashes) for _, block in blocks(chunks) for w in [words_of(block)])
    seconds = _best_seconds(lambda: encoder.encode(chunks, "document"))
    result = {
        "chunks": len(chunks),
        "characters_per_chunk": round(sum(map(len, chunks)) / len(chunks)),
        "tokens_per_chunk": round(tokens / len(chunks)),
        "chunks_per_cpu_s": round(len(chunks) / seconds),
        "query_us": round(_best_seconds(lambda: [encoder.encode([_QUESTION], "query") for _ in range(200)]) * 5_000),
    }
    try:
        import wordllama
    except ImportError:
        result["wordllama"] = "not installed"
    else:
        other = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
        other_seconds = _best_seconds(lambda: other.embed(chunks, norm=True))
        result["wordllama_chunks_per_cpu_s"] = round(len(chunks) / other_seconds)
        result["times_wordllama"] = round(other_seconds / seconds, 1)
    print(json.dumps(result))


def _best_seconds(work: Any) -> float:
    """Return the CPU seconds of the best of three rounds; other processes share the machine."""
    best = float("inf")
    for _ in range(_ROUNDS):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return best
