"""How well a slow or strict embedding server is used: throughput, fill, an edit's wait, and how near its limits.

Batching is measured with a whole daemon on a server that takes 100 ms for any request; limits with the provider alone,
in real time, on servers that refuse whatever is beyond theirs within any 60 seconds.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.daemons import PrivateDaemon, private_daemon
from benchmarks.embedding_server import DIM, EmbeddingServer, embedding_server
from regend.config import EmbeddingConfig
from regend.embedding.pacing.ratelimit import BULK_RESERVE, RateConfig, RateLimiter
from regend.embedding.remote.provider import HttpProvider

LATENCY_S = 0.1
BATCH_ITEMS = 64
LINGER_S = 0.01
DEBOUNCE_S = 0.04
_PROBE = "def parse_header"
_STORM_S = 1.5
_WAIT_LIMIT_S = 60.0


def run(limits_s: float) -> dict[str, Any]:
    """Run all measurements; those of limits take `limits_s` seconds, 0 leaves them out."""
    figures: dict[str, Any] = {"batching": batching()}
    if limits_s:
        figures["limits"] = asyncio.run(limits(limits_s))
    return figures


# --- batching ---------------------------------------------------------------------------------------------------------


def batching() -> dict[str, Any]:
    """Embed a tree once with one text a request and once with batches, by the same number of requests at once."""
    single = _indexed(files=30, settings="batch_items = 1")
    batched = _indexed(files=400, settings=f"batch_items = {BATCH_ITEMS}")
    batched["times_the_throughput_of_single_texts"] = round(batched["texts_per_s"] / single["texts_per_s"], 1)
    return {"latency_ms": LATENCY_S * 1e3, "one_text_a_request": single, "batches": batched, "edit": edits()}


def _indexed(files: int, settings: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as place, embedding_server(LATENCY_S) as server, private_daemon() as daemon:
        _configure(daemon, server, settings)
        daemon.start(_tree(Path(place), files))
        daemon.flush()
        bulk = [request for request in server.log if not request.texts[-1].startswith(_PROBE)]
        texts = sum(len(request.texts) for request in bulk)
        took_s = max(request.answered_at for request in bulk) - bulk[0].at
        batches = daemon.call("status")["model"]["batches"]
        daemon.stop()
    return {
        "texts": texts,
        "requests": len(bulk),
        "texts_per_s": round(texts / took_s, 1),
        "average_texts_a_request": round(texts / len(bulk), 1),
        "average_fill_of_bulk": batches.get("bulk", {}).get("average_fill"),
    }


def edits() -> dict[str, Any]:
    """Time writes from their end to the arrival of the text at the server: idle, and in the middle of a bulk index."""
    idle, busy = list[float](), list[float]()
    with tempfile.TemporaryDirectory() as place, embedding_server(LATENCY_S) as server, private_daemon() as daemon:
        _configure(daemon, server, f"batch_items = {BATCH_ITEMS}\nconcurrency = 2")
        root = _tree(Path(place), 20)
        daemon.start(root)
        daemon.flush()
        for n in range(10):
            idle.append(_edit(server, root, f"idle_{n}"))
            daemon.flush()
        _tree(root / "more", 1_200)
        time.sleep(_STORM_S)  # A change within a storm is a part of it.
        _wait_for(lambda: sum(len(request.texts) for request in server.log[-20:]) > 500, "the bulk index runs")
        busy += [_edit(server, root, f"busy_{n}") for n in range(10)]
        under_way = not daemon.call("status")["complete"]
        daemon.stop()
    allowed_s = DEBOUNCE_S + LINGER_S + LATENCY_S
    return {
        "idle_ms": _spread(idle),
        "in_bulk_ms": _spread(busy),
        "bulk_was_still_under_way": under_way,
        "debounce_linger_and_one_request_ms": round(allowed_s * 1e3),
    }


def _edit(server: EmbeddingServer, root: Path, name: str) -> float:
    """Return the seconds until a new function's text has arrived."""
    seen = len(server.log)
    (root / f"{name}.py").write_text(f"def {name}_is_new(value):\n    return value + 1\n")
    written_at = time.monotonic()
    mark = f"{name}_is_new"

    def arrived() -> float | None:
        for request in server.log[seen:]:
            if any(mark in text for text in request.texts):
                return request.at
        return None

    _wait_for(lambda: arrived() is not None, f"{name} arrives")
    return (arrived() or 0.0) - written_at


def _configure(daemon: PrivateDaemon, server: EmbeddingServer, settings: str) -> None:
    daemon.configure(
        f'[embedding]\nprovider = "http"\nrole = "only"\n'
        f'urls = ["{server.url}"]\nmodel = "m"\ndim = {DIM}\n{settings}\n'
    )


def _tree(root: Path, files: int) -> Path:
    """Write files of twelve functions each, all of them different."""
    root.mkdir(exist_ok=True)
    for n in range(files):
        functions = (
            f"def function_{n}_{m}(value, other):\n    total = value * {n} + other * {m}\n    return total\n"
            for m in range(12)
        )
        (root / f"module_{root.name}_{n}.py").write_text("\n\n".join(functions))
    return root


def _wait_for(condition: Any, what: str) -> None:
    deadline = time.monotonic() + _WAIT_LIMIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"not within {_WAIT_LIMIT_S:g} s: {what}")
        time.sleep(0.002)


def _spread(values: list[float]) -> dict[str, float]:
    ordered = sorted(values)
    return {"median": round(ordered[len(ordered) // 2] * 1e3, 1), "max": round(ordered[-1] * 1e3, 1)}


# --- limits -----------------------------------------------------------------------------------------------------------


async def limits(seconds: float) -> dict[str, Any]:
    """Run four accounts at once: tokens run out first, or requests do; with the default margin or a narrow one."""
    figures: dict[str, Any] = {}
    with ExitStack() as stack:
        loads = {}
        for margin in (0.9, 0.97):
            by_tokens = stack.enter_context(embedding_server(LATENCY_S, 2_000, 1_000_000))
            by_requests = stack.enter_context(embedding_server(LATENCY_S, 600, 3_000_000))
            loads[f"by_tokens, margin {margin:g}"] = _load(by_tokens, "x" * 1_750, 12, seconds, margin)
            loads[f"by_requests, margin {margin:g}"] = _load(by_requests, "short", 2, seconds, margin)
        figures |= zip(loads, await asyncio.gather(*loads.values()), strict=True)
    return figures | {"an_hour_in_virtual_time": {f"margin {m:g}": virtual_hour(m) for m in (0.9, 0.97)}}


def virtual_hour(margin: float) -> dict[str, float]:
    """Run the limiter alone against both of a strict server's limits, for an hour of virtual time."""
    figures: dict[str, float] = {"refused": 0}
    for name, cost in (("by_tokens", 5_000), ("by_requests", 10)):
        server = EmbeddingServer(requests_per_minute=600, tokens_per_minute=1_000_000)
        limiter = RateLimiter(RateConfig(600, 1_000_000, margin))
        now = 0.0
        while now < 3_600.0:
            wait_s = limiter.wait_s(cost, BULK_RESERVE, now)
            if wait_s == 0.0:
                limiter.start(cost)
                server.note(now, ["x"], cost)
            now += wait_s
        requests, tokens, refused = server.used(0.0, 3_600.0)
        figures[f"utilisation_{name}"] = round(max(requests / 600 / 60, tokens / 1_000_000 / 60), 4)
        figures["refused"] += refused
    return figures


async def _load(server: EmbeddingServer, text: str, texts: int, seconds: float, margin: float) -> dict[str, Any]:
    """Ask for as much as the provider lets through."""
    provider = HttpProvider(
        EmbeddingConfig(
            provider="http", urls=(server.url,), model="m", dim=DIM, concurrency=16, batch_items=texts,
            requests_per_minute=server.requests_per_minute, tokens_per_minute=server.tokens_per_minute,
            rate_margin=margin,
        )
    )  # fmt: skip
    await provider.prepare()
    began_at, number = time.monotonic(), 0

    async def ask_again_and_again() -> None:
        nonlocal number
        while time.monotonic() < began_at + seconds:
            number += 1
            await provider.embed([f"{text} {number} {n}" for n in range(texts)], "document")

    askers = [asyncio.create_task(ask_again_and_again()) for _ in range(16)]
    await asyncio.sleep(max(0.0, began_at + seconds - time.monotonic()))
    for asker in askers:
        asker.cancel()
    await asyncio.gather(*askers, return_exceptions=True)
    await provider.close()
    requests, tokens, refused = server.used(began_at, began_at + seconds)
    minutes = seconds / 60.0
    of_requests = requests / (server.requests_per_minute * minutes)
    of_tokens = tokens / (server.tokens_per_minute * minutes)
    return {
        "seconds": seconds,
        "utilisation_of_the_servers_limit": round(max(of_requests, of_tokens), 4),
        "requests": requests,
        "tokens": tokens,
        "refused": refused,
    }
