"""The built-in model: the same bits for the same text, whatever the batch, the thread or the machine."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regend.embedding import static
from regend.embedding.base import Task
from regend.embedding.static import built_in

MODEL = Path(static.__file__).with_name(static.FILE)
TEXTS = (
    "Parser.parse\ndef parse(self, line: str) -> list[str]:\n    return line.split(':')",
    "fn open_socket(path: &Path) -> io::Result<UnixListener> { UnixListener::bind(path) }",
    "where is the retry delay computed",
    "",
    "größe = 'Ω≈ç√' # 你好",
    "\0\x01 \udc80",
)
SOURCE = Path(static.__file__).read_text()


@pytest.mark.parametrize("task", ["document", "query"])
def test_vectors_have_unit_length(task: Task) -> None:
    vectors = built_in().encode(TEXTS, task)
    assert vectors.dtype == np.float32
    assert vectors.shape == (len(TEXTS), 256)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from((*TEXTS, SOURCE, SOURCE[:700], SOURCE * 9)), min_size=1, max_size=12), st.booleans())
def test_a_batch_does_not_change_a_bit(texts: list[str], asked: bool) -> None:
    task: Task = "query" if asked else "document"
    encoder = built_in()
    together = encoder.encode(texts, task)
    alone = np.concatenate([encoder.encode([text], task) for text in texts])
    assert together.tobytes() == alone.tobytes()


def test_threads_share_the_model() -> None:
    encoder = built_in()
    expected = encoder.encode(TEXTS, "document").tobytes()
    with ThreadPoolExecutor(4) as threads:
        assert {v.tobytes() for v in threads.map(lambda _: encoder.encode(TEXTS, "document"), range(40))} == {expected}


@pytest.mark.parametrize("core", ["Haswell", "Nehalem", "generic"])
def test_another_processor_finds_the_same_bits(core: str) -> None:
    """OpenBLAS and numpy choose their code by the processor; these settings make them choose that of others."""
    script = (
        "import sys, hashlib\nfrom regend.embedding.static import built_in\n"
        "texts = [open(p, encoding='utf-8').read() for p in sys.argv[1:]]\n"
        "print(hashlib.sha256(built_in().encode(texts, 'document').tobytes()).hexdigest())"
    )
    files = sorted(str(path) for path in Path(static.__file__).parent.glob("*.py"))
    here = built_in().encode([Path(file).read_text() for file in files], "document")
    features = "AVX512F AVX512CD AVX512_SKX AVX2 FMA3" if core != "Haswell" else "AVX512F AVX512CD AVX512_SKX"
    environment = os.environ | {"OPENBLAS_CORETYPE": core, "NPY_DISABLE_CPU_FEATURES": features}
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, *files], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == hashlib.sha256(here.tobytes()).hexdigest()


def test_every_sum_is_exact_in_single_precision() -> None:
    """Long texts of heavy words reach the bound; what numpy adds up in float32 equals the sum of integers."""
    model = built_in()
    text = " ".join(SOURCE.split() * 3)
    raw = text.encode()[:30_000]
    bag = model.vocabulary.bag([raw])
    weights = model.document_weights[bag.ids] * static._DAMPED[np.minimum(bag.counts, 255) - 1] // static._TF_ONE
    if weights.sum() > static._MAX_WEIGHT_SUM:
        weights = weights * static._MAX_WEIGHT_SUM // weights.sum()
    exact = weights @ model.table[bag.ids].astype(np.int64)
    unit = exact / np.sqrt(float((exact * exact).sum()))
    given = np.rint(unit * static.INPUT_ONE).astype(np.int64)
    hidden = np.maximum(given @ model.into.astype(np.int64) + model.bias.astype(np.int64), 0) >> model.shift
    added = np.minimum(hidden, static.MAX_ACTIVATION) @ model.out.astype(np.int64)
    deep = np.rint(unit * model.residual).astype(np.int64) + added
    expected = (deep / np.sqrt(float((deep * deep).sum()))).astype(np.float32)
    assert model.encode([raw.decode(errors="ignore")], "document")[0].tobytes() == expected.tobytes()


def test_no_sum_can_leave_the_exact_range() -> None:
    model = built_in()
    exact = 1 << 24
    assert int(np.abs(model.table.astype(np.int64)).max()) * static._MAX_WEIGHT_SUM < exact
    longest = 16 * (static.INPUT_ONE + 8)  # Largest L1 norm of a rounded unit vector of 256 numbers.
    assert longest * float(np.abs(model.into).max()) + float(np.abs(model.bias).max()) < exact
    assert float(np.abs(model.out).sum(axis=0).max()) * static.MAX_ACTIVATION < exact


def test_the_shipped_file_is_the_one_of_the_model_card() -> None:
    raw = MODEL.read_bytes()
    card = (Path(__file__).parent.parent.parent / "docs" / "model.md").read_text()
    assert len(raw) <= 10_000_000
    assert hashlib.sha256(raw).hexdigest() in card
    assert built_in().info.model_id in card


def test_it_knows_meaning_that_shares_no_word() -> None:
    """A question in other words is closer to the code that answers it than to the others."""
    encoder = built_in()
    code = {
        "delete": "def unlink_all(paths):\n    for p in paths:\n        os.unlink(p)",
        "network": 'func Dial(addr string) (net.Conn, error) { return net.DialTimeout("tcp", addr, timeout) }',
        "sort": "pub fn quicksort<T: Ord>(xs: &mut [T]) { if xs.len() <= 1 { return; } let p = partition(xs); }",
        "hash": 'public byte[] digest(byte[] in) { return MessageDigest.getInstance("SHA-256").digest(in); }',
    }
    questions = {
        "delete": "remove files from disk",
        "network": "connect to a remote server",
        "sort": "order the elements of an array",
        "hash": "compute a cryptographic checksum",
    }
    scores = encoder.encode(list(questions.values()), "query") @ encoder.encode(list(code.values()), "document").T
    assert scores.argmax(axis=1).tolist() == [0, 1, 2, 3]


def test_loading_needs_neither_torch_nor_a_network() -> None:
    script = "import sys, regend.embedding.static as s; s.built_in(); print([m for m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(json.loads(done.stdout.replace("'", '"')))
    assert not loaded & {"torch", "aiohttp", "requests", "urllib.request", "onnxruntime", "hnswlib"}
