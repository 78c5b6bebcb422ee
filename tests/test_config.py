"""The configuration: what is read from where, and that everything wrong is refused by name."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regend.config import (
    Config,
    EmbeddingConfig,
    config_from_table,
    known_keys,
    load_config,
    shared_pools,
    user_path,
)
from regend.errors import ConfigError
from regend.overrides import variable_of

DECLARED = [
    (section.name, key)
    for section in dataclasses.fields(Config)
    for key in dataclasses.fields(section.default_factory())  # type: ignore[misc, arg-type]
]
KEYS = [(section, key.name, key.default) for section, key in DECLARED]
NUMBERS = [row for row in DECLARED if type(row[1].default) in (int, float)]


def table(section: str, key: str, value: Any) -> dict[str, Any]:
    return {section: {key: value}}


# --- where it comes from ----------------------------------------------------------------------------------------------


def test_without_a_file_all_defaults_hold(tmp_path: Path) -> None:
    assert load_config(environ={"HOME": str(tmp_path)}) == Config()


def test_flag_before_environment_before_default_place(tmp_path: Path) -> None:
    places = [tmp_path / "flag.toml", tmp_path / "environment.toml", tmp_path / "config/regend/config.toml"]
    places[2].parent.mkdir(parents=True)
    for number, place in enumerate(places, 1):
        place.write_text(f"[watch]\nquiet_ms = {number}\n")
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "config"), "REGEND_CONFIG": str(places[1])}
    assert load_config(places[0], environ).watch.quiet_ms == 1
    assert load_config(None, environ).watch.quiet_ms == 2
    assert load_config(None, {**environ, "REGEND_CONFIG": ""}).watch.quiet_ms == 3


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    missing = tmp_path / "missing.toml"
    with pytest.raises(ConfigError, match=r"missing\.toml does not exist"):
        load_config(missing, {"HOME": str(tmp_path)})
    with pytest.raises(ConfigError, match=r"missing\.toml does not exist"):
        load_config(None, {"HOME": str(tmp_path), "REGEND_CONFIG": str(missing)})


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(tmp_path, {})


@pytest.mark.parametrize("content", [b"[watch\n", b"a = 1\na = 2\n", b"x = '\xff'\n"])
def test_a_file_that_is_not_toml(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"config\.toml is not valid TOML"):
        load_config(file, {})


def test_every_key_has_a_variable_that_overrides_the_file(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    for section, key, default in KEYS:
        item = known_keys()[f"{section}.{key}"]
        others = [word for word in item.metadata["choices"] if word not in ("http", "onnx", default)]
        given: dict[type, tuple[str, object]] = {
            bool: (str(not default), not default),
            int: ("3", 3),
            float: ("0.5", 0.5),
            tuple: ("/a, /b", ("/a", "/b")),
            str: (others[0], others[0]) if others else ("/some", "/some"),
        }
        text, value = given[type(default)]
        usual = list(default) if isinstance(default, tuple) else default
        file.write_text(f"[{section}]\n{key} = {json.dumps(usual)}\n")
        environ = {variable_of(f"{section}.{key}"): text}
        assert getattr(getattr(load_config(file, environ), section), key) == value, environ
        assert getattr(getattr(load_config(None, {"HOME": str(tmp_path), **environ}), section), key) == value
        assert load_config(file, dict.fromkeys(environ, "")) == Config()


@pytest.mark.parametrize(
    ("variable", "text", "sentence"),
    [
        ("WORKERS__COUNT", "two", ": `workers.count` must be a whole number, not 'two'."),
        ("WORKERS__COUNT", "-1", ": `workers.count` is -1; it must be at least 0."),
        ("WORKERS__COUTN", "2", " is set, but there is no key `workers.coutn`; did you mean REGEND_WORKERS__COUNT?"),
        ("NOTHING__OF_THAT_KIND", "2", " is set, but there is no key `nothing.of_that_kind`; unset it."),
        ("WORKERS__MODE", "fast", ": `workers.mode` is 'fast'; it must be one of 'auto', "),
        ("CLIENT__SAVINGS", "1", ": `client.savings` must be `true` or `false`, not '1'."),
        ("IGNORE__PATTERNS", "[abc]*", ": `ignore.patterns` must be a list such as "),
        ("IGNORE__PATTERNS", "[1]", ": `ignore.patterns` must be a list of strings, not [1]."),
        ("WATCH__POLL_INTERVAL_S", "nan", ": `watch.poll_interval_s` is nan; it must be a finite number."),
    ],
)
def test_a_wrong_variable_is_named_with_its_value(tmp_path: Path, variable: str, text: str, sentence: str) -> None:
    (tmp_path / "c.toml").write_text("[workers]\ncount = 1\n")
    with pytest.raises(ConfigError) as error:
        load_config(tmp_path / "c.toml", {f"REGEND_{variable}": text})
    assert str(error.value).startswith(f"Environment variable REGEND_{variable}{sentence}")


SECRET = "S3cret-1234"
SECRET_TEXTS = (
    f"https://bob:{SECRET}@gpu.example.org/v1", f"https://{SECRET}@gpu.example.org", f"postgresql://a:{SECRET}@db/r",
    f"postgresql://db/r?sslpassword={SECRET}", f"~nobody-of-that-name/https://bob:{SECRET}@gpu",
)  # fmt: skip


@pytest.mark.parametrize("text", SECRET_TEXTS)
@pytest.mark.parametrize(
    "key", [*known_keys(), "embedding.url", "embedding.apikey", "watch", "embedding", "nothing.known"]
)
def test_no_error_shows_the_password_of_a_url(tmp_path: Path, key: str, text: str) -> None:
    file = tmp_path / "c.toml"
    section, _, name = key.partition(".")
    for value in (text, [text], [[text]], {"a": text}, 3):
        shown = json.dumps(value) if not isinstance(value, dict) else f"{{ a = {json.dumps(text)} }}"
        file.write_text(f"[{section}]\n{name} = {shown}\n" if name else f"{section} = {shown}\n")
        for environ in ({}, {variable_of(key): str(value)}, {variable_of(key): f"[{text}"}):
            try:
                shared_pools(load_config(file if not environ else None, {"HOME": "/nowhere", **environ}).shared)
            except ConfigError as error:
                assert SECRET not in str(error)


@pytest.mark.parametrize("key", [key for key in known_keys() if "api_key" in key])
def test_no_error_shows_what_stands_where_a_key_belongs(tmp_path: Path, key: str) -> None:
    file, name = tmp_path / "c.toml", key.partition(".")[2]
    file.write_text(f"[embedding]\n{name} = ['{SECRET}']\n")
    with pytest.raises(ConfigError, match="must be a string") as error:
        load_config(file, {})
    assert SECRET not in str(error.value)


@pytest.mark.parametrize("variable", ["REGEND_EMBEDDING__API_KEY", "REGEND_OPENAI__KEY"])
def test_a_variable_that_is_unknown_does_not_show_its_value(variable: str) -> None:
    with pytest.raises(ConfigError) as error:
        load_config(None, {"HOME": "/nowhere", variable: SECRET})
    assert variable in str(error.value) and SECRET not in str(error.value)


def test_keys_that_need_each_other_may_come_from_both(tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[embedding]\nprovider = 'http'\nmodel = 'm'\n")
    environ = {"REGEND_EMBEDDING__URLS": '["http://127.0.0.1/v1"]'}
    assert load_config(tmp_path / "c.toml", environ).embedding.urls == ("http://127.0.0.1/v1",)
    with pytest.raises(ConfigError, match=r"The environment: provider `onnx` lacks a model"):
        load_config(None, {"HOME": str(tmp_path), "REGEND_EMBEDDING__PROVIDER": "onnx"})


# --- what may be in it ------------------------------------------------------------------------------------------------


def test_every_key_can_be_set_to_its_default() -> None:
    written: dict[str, Any] = {}
    for section, key, default in KEYS:
        written.setdefault(section, {})[key] = list(default) if isinstance(default, tuple) else default
    assert config_from_table(written, "here") == Config()


@pytest.mark.parametrize(("section", "key", "default"), KEYS)
def test_a_value_of_the_wrong_type_is_refused(section: str, key: str, default: object) -> None:
    wrong: list[Any] = [{}, 1 if isinstance(default, bool) else True, [1]]
    wrong += [5, ["x"]] if isinstance(default, str) else ["x"]
    wrong += [1.5] if isinstance(default, int) and not isinstance(default, bool) else []
    for value in wrong:
        with pytest.raises(ConfigError, match=rf"here: `{section}\.{key}` must be"):
            config_from_table(table(section, key, value), "here")


@pytest.mark.parametrize(("section", "key"), NUMBERS, ids=[f"{section}.{key.name}" for section, key in NUMBERS])
def test_numbers_have_bounds(section: str, key: dataclasses.Field[Any]) -> None:
    low, above = key.metadata["low"], key.metadata["above"]
    assert (low is None) != (above is None)
    for value in (-1, low - 1 if above is None else above):
        with pytest.raises(ConfigError, match=rf"`{section}\.{key.name}` is {value}(\.0)?; it must be "):
            config_from_table(table(section, key.name, value), "here")
    with pytest.raises(ConfigError, match=rf"`{section}\.{key.name}` is (too large|inf); it must be "):
        config_from_table(table(section, key.name, 10**400), "here")
    allowed = low if above is None else 0.5
    assert getattr(getattr(config_from_table(table(section, key.name, allowed), "here"), section), key.name) == allowed


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 10**400], ids=["inf", "nan", "401 digits"])
def test_numbers_are_finite(value: float) -> None:
    with pytest.raises(ConfigError, match=r"`watch\.poll_interval_s` is .*; it must be a finite number"):
        config_from_table(table("watch", "poll_interval_s", value), "here")


@pytest.mark.parametrize(
    ("given_table", "message"),
    [
        (
            {"wathc": {}},
            "here: unknown key `wathc`; known here: client, embedding, http, ignore, limits, resources, shared, watch, "
            "workers",
        ),
        ({"watch": {"quiet": 1}}, "unknown key `watch.quiet`; did you mean `watch.quiet_ms`? Known here: busy_limit_s"),
        ({"watch": 5}, "`watch` must be a table, not 5"),
        ({"workers": {"mode": "fast"}}, "`workers.mode` is 'fast'; it must be one of 'auto', "),
        ({"embedding": {"provider": "cloud"}}, "`embedding.provider` is 'cloud'; it must be one of 'builtin', "),
        ({"embedding": {"rate_margin": 1.1}}, "`embedding.rate_margin` is 1.1; it must be more than 0, at most 1"),
        ({"embedding": {"provider": "http", "urls": ["http://x"]}}, "set `embedding.urls` and `embedding.model`"),
        ({"embedding": {"provider": "onnx"}}, "set `embedding.model_dir`"),
        ({"embedding": {"url": "http://x"}}, "`embedding.url` is 'http://x', but this key was removed; list the"),
        ({"embedding": {"fail_fast": True}}, "`embedding.fail_fast` is True, but this key was removed; set `emb"),
    ],
)
def test_what_is_wrong_is_named(given_table: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        config_from_table(given_table, "here")
    assert message in str(error.value)


def test_whole_numbers_do_for_seconds() -> None:
    value = config_from_table({"watch": {"poll_interval_s": 3}}, "here").watch.poll_interval_s
    assert (value, type(value)) == (3.0, float)


def test_http_provider() -> None:
    text = '[embedding]\nprovider = "http"\nurls = ["http://127.0.0.1/v1"]\nmodel = "m"\ndim = 8\nremote_roots = ["/a"]'
    expected = EmbeddingConfig(provider="http", urls=("http://127.0.0.1/v1",), model="m", dim=8, remote_roots=("/a",))
    assert config_from_table(tomllib.loads(text), "here").embedding == expected


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
_VALUES = st.recursive(
    _SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner)
)
_NAMES = st.sampled_from([key for _, key, _ in KEYS]) | st.text(max_size=4)
_SECTIONS = st.sampled_from([field.name for field in dataclasses.fields(Config)]) | st.text(max_size=4)


@given(st.dictionaries(_SECTIONS, st.dictionaries(_NAMES, _VALUES, max_size=3) | _VALUES, max_size=3))
def test_any_table_is_a_configuration_or_a_named_error(random_table: dict[str, Any]) -> None:
    try:
        config = config_from_table(random_table, "here")
    except ConfigError as error:
        assert str(error).startswith("here: ")
    else:
        assert isinstance(config, Config)
        hash(config)


def test_the_home_of_nobody_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")
    assert user_path("~/models", "embedding.model_dir") == Path("/home/ada/models")
    for key, value in (("remote_roots", ["/src", "~no-such-user-here/x"]), ("api_key_file", "~no-such-user-here/x")):
        with pytest.raises(ConfigError, match=rf"`embedding.{key}` is '~no-such-user-here/x'.*write the path out"):
            config_from_table({"embedding": {key: value}}, "config.toml")


def test_only_the_standard_library_is_imported() -> None:
    code = "import sys; before = set(sys.modules); import regend.config; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=30, check=True)
    foreign = {name.partition(".")[0] for name in done.stdout.split()} - sys.stdlib_module_names - {"regend"}
    assert foreign == set()
