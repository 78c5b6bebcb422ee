"""The user's configuration: built-in defaults < user TOML < environment < flags.

It imports the standard library only, because `regenctl` reads it too. Files inside a repository can never set any of
these keys; `disk/repository.py` says what they may set.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_type_hints

from regend.errors import ConfigError, PathError
from regend.fields import declare, from_table, hidden, lines_of_keys
from regend.gateway.settings import HttpConfig, parse_address
from regend.overrides import overrides, source_of
from regend.paths import absolute, default_config_path
from regend.sharing.settings import SharedConfig

_QUOTED_KEY = re.compile(r"`([\w.-]+)`")


@dataclass(frozen=True, slots=True)
class WatchConfig:
    """How changes are collected."""

    quiet_ms: int = declare("a path is read once it has not changed for this long", 40, "ms", low=0)
    max_delay_ms: int = declare("a path that still changes is read once its first change is this old", 400, "ms", low=1)
    storm_paths: int = declare(
        "more changed paths than this in one root become one rescan of the root", 512, "paths", low=1
    )
    busy_limit_s: float = declare("how long git's `.git/index.lock` may hold changes back", 10.0, "s", low=0)
    reconcile_interval_s: float = declare(
        "how often each root is compared with the disk, whether changes were reported or not", 600.0, "s", above=0
    )
    poll_interval_s: float = declare(
        "how often a root without watches (none left, or on a network) is compared with the disk", 5.0, "s", above=0
    )
    max_watches: int = declare(
        "maximum watched directories over all roots; a root that would need more is polled",
        100_000, "directories", low=0,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class LimitConfig:
    """Limits for one file."""

    max_file_bytes: int = declare("a larger file is skipped (`too_large`)", 1_000_000, "bytes", low=1)
    max_line_bytes: int = declare(
        "a file with a longer line is not parsed but cut into line windows; one with a much longer line is skipped "
        "(`minified`)",
        5_000, "bytes", low=1,
    )  # fmt: skip
    parse_timeout_s: float = declare("a file that takes longer to parse is cut into line windows", 2.0, "s", above=0)
    chunk_tokens: int = declare("size that the chunker aims at", 400, "tokens", low=1)
    overlap_lines: int = declare("lines that neighbouring windows of one long definition share", 0, "lines", low=0)


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """The warm worker processes."""

    count: int = declare(
        "maximum number of workers; 0: one for each core that the daemon may use, fewer in little memory, at most 8",
        0,
        "processes",
        low=0,
    )
    window: int = declare("files sent ahead to each worker", 4, "files", low=1)
    rss_cap_mb: int = declare("a worker that grows beyond this is replaced after its current file", 512, "MB", low=1)
    deadline_s: float = declare("a worker that takes longer for one file is killed and replaced", 20.0, "s", above=0)
    idle_shrink_s: float = declare("after this long without work all workers but one stop", 60.0, "s", low=0)
    mode: str = declare(
        "how files are indexed; every mode gives the same index", "auto",
        choices=("auto", "sequential", "parallel", "pipeline"),
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ResourceConfig:
    """When bulk indexing steps back."""

    pressure_percent: float = declare(
        "files are indexed one at a time while tasks of this machine wait for memory or disk for a larger share of the "
        "time (Linux); 0: never",
        40.0, "%", low=0,
    )  # fmt: skip
    min_free_mb: int = declare(
        "nothing is indexed while the state directory's file system has less free space", 100, "MB", low=0
    )
    max_state_mb: int = declare("nothing is indexed while the state directory is larger; 0: no limit", 0, "MB", low=0)
    max_rss_mb: int = declare(
        "nothing is indexed while the daemon's process, without workers, takes more memory; 0: no limit", 0, "MB", low=0
    )
    battery: str = declare(
        "bulk indexing on battery, where regend can tell (Linux): `slow`, one file at a time; `usual`, no change",
        "slow",
        choices=("slow", "usual"),
    )


PROVIDERS = ("builtin", "onnx", "http", "openai", "voyage", "ollama", "tei", "llama-server")
"""Values of `embedding.provider`: local models, then servers, whose presets are in `embedding/remote/presets`."""


@dataclass(frozen=True, slots=True)
class EmbeddingConfig:
    """Which model turns chunks into vectors, and how batches are closed. 0 and empty mean: as the preset says."""

    provider: str = declare(
        "the built-in model, `onnx` for a model of your own, or a kind of server; `http` is any server that speaks the "
        "OpenAI API",
        "builtin",
        choices=PROVIDERS,
    )
    role: str = declare(
        "`upgrade`: the built-in model serves at once, and this model replaces it once every chunk has its vector; "
        "`only`: this model alone",
        "upgrade",
        choices=("upgrade", "only"),
    )
    urls: tuple[str, ...] = declare(
        "base URLs of the servers, such as `http://127.0.0.1:8080/v1`; all must have the same model, and each request "
        "goes to the least busy; empty: the usual one of the kind",
        (),
    )
    model: str = declare("the model's name at the server", "")
    dim: int = declare("length of the model's vectors; 0: ask the server", 0, low=0)
    tier: str = declare("set of limits of the kind: `free`, `tier1`, …; `cpu` or `gpu` for servers of your own", "")
    prefixes: str = declare(
        "task prefixes: by the model's name, `none`, or a style: `e5`, `bge`, `nomic`, `embeddinggemma`, `qwen`, …",
        "auto",
    )
    document_prefix: str = declare("text before each chunk instead of the style's", "")
    query_prefix: str = declare("text before each query instead of the style's", "")
    encoding: str = declare(
        "how the server sends vectors; `auto`: `base64` if it can do that", "auto", choices=("auto", "float", "base64")
    )
    api_key_env: str = declare("name of the environment variable that holds the key", "")
    api_key_file: str = declare("file that holds the key, mode 0600", "", "path")
    api_key_keyring: str = declare("`service/user` in the system's keyring; needs the package `keyring`", "")
    remote_roots: tuple[str, ...] = declare(
        "roots whose text may be sent to a server that is not on this machine", (), "paths"
    )
    batch_items: int = declare("a batch is closed at this many chunks; 0: as suits the model", 0, "chunks", low=0)
    batch_tokens: int = declare("a batch is closed at this many tokens; 0: as suits the model", 0, "tokens", low=0)
    batch_bytes: int = declare("a batch is closed at this many bytes", 1_000_000, "bytes", low=1)
    linger_ms: int = declare("a batch is closed when its first chunk has waited this long", 10, "ms", low=0)
    concurrency: int = declare(
        "maximum requests in flight at each server; 0: as suits the server", 0, "requests", low=0
    )
    requests_per_minute: int = declare(
        "the account's limit; 0: the usual one of the kind, or the one that the server states", 0, "requests", low=0
    )
    tokens_per_minute: int = declare("the account's limit; 0: as for requests", 0, "tokens", low=0)
    texts_per_file_hour: int = declare(
        "maximum chunks of one file that are sent in an hour to a server that is not on this machine, so that a file "
        "that never rests costs little money; the hour's first version of the file is sent whole; 0: no bound",
        2_000, "chunks", low=0,
    )  # fmt: skip
    rate_margin: float = declare(
        "share of both limits that is used in the long run; the nearer to 1, the shorter the bursts, so that no minute "
        "is above the limit; 1 leaves no room for a late request",
        0.9, above=0, high=1,
    )  # fmt: skip
    max_text_tokens: int = declare("a longer text is cut at a line; 0: the limit of the kind", 0, "tokens", low=0)
    tokenizer: str = declare(
        "the model's `tokenizer.json`, to count tokens exactly instead of estimating them; needs the package "
        "`tokenizers`",
        "",
        "path",
    )
    timeout_s: float = declare("how long one request may take", 60.0, "s", above=0)
    attempts: int = declare(
        "maximum requests before a batch waits for a later try; 1: no repeat within a try", 4, "requests", low=1
    )
    retry_budget_s: float = declare("no request of a batch begins later than this after the first", 60.0, "s", low=0)
    model_dir: str = declare("for `onnx`: directory with `model.onnx` and `tokenizer.json`", "", "path")
    pooling: str = declare(
        "for `onnx`: how the tokens' vectors become one; `auto`: as the model's own files say", "auto",
        choices=("auto", "mean", "cls", "last"),
    )  # fmt: skip
    device: str = declare(
        "for `onnx`: where the model runs; `auto`: CUDA if onnxruntime has it, else the CPU", "auto",
        choices=("auto", "cpu", "cuda", "coreml"),
    )  # fmt: skip
    device_batch: int = declare("for `onnx`: texts that run together; 0: as suits the device", 0, "texts", low=0)
    threads: int = declare("for `onnx`: threads of each process that runs the model", 1, "threads", low=1)
    cache_mb: int = declare(
        "maximum size of texts and vectors that no tree uses; the least recently used are deleted first",
        1_000, "MB", low=0,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class IgnoreConfig:
    """Paths that are not indexed, in addition to those that ignore files exclude."""

    patterns: tuple[str, ...] = declare("patterns in `.gitignore` syntax, for every root", ())


@dataclass(frozen=True, slots=True)
class ClientConfig:
    """How `regenctl` and the programs of agents behave."""

    autostart: bool = declare(
        "commands that ask start the daemon in the background if it does not run; never where the variable `CI` is set",
        True,
    )
    savings: bool = declare(
        "count the answers to agents, and the tokens of the files they stand for (`regenctl savings`); no text is kept",
        True,
    )


@dataclass(frozen=True, slots=True)
class Config:
    """Everything a user may set; see `docs/configuration.md`."""

    watch: WatchConfig = field(default_factory=WatchConfig)
    limits: LimitConfig = field(default_factory=LimitConfig)
    workers: WorkerConfig = field(default_factory=WorkerConfig)
    embedding: EmbeddingConfig = field(default_factory=EmbeddingConfig)
    shared: SharedConfig = field(default_factory=SharedConfig)
    resources: ResourceConfig = field(default_factory=ResourceConfig)
    ignore: IgnoreConfig = field(default_factory=IgnoreConfig)
    client: ClientConfig = field(default_factory=ClientConfig)
    http: HttpConfig = field(default_factory=HttpConfig)


def load_config(path: Path | None = None, environ: Mapping[str, str] = os.environ) -> Config:
    """Read the user's TOML, and the variables that override its keys.

    Args:
        path: from `--config`; else `REGEND_CONFIG`; else the default place, where a missing file means all defaults.

    Raises:
        ConfigError: the named file cannot be read, is not TOML, or has an unknown key or a value of the wrong type; or
            a variable names no key or has a value that is not allowed.
    """
    named = path or (Path(environ["REGEND_CONFIG"]) if environ.get("REGEND_CONFIG") else None)
    try:
        file = named or default_config_path(environ)
    except PathError:
        return config_from_text(b"", Path(), environ)  # The user has no home directory that could hold a file.
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        if named is None:
            return config_from_text(b"", file, environ)
        raise ConfigError(f"Configuration file {file} does not exist; create it or drop the option.") from None
    except OSError as error:
        raise ConfigError(f"Configuration file {file} cannot be read: {error.strerror}.") from error
    return config_from_text(raw, file, environ)


def config_from_text(raw: bytes, file: Path, environ: Mapping[str, str] = MappingProxyType({})) -> Config:
    """Build a `Config` from the content of a configuration file, and variables that override it.

    Raises:
        ConfigError: the file or a variable is wrong; the message names the line or the variable.
    """
    table = parse_toml(raw, f"Configuration file {file}")
    try:
        _built(table, str(file))
        given = overrides(environ, known_keys())
        for key, value in given.items():
            section, _, name = key.partition(".")
            _built({section: {name: value}}, source_of(key))
            table.setdefault(section, {})[name] = value
        both = f"{file} and the environment" if raw else "The environment"
        return config_from_table(table, both if given else str(file))
    except ConfigError as error:
        quoted = _QUOTED_KEY.search(str(error))
        line = lines_of_keys(raw).get(quoted[1]) if quoted else None
        if line is None:
            raise
        raise ConfigError(str(error).replace(f"{file}:", f"{file}:{line}:", 1)) from None


def config_file(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the user's configuration file: `REGEND_CONFIG`, else the default place.

    Raises:
        PathError: the user has no home directory.
    """
    return absolute(Path(environ["REGEND_CONFIG"])) if environ.get("REGEND_CONFIG") else default_config_path(environ)


def known_keys() -> dict[str, Field[Any]]:
    """Return every key with its declaration, such as ``watch.quiet_ms``."""
    hints = get_type_hints(Config)
    return {f"{table.name}.{item.name}": item for table in fields(Config) for item in fields(hints[table.name])}


def may_autostart(environ: Mapping[str, str] = os.environ) -> bool:
    """Say whether a client may start the daemon by itself.

    Raises:
        ConfigError: the configuration is wrong, so that the daemon would not start anyway.
    """
    in_ci = environ.get("CI", "").lower() not in ("", "0", "false")
    return not in_ci and load_config(environ=environ).client.autostart


def user_path(value: str, key: str, source: str = "configuration") -> Path:
    """Return a path of the configuration, in which ``~`` means the home directory.

    Raises:
        ConfigError: the path begins with ``~`` and the name of an unknown user.
    """
    try:
        return absolute(Path(value).expanduser()) if value else Path(value)
    except RuntimeError as error:
        known = f"{source}: `{key}` is {hidden(value)!r}"
        raise ConfigError(f"{known}, but this machine has no user of that name; write the path out.") from error


def parse_toml(raw: bytes, source: str) -> dict[str, Any]:
    """Return the table in a TOML file, which the user or a repository wrote.

    Raises:
        ConfigError: the file is not TOML, or is nested too deeply for Python; the message begins with `source`.
    """
    try:
        return tomllib.loads(raw.decode())
    except RecursionError:
        raise ConfigError(f"{source} is nested too deeply; write it with fewer brackets.") from None
    except ValueError as error:  # Not TOML, not UTF-8, or a number of thousands of digits.
        raise ConfigError(f"{source} is not valid TOML: {error}.") from error


def config_from_table(table: Mapping[str, Any], source: str) -> Config:
    """Build a `Config` from a parsed table.

    Args:
        source: name of the table's origin, with which every error begins.

    Raises:
        ConfigError: a key is unknown or removed, or a value has the wrong type, is not allowed, or needs another key.
    """
    config = _built(table, source)
    embedding = config.embedding
    if embedding.provider == "http" and not (embedding.urls and embedding.model):
        raise ConfigError(f"{source}: provider `http` lacks a server; set `embedding.urls` and `embedding.model`.")
    if embedding.provider == "onnx" and not embedding.model_dir:
        raise ConfigError(f"{source}: provider `onnx` lacks a model; set `embedding.model_dir`.")
    parse_address(config.http.listen, source)
    named = [("model_dir", embedding.model_dir), ("api_key_file", embedding.api_key_file)]
    for key, path in [*named, *(("remote_roots", path) for path in embedding.remote_roots)]:
        user_path(path, f"embedding.{key}", source)
    for path in config.shared.roots:
        user_path(path, "shared.roots", source)
    return config


def shared_pools(config: SharedConfig, source: str = "configuration") -> dict[Path, str]:
    """Return each root that shares vectors, with the name that the user gives its pool (empty: the repository's own).

    Raises:
        ConfigError: a value cannot be used.
    """
    found = {user_path(path, "shared.roots", source): "" for path in config.roots if path}
    for value in config.pools:
        name, _, path = value.partition("=")
        root = user_path(path, "shared.pools", source)
        if not name or root not in found:
            raise ConfigError(
                f"{source}: `shared.pools` holds {hidden(value)!r}; write `NAME=PATH` with a path of `shared.roots`."
            )
        found[root] = name
    return found


def search_roots(config: SharedConfig, source: str = "configuration") -> list[Path]:
    """Return the roots that the shared store searches by meaning; raise `ConfigError` for one that does not share."""
    shared = {user_path(path, "shared.roots", source) for path in config.roots}
    found = [user_path(path, "shared.search_roots", source) for path in config.search_roots]
    if other := next((root for root in found if root not in shared), None):
        raise ConfigError(f"{source}: `shared.search_roots` holds {other}; list it in `shared.roots`, too.")
    return found


_REMOVED = {
    "embedding.url": "list the server's URL in `embedding.urls`",
    "embedding.fail_fast": "set `embedding.attempts` to 1 for one request per try",
}
"""Keys of earlier versions, and what to write instead."""


def _built(table: Mapping[str, Any], source: str) -> Config:
    return from_table(Config, table, source, known_keys(), _REMOVED)
