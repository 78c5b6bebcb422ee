"""A model of the user's own on this machine: a directory with `model.onnx` and `tokenizer.json`, run by onnxruntime.

Documents are embedded in the warm workers, queries in a thread of the daemon. Each text is run by itself: models that
are quantised dynamically scale by the whole batch, so in company a text would get other bits, and on one thread a batch
of long texts is hardly quicker than its texts one by one. Many processes make up for it. An accelerator takes batches,
in the daemon's process alone; vectors of the same text then differ in their last bits.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from regend.config import EmbeddingConfig, user_path
from regend.embedding.base import EmbedInWorkers, Matrix, ModelInfo, Task, embed_parts, unit_vectors
from regend.embedding.devices import CPU, Device, in_batches, open_session
from regend.embedding.remote.presets import Style, style_for
from regend.embedding.remote.texts import TokenCounter
from regend.errors import ConfigError, ProviderRejectedError
from regend.types import Lane

_MODEL, _TOKENIZER = "model.onnx", "tokenizer.json"
_TASK_TEXTS = 2
"""Maximum texts that a worker gets at a time: few, so that a chunking task or an edit never waits long."""
_BATCH_ITEMS = 16
_MAX_TOKENS = 512
_NO_LIMIT = 1_000_000
"""`tokenizer_config.json` says 10**30 where there is no limit."""
_POOLED = "sentence_embedding"
"""The output of models that were exported with their pooling; `pooler_output` is something else."""


@dataclass(frozen=True, slots=True)
class OnnxSettings:
    """Everything that the vectors depend on, and how much of the machine may be used.

    Attributes:
        dim: vectors are cut to this length, for models that were trained for it; 0: not cut.
        text_tokens: maximum tokens of a text; a longer one is cut at a line.
        fingerprint: of the model's file.
        device: as configured.
    """

    model_dir: str
    pooling: str
    document_prefix: str
    query_prefix: str
    text_tokens: int
    dim: int
    threads: int
    fingerprint: str
    device: str = CPU.name
    batch_items: int = 0


class OnnxEncoder:
    """Implements `LocalEncoder`.

    Attributes:
        device: where the model runs.
        fallback: why that is not the device that was asked for; empty if it is.

    Raises:
        ConfigError: the package is not installed, or the files are not what they must be.
    """

    def __init__(self, settings: OnnxSettings) -> None:
        self._settings = settings
        directory = Path(settings.model_dir)
        self._counter = TokenCounter(str(directory / _TOKENIZER))
        self._session, self.device, self.fallback = _session(directory / _MODEL, settings)
        self._inputs = _inputs(self._session)
        if self.device.is_accelerator and "attention_mask" not in self._inputs:
            self._batch_items = 1  # Padding would count as text.
        else:
            self._batch_items = settings.batch_items or self.device.batch_items
        self._output, self._is_pooled = _output(self._session)
        self._pooling = settings.pooling
        dim = len(self._vectors(self._ids(["def f(): pass"]))[0])
        shaped = f"{settings.pooling}\0{settings.document_prefix}\0{settings.query_prefix}\0{settings.text_tokens}"
        mark = hashlib.blake2b(f"{settings.fingerprint}\0{shaped}".encode(), digest_size=6).hexdigest()
        self.info = ModelInfo(
            model_id=f"onnx-{directory.name}-{mark}@{dim}",
            dim=dim,
            local=True,
            note=f"{directory.name} on this machine (onnxruntime on {self.device.name}, pooling {self._pooling})",
            max_items=max(_BATCH_ITEMS, self._batch_items),
            max_tokens=max(_BATCH_ITEMS, self._batch_items) * settings.text_tokens,
            accelerated=self.device.is_accelerator,
        )

    def encode(self, texts: Sequence[str], task: Task) -> Matrix:
        """See `LocalEncoder.encode`."""
        prefix = self._settings.query_prefix if task == "query" else self._settings.document_prefix
        rows = self._ids([prefix + text for text in texts])
        vectors = in_batches(rows, self._batch_items, self._vectors)
        return unit_vectors(np.array(vectors, np.float32), len(texts), self.info.dim, self.info.note)

    def _ids(self, texts: Sequence[str]) -> list[list[int]]:
        # An accelerator is faster than one core finds tokens; on the CPU each of many processes has one core.
        rows = self._counter.ids(texts, self._settings.text_tokens, on_all_cores=self.device.is_accelerator)
        if not all(rows):
            raise ProviderRejectedError("The tokenizer finds no token in the text.", "refused")
        return rows

    def _vectors(self, rows: Sequence[Sequence[int]]) -> list[Matrix]:
        """Run the model on rows of tokens, padded to the longest."""
        lengths = np.array([len(ids) for ids in rows])
        shape = (len(rows), int(lengths.max()))
        positions = np.broadcast_to(np.arange(shape[1], dtype=np.int64), shape)
        mask = (positions < lengths[:, None]).astype(np.int64)
        padded = np.zeros(shape, np.int64)
        for row, ids in enumerate(rows):
            padded[row, : len(ids)] = ids
        known = {
            "input_ids": padded,
            "attention_mask": mask,
            "token_type_ids": np.zeros(shape, np.int64),
            "position_ids": np.ascontiguousarray(positions),
        }
        try:
            (output,) = self._session.run([self._output], {name: known[name] for name in self._inputs})
        except Exception as error:  # The package raises exceptions of its own, without a common base.
            raise ProviderRejectedError(f"{self._settings.model_dir} cannot run: {_first_line(error)}.") from error
        vectors = [np.asarray(vector, np.float32) for vector in output]
        if not self._is_pooled:
            vectors = [_pooled(tokens[:length], self._pooling) for tokens, length in zip(vectors, lengths, strict=True)]
        return [vector[: self._settings.dim] if self._settings.dim else vector for vector in vectors]


def _pooled(tokens: Matrix, pooling: str) -> Matrix:
    """Make one vector of a text's own tokens, without padding (float32 [n, dim])."""
    pooled = {"cls": tokens[0], "last": tokens[-1], "mean": tokens.mean(axis=0)}
    return np.asarray(pooled[pooling], np.float32)


class OnnxProvider:
    """Implements `EmbeddingProvider`: documents in the warm workers, queries in a thread here."""

    def __init__(self, config: EmbeddingConfig, embed_in_workers: EmbedInWorkers) -> None:
        directory = user_path(config.model_dir, "embedding.model_dir").resolve()
        for name in (_MODEL, _TOKENIZER):
            if not (directory / name).is_file():
                raise ConfigError(f"`embedding.model_dir`: {directory / name} is not there; both files are needed.")
        self._config = config
        self._directory = directory
        self._style = style_for(config, config.model or directory.name)
        self._embed_in_workers = embed_in_workers
        self._encoder: OnnxEncoder | None = None
        self._spec = ""
        self._loading = asyncio.Lock()
        self.info = ModelInfo(f"onnx-{directory.name}", 0, local=True, note=f"{directory.name} on this machine")

    async def prepare(self) -> ModelInfo:
        """See `EmbeddingProvider.prepare`: loads the model."""
        await self.load()
        return self.info

    async def embed(self, texts: Sequence[str], task: Task, lane: Lane = Lane.BULK) -> Matrix:
        """See `EmbeddingProvider.embed`."""
        encoder = await self.load()
        if task == "query" or encoder.device.is_accelerator:
            return await asyncio.to_thread(encoder.encode, texts, task)
        parts = [texts[at : at + _TASK_TEXTS] for at in range(0, len(texts), _TASK_TEXTS)]
        return await embed_parts((self._embed_in_workers(part, lane, self._spec) for part in parts), self.info.dim)

    def status(self) -> dict[str, Any]:
        """See `EmbeddingProvider.status`; nothing is known before the model is loaded."""
        if self._encoder is None:
            return {}
        fallback = {"device_reason": self._encoder.fallback} if self._encoder.fallback else {}
        return {"device": self._encoder.device.name, **fallback}

    async def close(self) -> None:
        self._encoder = None

    async def load(self) -> OnnxEncoder:
        """Load the model if it is not loaded."""
        async with self._loading:
            if self._encoder is None:
                settings = await asyncio.to_thread(_settings, self._config, self._directory, self._style)
                self._encoder = await asyncio.to_thread(OnnxEncoder, settings)
                # Workers run the model only where there is no accelerator.
                self._spec = msgspec.json.encode(replace(settings, device=CPU.name)).decode()
                self.info = self._encoder.info
            return self._encoder


def open_spec(spec: str) -> OnnxEncoder:
    """Open the encoder of a spec: its `OnnxSettings` in JSON."""
    return OnnxEncoder(msgspec.json.decode(spec, type=OnnxSettings))


def _settings(config: EmbeddingConfig, directory: Path, style: Style) -> OnnxSettings:
    return OnnxSettings(
        model_dir=str(directory),
        pooling=config.pooling if config.pooling != "auto" else _known_pooling(directory),
        document_prefix=style.document,
        query_prefix=style.query,
        text_tokens=config.max_text_tokens or _known_length(directory),
        dim=config.dim,
        threads=config.threads,
        fingerprint=_fingerprint(directory),
        device=config.device,
        batch_items=config.device_batch,
    )


def _fingerprint(directory: Path) -> str:
    with (directory / _MODEL).open("rb") as model:
        digest = hashlib.file_digest(model, "sha256")
    digest.update((directory / _TOKENIZER).read_bytes())
    return digest.hexdigest()


def _table(path: Path) -> dict[str, Any]:
    try:
        table = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return table if isinstance(table, dict) else {}


def _known_pooling(directory: Path) -> str:
    """Read the pooling from the model's own `1_Pooling/config.json`; ``mean`` where it has no entry."""
    table = _table(directory / "1_Pooling" / "config.json")
    if table.get("pooling_mode_cls_token"):
        return "cls"
    return "last" if table.get("pooling_mode_lasttoken") else "mean"


def _known_length(directory: Path) -> int:
    """Read the maximum tokens of a text from the model's own files."""
    places = (
        ("sentence_bert_config.json", "max_seq_length"),
        ("tokenizer_config.json", "model_max_length"),
        ("config.json", "max_position_embeddings"),
    )
    for name, key in places:
        length = _table(directory / name).get(key)
        if isinstance(length, int) and 0 < length < _NO_LIMIT:
            return length
    return _MAX_TOKENS


def _session(path: Path, settings: OnnxSettings) -> tuple[Any, Device, str]:
    """Open the model; return the session, its device, and why it is not the wanted device."""
    try:
        runtime = importlib.import_module("onnxruntime")
    except ImportError as error:
        raise ConfigError("Provider onnx needs the package `onnxruntime`: install `regend[onnx]`.") from error
    available = runtime.get_available_providers()

    def make(device: Device) -> Any:
        options = runtime.SessionOptions()
        options.intra_op_num_threads = settings.threads
        options.inter_op_num_threads = 1
        # An arena keeps what the longest text needed; without it memory is given back after each run.
        options.enable_cpu_mem_arena = False
        options.enable_mem_pattern = False
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        # Operators that an accelerator lacks run on the CPU.
        providers = [(device.provider, dict(device.options)), *([CPU.provider] if device.is_accelerator else [])]
        return runtime.InferenceSession(str(path), options, providers=providers)

    try:
        return open_session(settings.device, available, make)
    except Exception as error:  # The package raises exceptions of its own, without a common base.
        raise ConfigError(f"`embedding.model_dir`: {path} cannot be loaded: {_first_line(error)}.") from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _inputs(session: Any) -> tuple[str, ...]:
    known = ("input_ids", "attention_mask", "token_type_ids", "position_ids")
    names = tuple(entry.name for entry in session.get_inputs())
    unknown = [name for name in names if name not in known]
    if unknown or "input_ids" not in names:
        raise ConfigError(
            f"`embedding.model_dir`: the model's inputs are {', '.join(names)}; an encoder for texts has input_ids, "
            "and may have attention_mask, token_type_ids and position_ids."
        )
    return names


def _output(session: Any) -> tuple[str, bool]:
    """Choose the output to take; tell whether it is one vector per text already."""
    ranks = {entry.name: len(entry.shape) for entry in session.get_outputs()}
    if ranks.get(_POOLED) == 2:
        return _POOLED, True
    for wanted_rank in (3, 2):
        for name, rank in ranks.items():
            if rank == wanted_rank:
                return name, rank == 2
    raise ConfigError(
        f"`embedding.model_dir`: the model's outputs are {', '.join(ranks)}; none has a vector per token or per text."
    )
