"""A model of the user's own: equal to a reference in plain numpy, and to itself whatever the batch and the process."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from regend.config import EmbeddingConfig, WorkerConfig
from regend.embedding.base import EmbeddingProvider
from regend.embedding.onnx import OnnxProvider
from regend.embedding.registry import local_encoder, open_provider
from regend.errors import ConfigError
from regend.types import Lane
from regend.workers.dispatcher import Dispatcher
from tests.embedding.bert import Shape, save_model, token_vectors

MISSING = [name for name in ("onnxruntime", "tokenizers", "onnx") if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"the extra `onnx` is not installed (no {', '.join(MISSING)})")

SHAPE = Shape(positions=128)
TEXTS = [
    "def parse header",
    "",
    "class a b c",
    "parse " * 30,
    " \n\t",
    "größe 你好",
    "def parse header",
    "x" * 5_000,
    "one\ntwo\nthree\n" * 40,
]


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("model") / "tiny"
    save_model(directory, SHAPE)
    (directory / "tokenizer_config.json").write_text(json.dumps({"model_max_length": 100}))
    return directory


def config(model_dir: Path, device: str = "cpu", **changes: Any) -> EmbeddingConfig:
    return EmbeddingConfig(provider="onnx", model_dir=str(model_dir), device=device, **changes)


def has_cuda() -> bool:
    return "CUDAExecutionProvider" in importlib.import_module("onnxruntime").get_available_providers()


async def no_workers(texts: object, lane: object, spec: str = "") -> np.ndarray:
    raise AssertionError


async def spec_of(config: EmbeddingConfig) -> str:
    """The spec that workers get."""
    seen: list[str] = []

    async def note(texts: object, lane: object, spec: str = "") -> np.ndarray:
        seen.append(spec)
        return np.zeros((1, provider.info.dim), np.float32)

    provider = OnnxProvider(config, note)
    await provider.embed(["x"], "document")
    return seen[0]


@asynccontextmanager
async def in_workers(config: EmbeddingConfig, count: int) -> AsyncIterator[EmbeddingProvider]:
    workers = Dispatcher(WorkerConfig(count=count, rss_cap_mb=1_000))
    await workers.start()
    provider = open_provider(config, workers.embed)
    try:
        yield provider
    finally:
        await provider.close()
        await workers.close()


def reference(model_dir: Path, text: str, pooling: str = "mean") -> np.ndarray:
    """The unit vector that plain numpy makes of a text that is short enough."""
    import tokenizers

    from tests.embedding.bert import random_weights

    ids = tokenizers.Tokenizer.from_file(str(model_dir / "tokenizer.json")).encode(text).ids
    tokens = token_vectors(random_weights(SHAPE), SHAPE, ids)
    vector = {"mean": tokens.mean(0), "cls": tokens[0], "last": tokens[-1]}[pooling]
    return vector / np.linalg.norm(vector)


@pytest.mark.parametrize("pooling", ["mean", "cls", "last"])
async def test_equal_to_the_reference(model_dir: Path, pooling: str) -> None:
    encoder = local_encoder(await spec_of(config(model_dir, pooling=pooling)))
    texts = [text for text in TEXTS if len(text) < 60]
    expected = np.stack([reference(model_dir, text, pooling) for text in texts])
    np.testing.assert_allclose(encoder.encode(texts, "document"), expected, atol=1e-5)


async def test_identical_for_any_batch_and_any_number_of_processes(model_dir: Path) -> None:
    encoder = local_encoder(await spec_of(config(model_dir)))
    alone = np.concatenate([encoder.encode([text], "document") for text in TEXTS])
    assert encoder.encode(TEXTS, "document").tobytes() == alone.tobytes()
    many = TEXTS * 6
    for count in (1, 2):
        async with in_workers(config(model_dir), count) as provider:
            parts = [many[:1], many[1:20], many[20:]]
            got = await asyncio.gather(*(provider.embed(part, "document") for part in parts))
            assert np.concatenate(got).tobytes() == np.concatenate([alone] * 6).tobytes(), f"{count} processes"


async def test_prefixes_and_what_else_is_in_the_id(model_dir: Path) -> None:
    plain = OnnxProvider(config(model_dir), no_workers)
    prefixed = OnnxProvider(config(model_dir, prefixes="e5"), no_workers)
    cls = OnnxProvider(config(model_dir, pooling="cls"), no_workers)
    ids = {(await provider.prepare()).model_id for provider in (plain, prefixed, cls)}
    assert len(ids) == 3 and all(name.startswith("onnx-tiny-") and name.endswith("@32") for name in ids)
    vector = await prefixed.embed(["parse header"], "query", Lane.QUERY)
    np.testing.assert_allclose(vector[0], reference(model_dir, "query: parse header"), atol=1e-5)
    again = OnnxProvider(config(model_dir), no_workers)
    assert (await again.prepare()).model_id == (await plain.prepare()).model_id


async def test_a_changed_file_is_another_model(model_dir: Path, tmp_path: Path) -> None:
    copy = tmp_path / "tiny"
    save_model(copy, Shape(positions=64))
    first = await OnnxProvider(config(model_dir), no_workers).prepare()
    second = await OnnxProvider(config(copy), no_workers).prepare()
    assert first.model_id != second.model_id


async def test_shorter_vectors(model_dir: Path) -> None:
    provider = OnnxProvider(config(model_dir, dim=8), no_workers)
    assert (await provider.prepare()).dim == 8
    (vector,) = await provider.embed(["parse header"], "query")
    full = reference(model_dir, "parse header")[:8]
    np.testing.assert_allclose(vector, full / np.linalg.norm(full), atol=1e-5)


async def test_long_texts_are_cut(model_dir: Path) -> None:
    encoder = local_encoder(await spec_of(config(model_dir)))
    long, kept = "one two\n" * 200, "one two\n" * 16
    assert encoder.encode([long], "document").tobytes() == encoder.encode([kept.rstrip("\n")], "document").tobytes()


async def test_pooling_as_the_model_says(tmp_path: Path) -> None:
    for key, pooling in (("pooling_mode_cls_token", "cls"), ("pooling_mode_lasttoken", "last"), ("other", "mean")):
        directory = tmp_path / pooling
        save_model(directory)
        (directory / "1_Pooling").mkdir()
        (directory / "1_Pooling" / "config.json").write_text(json.dumps({key: True}))
        assert f"pooling {pooling}" in (await OnnxProvider(config(directory), no_workers).prepare()).note


async def test_a_model_that_pools_by_itself(tmp_path: Path, model_dir: Path) -> None:
    save_model(tmp_path / "pooled", SHAPE, output="sentence_embedding")
    provider = OnnxProvider(config(tmp_path / "pooled"), no_workers)
    (vector,) = await provider.embed(["parse header"], "query")
    np.testing.assert_allclose(vector, reference(model_dir, "parse header"), atol=1e-5)


@pytest.mark.parametrize("missing", ["model.onnx", "tokenizer.json"])
def test_a_file_that_is_not_there(tmp_path: Path, missing: str) -> None:
    save_model(tmp_path / "m")
    (tmp_path / "m" / missing).unlink()
    with pytest.raises(ConfigError, match=f"{missing} is not there"):
        OnnxProvider(config(tmp_path / "m"), no_workers)


@pytest.mark.parametrize("broken", ["model.onnx", "tokenizer.json"])
async def test_a_file_that_is_something_else(tmp_path: Path, broken: str) -> None:
    save_model(tmp_path / "m")
    (tmp_path / "m" / broken).write_bytes(b"not that")
    with pytest.raises(ConfigError, match=broken.replace(".", r"\.")):
        await OnnxProvider(config(tmp_path / "m"), no_workers).prepare()


@pytest.mark.parametrize(("name", "rank", "message"), [("pixels", 2, "inputs are pixels"), ("input_ids", 1, "outputs")])
async def test_a_model_for_something_else(tmp_path: Path, name: str, rank: int, message: str) -> None:
    import onnx
    from onnx import TensorProto, helper

    save_model(tmp_path / "m")
    sizes = ["a", "b"][:rank]
    graph = helper.make_graph(
        [helper.make_node("Identity", [name], ["out"])],
        "other",
        [helper.make_tensor_value_info(name, TensorProto.INT64, sizes)],
        [helper.make_tensor_value_info("out", TensorProto.INT64, sizes)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, str(tmp_path / "m" / "model.onnx"))
    with pytest.raises(ConfigError, match=message):
        await OnnxProvider(config(tmp_path / "m"), no_workers).prepare()


async def test_without_the_package(model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(ConfigError, match=r"install `regend\[onnx\]`"):
        await OnnxProvider(config(model_dir), no_workers).prepare()


async def test_queries_do_not_hold_up_the_loop(model_dir: Path) -> None:
    provider = OnnxProvider(config(model_dir), no_workers)
    await provider.prepare()
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            ticks += 1
            await asyncio.sleep(0)

    ticking = asyncio.create_task(tick())
    await provider.embed(["parse header"], "query", Lane.QUERY)
    ticking.cancel()
    assert ticks > 1


def test_threads_are_bounded(model_dir: Path) -> None:
    """As many as configured, and no spinning ones beside them."""
    spec = asyncio.run(spec_of(config(model_dir)))
    code = (
        "import sys, os; from regend.embedding.registry import local_encoder;"
        "encoder = local_encoder(sys.argv[1]); encoder.encode(['parse header'] * 3, 'document');"
        "print(len(os.listdir('/proc/self/task')))"
    )
    environ = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "PATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", code, spec], capture_output=True, text=True, check=True, timeout=60, env=environ
    )
    assert int(done.stdout) <= 3
    assert json.loads(spec)["threads"] == 1


async def test_padded_batches_give_the_vectors_of_single_texts(model_dir: Path) -> None:
    """As on an accelerator: the model is not quantised, so only rounding differs."""
    alone = local_encoder(await spec_of(config(model_dir)))
    together = local_encoder(await spec_of(config(model_dir, device_batch=4)))
    np.testing.assert_allclose(together.encode(TEXTS, "document"), alone.encode(TEXTS, "document"), atol=1e-5)


async def test_a_device_that_is_not_there_is_said_in_the_status(model_dir: Path) -> None:
    if has_cuda():
        pytest.skip("this machine has CUDA")
    provider = OnnxProvider(config(model_dir, device="cuda"), no_workers)
    assert provider.status() == {}
    info = await provider.prepare()
    assert provider.status()["device"] == "cpu" and not info.accelerated
    assert "onnxruntime has no CUDAExecutionProvider here" in provider.status()["device_reason"]
    assert "onnxruntime on cpu" in info.note
    for wanted in ("auto", "cpu"):
        plain = OnnxProvider(config(model_dir, device=wanted), no_workers)
        assert (await plain.prepare()).model_id == info.model_id, "the device is no other model"
        assert plain.status() == {"device": "cpu"}


@pytest.mark.parametrize("wanted", ["auto", "cuda"])
async def test_on_cuda_it_takes_batches_here_and_gives_the_vectors_of_the_cpu(model_dir: Path, wanted: str) -> None:
    if not has_cuda():
        pytest.skip("this machine has no CUDA")
    cpu = local_encoder(await spec_of(config(model_dir)))
    provider = OnnxProvider(config(model_dir, device=wanted), no_workers)
    cosines = (await provider.embed(TEXTS * 20, "document") * cpu.encode(TEXTS * 20, "document")).sum(1)
    assert provider.status() == {"device": "cuda"} and provider.info.accelerated
    assert provider.info.model_id == cpu.info.model_id, "the device is no other model"
    assert cosines.min() > 0.9999, "it multiplies with fewer bits"
