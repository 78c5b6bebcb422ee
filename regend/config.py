"""The user's configuration: built-in defaults < user TOML < environment < flags.

Only the standard library is imported, because `regenctl` reads this too. Files inside a repository can never set any of
this; what they may set is in `disk/ignore/rules.py`.
"""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from regend.errors import ConfigError
from regend.paths import default_config_path

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class WatchConfig:
    """How changes are collected.

    Attributes:
        quiet_ms: a path is read once it has not changed for this long.
        max_delay_ms: …or once its first change is this old, even while it keeps changing.
        storm_paths: more changed paths than this in one root collapse to one rescan of the root.
        busy_limit_s: how long `.git/index.lock` may hold changes back.
        reconcile_interval_s: how often each root is compared with the disk although nothing was reported.
        poll_interval_s: the same, for a root that cannot be watched (no watches left, network file system).
        max_watches: directories watched at most, over all roots; beyond that a root is polled.
    """

    quiet_ms: int = 40
    max_delay_ms: int = 400
    storm_paths: int = 512
    busy_limit_s: float = 10.0
    reconcile_interval_s: float = 600.0
    poll_interval_s: float = 5.0
    max_watches: int = 100_000


@dataclass(frozen=True, slots=True)
class LimitConfig:
    """What is too much for one file.

    Attributes:
        max_file_bytes: larger files are skipped (`too_large`).
        max_line_bytes: a file with a longer line is not parsed; much longer: skipped (`minified`).
        parse_timeout_s: a parse that takes longer gives way to line windows.
        chunk_tokens: a chunk's size that the chunker aims at.
        overlap_lines: lines that neighbouring windows of one long definition share.
    """

    max_file_bytes: int = 1_000_000
    max_line_bytes: int = 5_000
    parse_timeout_s: float = 2.0
    chunk_tokens: int = 400
    overlap_lines: int = 0


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """The warm worker processes.

    Attributes:
        count: workers at most; 0 means one per core, at most 8.
        window: work items sent ahead to each worker.
        rss_cap_mb: a worker that grows beyond this is replaced after its current item.
        deadline_s: a worker that takes longer for one item is killed and replaced.
        idle_shrink_s: after this long without work all workers but one stop.
        mode: ``sequential``, ``parallel``, ``pipeline`` or ``auto``; all give the same index.
    """

    count: int = 0
    window: int = 4
    rss_cap_mb: int = 512
    deadline_s: float = 20.0
    idle_shrink_s: float = 60.0
    mode: str = "auto"


@dataclass(frozen=True, slots=True)
class ResourceConfig:
    """When bulk work steps back.

    Attributes:
        pressure_percent: files are indexed one at a time while tasks of this machine stand still for more than this
            share of time, for want of memory or disk (Linux only); 0: never.
        min_free_mb: nothing is indexed while less is free on the state directory's file system.
        max_state_mb: or while the state directory is larger than this; 0: no limit.
        max_rss_mb: or while the daemon's own process, without workers, takes more memory than this; 0: no limit.
        battery: what bulk work does while the machine runs on battery, where that is known (Linux only): ``slow``,
            files are indexed one at a time; ``usual``, nothing else.
    """

    pressure_percent: float = 40.0
    min_free_mb: int = 100
    max_state_mb: int = 0
    max_rss_mb: int = 0
    battery: str = "slow"


PROVIDERS = ("builtin", "onnx", "http", "openai", "voyage", "ollama", "tei", "llama-server")
"""What `embedding.provider` may be: local models, then servers, whose presets are in `embedding/presets`."""


@dataclass(frozen=True, slots=True)
class EmbeddingConfig:
    """Which model turns chunks into vectors, and how batches are closed. 0 and empty mean: as the preset says.

    Attributes:
        provider: one of `PROVIDERS`; ``http`` is any server that speaks the OpenAI API.
        role: ``upgrade``: the built-in model serves at once and this one takes over when it is through; ``only``: this
            one alone.
        url: base URL of the server, such as ``http://127.0.0.1:8080/v1``.
        urls: further servers with the same model; requests go to the one with the least to do.
        model: the model's name at the server.
        dim: length of its vectors; 0: ask the server.
        tier: which of the preset's sets of limits holds.
        prefixes: a style of task prefixes, ``auto`` (by the model's name) or ``none``.
        document_prefix: in front of each chunk, in place of the style's.
        query_prefix: the same for queries.
        encoding: ``auto``, ``float`` or ``base64``: how vectors are to be sent.
        api_key_env: name of the environment variable that holds the key.
        api_key_file: a file that holds it, mode 0600.
        api_key_keyring: ``service/user`` of the system's keyring, when the package is installed.
        remote_roots: roots whose text may be sent to a server that is not on this machine.
        batch_items: a batch is closed at this many chunks,
        batch_tokens: …or this many tokens,
        batch_bytes: …or this many bytes,
        linger_ms: …or when its first chunk has waited this long.
        concurrency: requests under way at once, at most.
        requests_per_minute: limit of the account.
        tokens_per_minute: the same for tokens.
        rate_margin: the share of both limits that is used.
        max_text_tokens: a longer text is cut at a line.
        tokenizer: the model's `tokenizer.json`, by which tokens are counted; without it they are estimated.
        timeout_s: how long one request may take.
        attempts: requests at most before a batch waits for a later try.
        retry_budget_s: …and seconds at most.
        fail_fast: do not try again within a request at all.
        model_dir: directory of the local model: ``model.onnx`` and ``tokenizer.json``.
        pooling: ``auto``, ``mean``, ``cls`` or ``last``: how a local model's tokens become one vector.
        threads: of each process that runs a local model.
        cache_mb: texts and vectors that no tree uses are kept up to this size; the least recently used go first.
    """

    provider: str = "builtin"
    role: str = "upgrade"
    url: str = ""
    urls: tuple[str, ...] = ()
    model: str = ""
    dim: int = 0
    tier: str = ""
    prefixes: str = "auto"
    document_prefix: str = ""
    query_prefix: str = ""
    encoding: str = "auto"
    api_key_env: str = ""
    api_key_file: str = ""
    api_key_keyring: str = ""
    remote_roots: tuple[str, ...] = ()
    batch_items: int = 0
    batch_tokens: int = 0
    batch_bytes: int = 1_000_000
    linger_ms: int = 10
    concurrency: int = 0
    requests_per_minute: int = 0
    tokens_per_minute: int = 0
    rate_margin: float = 0.9
    max_text_tokens: int = 0
    tokenizer: str = ""
    timeout_s: float = 60.0
    attempts: int = 4
    retry_budget_s: float = 60.0
    fail_fast: bool = False
    model_dir: str = ""
    pooling: str = "auto"
    threads: int = 1
    cache_mb: int = 1_000


@dataclass(frozen=True, slots=True)
class IgnoreConfig:
    """Patterns in `.gitignore` syntax that apply to every root, last in order."""

    patterns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """Everything a user may set; see `docs/configuration.md`."""

    watch: WatchConfig = field(default_factory=WatchConfig)
    limits: LimitConfig = field(default_factory=LimitConfig)
    workers: WorkerConfig = field(default_factory=WorkerConfig)
    embedding: EmbeddingConfig = field(default_factory=EmbeddingConfig)
    resources: ResourceConfig = field(default_factory=ResourceConfig)
    ignore: IgnoreConfig = field(default_factory=IgnoreConfig)


def load_config(path: Path | None = None, environ: Mapping[str, str] | None = None) -> Config:
    """Read the user's TOML.

    Args:
        path: from `--config`; else `REGEND_CONFIG`; else the default place, where a missing file means all defaults.

    Raises:
        ConfigError: the named file cannot be read, is not TOML, or has an unknown key or a value of the wrong type.
    """
    environ = os.environ if environ is None else environ
    named = path or (Path(environ["REGEND_CONFIG"]) if environ.get("REGEND_CONFIG") else None)
    file = named or default_config_path(environ)
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        if named is None:
            return Config()
        raise ConfigError(f"Configuration file {file} does not exist; create it or drop the option.") from None
    except OSError as error:
        raise ConfigError(f"Configuration file {file} cannot be read: {error.strerror}.") from error
    return config_from_table(parse_toml(raw, f"Configuration file {file}"), str(file))


def user_path(value: str, key: str, source: str = "configuration") -> Path:
    """A path from the configuration, in which ``~`` means the home directory.

    Raises:
        ConfigError: it begins with ``~`` and the name of nobody here.
    """
    try:
        return Path(value).expanduser()
    except RuntimeError as error:
        known = f"{source}: `{key}` is {value!r}"
        raise ConfigError(f"{known}, but nobody of that name is known here; write the path out.") from error


def parse_toml(raw: bytes, source: str) -> dict[str, Any]:
    """The table that a TOML file holds, whoever wrote it.

    Raises:
        ConfigError: it is none, or nests more deeply than Python follows; the message begins with `source`.
    """
    try:
        return tomllib.loads(raw.decode())
    except RecursionError:
        raise ConfigError(f"{source} is nested too deeply; write it with fewer brackets.") from None
    except ValueError as error:  # Not TOML, not UTF-8, or a number of thousands of digits.
        raise ConfigError(f"{source} is not valid TOML: {error}.") from error


def config_from_table(table: Mapping[str, Any], source: str) -> Config:
    """Check a parsed table against `Config` and build it; `source` is named in errors."""
    config = _build(Config, table, source, "")
    _check(config, source)
    return config


def _build(cls: type[_T], table: Mapping[str, Any], source: str, prefix: str) -> _T:
    hints = get_type_hints(cls)
    known = {f.name for f in fields(cls)}  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in table.items():
        name = f"{prefix}{key}"
        if key not in known:
            raise ConfigError(f"{source}: unknown key `{name}`; known here: {', '.join(sorted(known))}.")
        want = hints[key]
        if is_dataclass(want):
            if not isinstance(value, Mapping):
                raise ConfigError(f"{source}: `{name}` must be a table, not {value!r}.")
            values[key] = _build(want, value, source, f"{name}.")  # type: ignore[arg-type]
        else:
            values[key] = _scalar(want, value, source, name)
    return cls(**values)


def _scalar(want: Any, value: Any, source: str, name: str) -> Any:
    if want is float and type(value) in (int, float):
        return float(value)
    if want in (int, bool) and type(value) is want:
        return value
    if want is str and isinstance(value, str):
        return value
    if want == tuple[str, ...] and isinstance(value, list) and all(isinstance(v, str) for v in value):
        return tuple(value)
    wanted = {float: "a number", int: "a whole number", str: "a string", bool: "true or false"}.get(
        want, "a list of strings"
    )
    raise ConfigError(f"{source}: `{name}` must be {wanted}, not {value!r}.")


_POSITIVE = (
    "watch.storm_paths", "watch.max_delay_ms", "watch.reconcile_interval_s", "watch.poll_interval_s",
    "limits.max_file_bytes", "limits.max_line_bytes", "limits.parse_timeout_s", "limits.chunk_tokens",
    "workers.window", "workers.rss_cap_mb", "workers.deadline_s",
    "embedding.batch_bytes", "embedding.rate_margin", "embedding.timeout_s", "embedding.attempts", "embedding.threads",
)  # fmt: skip


def _check(config: Config, source: str) -> None:
    for section in fields(config):
        values = getattr(config, section.name)
        for item in fields(values):
            value, name = getattr(values, item.name), f"{section.name}.{item.name}"
            if isinstance(value, float) and not math.isfinite(value):
                raise ConfigError(f"{source}: `{name}` is {value}; give a finite number.")
            if (
                isinstance(value, (int, float))
                and not isinstance(value, bool)
                and (value < 0 or (value == 0 and name in _POSITIVE))
            ):
                raise ConfigError(f"{source}: `{name}` is {value}, which is too small; give a positive number.")
    _check_choices(config, source)
    embedding = config.embedding
    if embedding.rate_margin > 1.0:
        raise ConfigError(f"{source}: `embedding.rate_margin` is {embedding.rate_margin}; give a share up to 1.")
    if embedding.provider == "http" and not ((embedding.url or embedding.urls) and embedding.model):
        raise ConfigError(f"{source}: provider http needs `embedding.url` and `embedding.model`.")
    if embedding.provider == "onnx" and not embedding.model_dir:
        raise ConfigError(f"{source}: provider onnx needs `embedding.model_dir`.")
    for key in ("model_dir", "api_key_file", "remote_roots"):
        named = getattr(embedding, key)
        for path in (named,) if isinstance(named, str) else named:
            user_path(path, f"embedding.{key}", source)


_CHOICES = {
    "resources.battery": ("slow", "usual"),
    "workers.mode": ("auto", "sequential", "parallel", "pipeline"),
    "embedding.provider": PROVIDERS,
    "embedding.role": ("upgrade", "only"),
    "embedding.pooling": ("auto", "mean", "cls", "last"),
    "embedding.encoding": ("auto", "float", "base64"),
}


def _check_choices(config: Config, source: str) -> None:
    for name, choices in _CHOICES.items():
        section, _, key = name.partition(".")
        value = getattr(getattr(config, section), key)
        if value not in choices:
            known = f"{', '.join(choices[:-1])} or {choices[-1]}"
            raise ConfigError(f"{source}: `{name}` is {value!r}; use {known}.")
