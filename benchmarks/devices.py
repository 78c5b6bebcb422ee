"""Speed of a model of the user's own on each device, by batch size: `python -m benchmarks.devices MODEL_DIR`.

The directory holds `model.onnx` and `tokenizer.json`. It needs `onnxruntime` (or `onnxruntime-gpu`), `tokenizers` and
numpy, and no network. Texts are stretches of 40 lines. Vectors of each device are compared with those of the CPU.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.encoding import chunks_of
from benchmarks.figures import Rounds, Section, as_json, describe, joined, table
from benchmarks.setup import Setup
from benchmarks.speed import machine
from regend.config import EmbeddingConfig
from regend.embedding.devices import DEVICES
from regend.embedding.onnx import OnnxEncoder, OnnxProvider

_CPU_TEXTS = 64
"""Maximum texts for the CPU, which needs up to 0.1 s for each."""
_QUERIES = 50


def run(model_dir: Path, texts: Sequence[str], batches: Sequence[int], rounds_count: int, threads: int) -> Section:
    """Encode the texts on every device that onnxruntime has, in every batch size, one round after the other."""
    import onnxruntime

    available = onnxruntime.get_available_providers()
    rounds, remarks, reference = Rounds(), [], None
    for name, device in DEVICES.items():
        if device.provider not in available:
            remarks.append(f"onnxruntime {onnxruntime.__version__} has no {device.provider} here.")
            continue
        asked = texts[:_CPU_TEXTS] if name == "cpu" else texts
        for batch in batches:
            encoder = _encoder(model_dir, name, batch, threads)
            if encoder.fallback:
                remarks.append(encoder.fallback)
                break
            vectors = encoder.encode(asked[:_CPU_TEXTS], "document")  # The first run is slower: it is not counted.
            reference = vectors if reference is None else reference
            label = f"{name}, {batch} together: "
            for _ in range(rounds_count):
                cpu_s, began_at = time.process_time(), time.perf_counter()
                encoder.encode(asked, "document")
                took_s, used_s = time.perf_counter() - began_at, time.process_time() - cpu_s
                rounds.add(label + "texts", "1/s", len(asked) / took_s)
                rounds.add(label + "CPU a text", "ms", used_s / len(asked) * 1e3)
            rounds.add(label + "least cosine to the CPU's first", "", float((vectors * reference).sum(1).min()))
            if batch == batches[0]:
                rounds.add(f"{name}: one query, p50", "ms", _query_ms(encoder, asked))
    about = {
        "model": model_dir.name,
        "texts": len(texts),
        "threads": threads,
        "dim": 0 if reference is None else reference.shape[1],
    }
    return Section("devices", about, rounds.figures(), remarks)


def _encoder(model_dir: Path, device: str, batch: int, threads: int) -> OnnxEncoder:
    async def no_workers(*_: Any) -> Any:
        raise AssertionError("documents are encoded here")

    config = EmbeddingConfig(
        provider="onnx", model_dir=str(model_dir), device=device, device_batch=batch, threads=threads
    )
    provider = OnnxProvider(config, no_workers)
    return asyncio.run(provider.load())


def _query_ms(encoder: OnnxEncoder, texts: Sequence[str]) -> float:
    took_ms = []
    for text in texts[:_QUERIES]:
        began_at = time.perf_counter()
        encoder.encode([text.split("\n")[0] or "x"], "query")
        took_ms.append((time.perf_counter() - began_at) * 1e3)
    return statistics.median(took_ms)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.devices", description=__doc__)
    parser.add_argument("model", type=Path, metavar="MODEL_DIR")
    parser.add_argument("--tree", type=Path, default=Path(__file__).parents[1], metavar="DIR", help="where texts are")
    parser.add_argument("--texts", type=int, default=2_000, metavar="N", help="maximum texts (default: %(default)s)")
    parser.add_argument("--batches", default="1,16,32,64,128,256", metavar="LIST", help="(default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="(default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of the CPU (default: %(default)s)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write everything there, as JSON")
    options = parser.parse_args(arguments)
    texts = chunks_of(options.tree)[: options.texts]
    if not texts:
        parser.error(f"{options.tree} has no file of source code")
    batches = [int(batch) for batch in options.batches.split(",")]
    section = run(options.model, texts, batches, options.rounds, options.threads)
    about = machine(Setup(options.tree), "benchmarks.devices")
    print(joined((describe(about), f"## devices ({describe(section.about)})", table(section), *section.remarks)))
    if options.out is not None:
        options.out.write_text(json.dumps({"machine": about, "benchmarks": {"devices": as_json(section)}}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
