"""BERT as a graph for onnxruntime and once more in plain numpy, from the same weights: a model that a test can make,
and the reference for it. The names of weights are those that sentence-transformers' models use.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

Weights = dict[str, np.ndarray]
EPSILON = 1e-12


@dataclass(frozen=True)
class Shape:
    vocabulary: int = 60
    hidden: int = 32
    layers: int = 2
    heads: int = 4
    intermediate: int = 64
    positions: int = 64


def random_weights(shape: Shape, seed: int = 1) -> Weights:
    rng = np.random.default_rng(seed)

    def matrix(*size: int) -> np.ndarray:
        return (rng.standard_normal(size) / math.sqrt(size[-1])).astype(np.float32)

    made = {
        "embeddings.word_embeddings.weight": matrix(shape.vocabulary, shape.hidden),
        "embeddings.position_embeddings.weight": matrix(shape.positions, shape.hidden),
        "embeddings.token_type_embeddings.weight": matrix(2, shape.hidden),
    }
    norms = ["embeddings.LayerNorm"]
    for layer in range(shape.layers):
        at = f"encoder.layer.{layer}"
        linear = {f"{at}.attention.self.{part}": (shape.hidden, shape.hidden) for part in ("query", "key", "value")}
        linear[f"{at}.attention.output.dense"] = (shape.hidden, shape.hidden)
        linear[f"{at}.intermediate.dense"] = (shape.intermediate, shape.hidden)
        linear[f"{at}.output.dense"] = (shape.hidden, shape.intermediate)
        for name, size in linear.items():
            made |= {f"{name}.weight": matrix(*size), f"{name}.bias": 0.1 * matrix(size[0])}
        norms += [f"{at}.attention.output.LayerNorm", f"{at}.output.LayerNorm"]
    for name in norms:
        made |= {f"{name}.weight": 1 + 0.1 * matrix(shape.hidden), f"{name}.bias": 0.1 * matrix(shape.hidden)}
    return made


# --- the reference ----------------------------------------------------------------------------------------------------


def token_vectors(weights: Weights, shape: Shape, ids: list[int]) -> np.ndarray:
    """Compute the model's output for each token: float64 [n, hidden]."""
    own = {name: value.astype(np.float64) for name, value in weights.items()}

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        scaled = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + EPSILON)
        return scaled * own[f"{name}.weight"] + own[f"{name}.bias"]

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ own[f"{name}.weight"].T + own[f"{name}.bias"]

    def split(x: np.ndarray) -> np.ndarray:
        return x.reshape(len(ids), shape.heads, -1).transpose(1, 0, 2)

    x = own["embeddings.word_embeddings.weight"][ids] + own["embeddings.position_embeddings.weight"][: len(ids)]
    x = norm(x + own["embeddings.token_type_embeddings.weight"][0], "embeddings.LayerNorm")
    for layer in range(shape.layers):
        at = f"encoder.layer.{layer}"
        query, key, value = (split(linear(x, f"{at}.attention.self.{part}")) for part in ("query", "key", "value"))
        scores = query @ key.transpose(0, 2, 1) / math.sqrt(shape.hidden // shape.heads)
        shares = np.exp(scores - scores.max(-1, keepdims=True))
        shares /= shares.sum(-1, keepdims=True)
        seen = (shares @ value).transpose(1, 0, 2).reshape(len(ids), shape.hidden)
        x = norm(x + linear(seen, f"{at}.attention.output.dense"), f"{at}.attention.output.LayerNorm")
        inner = linear(x, f"{at}.intermediate.dense")
        inner = inner * 0.5 * (1 + np.vectorize(math.erf)(inner / math.sqrt(2)))
        x = norm(x + linear(inner, f"{at}.output.dense"), f"{at}.output.LayerNorm")
    return x


# --- the graph --------------------------------------------------------------------------------------------------------


@dataclass
class _Graph:
    nodes: list[Any] = field(default_factory=list)
    constants: list[Any] = field(default_factory=list)

    def constant(self, value: np.ndarray, name: str = "") -> str:
        from onnx import numpy_helper

        name = name or f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        from onnx import helper

        name = f"n{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **attributes))
        return name


def save_onnx(weights: Weights, shape: Shape, path: Path, output: str = "last_hidden_state") -> None:
    """Write the model: inputs ``input_ids``, ``attention_mask``, ``token_type_ids`` [batch, n]."""
    import onnx
    from onnx import TensorProto, helper

    graph = _Graph()
    named = {name: graph.constant(value, name) for name, value in weights.items() if value.ndim == 1}
    named |= {
        name: graph.constant(value if name.startswith("embeddings") else value.T, name)
        for name, value in weights.items()
        if value.ndim == 2
    }

    def norm(x: str, name: str) -> str:
        return graph.add(
            "LayerNormalization", x, named[f"{name}.weight"], named[f"{name}.bias"], axis=-1, epsilon=EPSILON
        )

    def linear(x: str, name: str) -> str:
        return graph.add("Add", graph.add("MatMul", x, named[f"{name}.weight"]), named[f"{name}.bias"])

    def split(x: str) -> str:
        sizes = graph.constant(np.array([0, 0, shape.heads, shape.hidden // shape.heads], np.int64))
        return graph.add("Transpose", graph.add("Reshape", x, sizes), perm=[0, 2, 1, 3])

    first, second = graph.constant(np.array([0], np.int64)), graph.constant(np.array([1], np.int64))
    length = graph.add("Gather", graph.add("Shape", "input_ids"), second)
    positions = graph.add("Slice", named["embeddings.position_embeddings.weight"], first, length, first)
    x = graph.add("Gather", named["embeddings.word_embeddings.weight"], "input_ids")
    x = graph.add("Add", x, graph.add("Gather", named["embeddings.token_type_embeddings.weight"], "token_type_ids"))
    x = norm(graph.add("Add", x, positions), "embeddings.LayerNorm")
    kept = graph.add("Cast", "attention_mask", to=TensorProto.FLOAT)
    away = graph.add("Mul", graph.add("Sub", kept, graph.constant(np.float32(1))), graph.constant(np.float32(1e4)))
    away = graph.add("Unsqueeze", away, graph.constant(np.array([1, 2], np.int64)))
    scale = graph.constant(np.float32(1 / math.sqrt(shape.hidden // shape.heads)))
    for layer in range(shape.layers):
        at = f"encoder.layer.{layer}"
        query, key, value = (split(linear(x, f"{at}.attention.self.{part}")) for part in ("query", "key", "value"))
        scores = graph.add("MatMul", query, graph.add("Transpose", key, perm=[0, 1, 3, 2]))
        shares = graph.add("Softmax", graph.add("Add", graph.add("Mul", scores, scale), away), axis=-1)
        seen = graph.add("Transpose", graph.add("MatMul", shares, value), perm=[0, 2, 1, 3])
        seen = graph.add("Reshape", seen, graph.constant(np.array([0, 0, shape.hidden], np.int64)))
        x = norm(graph.add("Add", x, linear(seen, f"{at}.attention.output.dense")), f"{at}.attention.output.LayerNorm")
        inner = linear(x, f"{at}.intermediate.dense")
        erf = graph.add("Erf", graph.add("Mul", inner, graph.constant(np.float32(1 / math.sqrt(2)))))
        half = graph.add("Mul", graph.add("Add", erf, graph.constant(np.float32(1))), graph.constant(np.float32(0.5)))
        outer = linear(graph.add("Mul", inner, half), f"{at}.output.dense")
        x = norm(graph.add("Add", x, outer), f"{at}.output.LayerNorm")
    sizes: list[str | int] = ["batch", "n", shape.hidden]
    if output == "sentence_embedding":
        x, sizes = graph.add("ReduceMean", x, second, keepdims=0), ["batch", shape.hidden]
    graph.nodes.append(helper.make_node("Identity", [x], [output]))
    names = ("input_ids", "attention_mask", "token_type_ids")
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "n"]) for name in names]
    outputs = [helper.make_tensor_value_info(output, TensorProto.FLOAT, sizes)]
    made = helper.make_graph(graph.nodes, "bert", inputs, outputs, graph.constants)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, str(path))


def save_tokenizer(path: Path, shape: Shape) -> None:
    """Words of letters, framed as BERT does; what is not known is one token."""
    import tokenizers
    from tokenizers import models, normalizers, pre_tokenizers, processors

    letters = [chr(ord("a") + n) for n in range(26)]
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *letters, *(f"##{letter}" for letter in letters)]
    vocabulary = {piece: n for n, piece in enumerate(pieces)}
    assert len(vocabulary) <= shape.vocabulary
    made = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made.save(str(path))


def save_model(directory: Path, shape: Shape | None = None, output: str = "last_hidden_state") -> Weights:
    """A whole model directory with random weights."""
    shape = shape or Shape()
    weights = random_weights(shape)
    directory.mkdir(parents=True, exist_ok=True)
    save_onnx(weights, shape, directory / "model.onnx", output)
    save_tokenizer(directory / "tokenizer.json", shape)
    return weights
