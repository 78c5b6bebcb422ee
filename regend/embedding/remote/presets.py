"""Known properties of servers and models: one data file per kind of server in `presets`, and task prefixes.

The user's configuration comes before a preset's chosen set of limits, the set before the preset itself. A server may
correct limits later, by its headers or by what it refuses.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from typing import Any

from regend.config import EmbeddingConfig
from regend.embedding.remote.address import origin_of
from regend.errors import ConfigError

_STYLES = "styles"


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of one request and of one minute; 0 for no bound.

    Attributes:
        batch_items, batch_tokens: texts and tokens in a request.
        text_tokens: tokens of one text.
        concurrency: requests in progress at once.
    """

    batch_items: int = 64
    batch_tokens: int = 32_000
    text_tokens: int = 0
    concurrency: int = 2
    requests_per_minute: int = 0
    tokens_per_minute: int = 0


@dataclass(frozen=True, slots=True)
class Preset:
    """One data file.

    Attributes:
        dialect: the API that the server speaks, see `dialects`.
        url, model, api_key_env: used where the configuration leaves them out.
        dimensions: the server can shorten vectors on request.
        tasks: the server tells documents and queries apart by itself.
        limit_set: which of `limit_sets` holds where `embedding.tier` names none.
        dims: length of the vectors of models that are known, by the model's name.
    """

    name: str
    dialect: str
    limits: Limits
    url: str = ""
    model: str = ""
    api_key_env: str = ""
    dimensions: bool = False
    tasks: bool = False
    limit_set: str = ""
    limit_sets: dict[str, dict[str, int]] = field(default_factory=dict)
    dims: dict[str, int] = field(default_factory=dict)

    def limits_for(self, config: EmbeddingConfig) -> Limits:
        """Return the limits in force: the configuration's, else the chosen set's, else the preset's own.

        Raises:
            ConfigError: the preset has no set of the name in `embedding.tier`.
        """
        chosen = config.tier or self.limit_set
        if chosen and chosen not in self.limit_sets:
            known = ", ".join(self.limit_sets) or "none"
            raise ConfigError(f"`embedding.tier` is {chosen!r}; provider {self.name} has: {known}.")
        limits = replace(self.limits, **self.limit_sets.get(chosen, {}))
        configured = {
            "batch_items": config.batch_items,
            "batch_tokens": config.batch_tokens,
            "text_tokens": config.max_text_tokens,
            "concurrency": config.concurrency,
            "requests_per_minute": config.requests_per_minute,
            "tokens_per_minute": config.tokens_per_minute,
        }
        return replace(limits, **{name: value for name, value in configured.items() if value})


@dataclass(frozen=True, slots=True)
class Style:
    """Task prefixes; `match` is searched for in the model's name, ignoring case."""

    name: str
    match: str = ""
    document: str = ""
    query: str = ""


@cache
def presets() -> dict[str, Preset]:
    """Load all presets, by name."""
    return {
        name: Preset(**table | {"name": name, "limits": Limits(**table["limits"])})
        for name, table in _tables().items()
        if name != _STYLES
    }


@cache
def styles() -> tuple[Style, ...]:
    """Load all styles, in the order in which they are tried."""
    return tuple(Style(**table) for table in _tables()[_STYLES]["style"])


def style_for(config: EmbeddingConfig, model: str) -> Style:
    """Choose the prefixes for a model, as configured.

    Raises:
        ConfigError: no style has the configured name.
    """
    if config.prefixes == "auto":
        found = next((style for style in styles() if re.search(style.match, model, re.IGNORECASE)), Style("none"))
    else:
        by_name = {"none": Style("none")} | {style.name: style for style in styles()}
        if config.prefixes not in by_name:
            raise ConfigError(
                f"`embedding.prefixes` is {config.prefixes!r}, which is unknown; use auto, {', '.join(by_name)}."
            )
        found = by_name[config.prefixes]
    return replace(found, document=config.document_prefix or found.document, query=config.query_prefix or found.query)


def check(config: EmbeddingConfig) -> None:
    """Check the names and addresses in a configuration as far as they can be judged without a server.

    Raises:
        ConfigError: no daemon starts with them.
    """
    preset = presets().get(config.provider)
    if preset is not None:
        preset.limits_for(config)
        style_for(config, config.model or preset.model)
        for url in config.urls:
            origin_of(url)


def _tables() -> dict[str, dict[str, Any]]:
    files = resources.files(__package__).joinpath("presets").iterdir()
    return {
        file.name.removesuffix(".toml"): tomllib.loads(file.read_text("utf-8"))
        for file in sorted(files, key=lambda file: file.name)
        if file.name.endswith(".toml")
    }
