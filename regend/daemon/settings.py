"""Translates the user's configuration for the pure core."""

from __future__ import annotations

from regend.config import Config, EmbeddingConfig
from regend.core.batcher import BatchConfig
from regend.core.debouncer import DebounceConfig
from regend.core.modes import Surroundings
from regend.core.pipeline import PipelineConfig
from regend.embedding.base import ModelInfo
from regend.machine import this_machine
from regend.workers.dispatcher import Dispatcher


def pipeline_config(
    config: Config, embedding: EmbeddingConfig, workers: Dispatcher, model: ModelInfo
) -> PipelineConfig:
    """Return the core's bounds; `embedding` configures the first model."""
    watch = config.watch
    machine = this_machine()
    return PipelineConfig(
        debounce=DebounceConfig(watch.quiet_ms / 1e3, watch.max_delay_ms / 1e3, watch.storm_paths, watch.busy_limit_s),
        batch=batch_config(embedding, model),
        mode=config.workers.mode,  # type: ignore[arg-type]
        surroundings=Surroundings(machine.cores, machine.memory_bytes, model.accelerated or not model.local),
        chunk_slots=workers.slots,
        embed_slots=embedding.concurrency or model.concurrency,
        texts_per_file_hour=config.embedding.texts_per_file_hour,
    )


def batch_config(config: EmbeddingConfig, model: ModelInfo) -> BatchConfig:
    """Return when a model's batches are closed: as configured, otherwise as the model prefers."""
    return BatchConfig(
        config.batch_items or model.max_items,
        config.batch_tokens or model.max_tokens,
        config.batch_bytes,
        config.linger_ms / 1e3,
    )
