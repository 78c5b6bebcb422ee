"""`regenctl config`: what the file changes and where, and changes that keep the user's comments and a file's links."""

from __future__ import annotations

import json
import logging
import os
import socket
import stat
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import structlog

from regend.cli.main import main
from regend.config import Config, known_keys
from tests.rpc.scripted import ServerThread, short_directory

COMMENTED = "# mine\n[watch]\n# slow disk\nquiet_ms = 77  # was 40\n\n[ignore]\npatterns = ['*.pb.go']\n"


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REGEND_CONFIG", str(tmp_path / "c.toml"))
    monkeypatch.setenv("REGEND_SOCKET", str(tmp_path / "none"))
    return tmp_path / "c.toml"


def run(capsys: pytest.CaptureFixture[str], *words: str, code: int = 0) -> tuple[str, str]:
    assert main(["config", *words]) == code, capsys.readouterr().err
    done = capsys.readouterr()
    return done.out, done.err


def test_only_changes_are_shown_with_their_lines(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(COMMENTED)
    out, _ = run(capsys)
    assert f"# file: {file} (REGEND_CONFIG)\n" in out
    assert "quiet_ms = 77  # line 4, default 40\n" in out
    assert tomllib.loads(out) == {"watch": {"quiet_ms": 77}, "ignore": {"patterns": ["*.pb.go"]}}


def test_all_keys_with_their_origin_are_a_file_that_means_the_same(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(COMMENTED)
    out, _ = run(capsys, "--all")
    assert "max_delay_ms = 400  # default\n" in out
    table = tomllib.loads(out)
    assert {f"{name}.{key}" for name, keys in table.items() for key in keys} == set(known_keys())
    file.write_text(out)
    assert tomllib.loads(run(capsys, "--all")[0]) == table
    assert json.loads(run(capsys, "--json")[0])["config"] == table


def test_set_and_unset_keep_comments_links_and_the_mode(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    real = file.parent / "dotfiles" / "regend.toml"
    real.parent.mkdir()
    real.write_text(COMMENTED)
    real.chmod(0o640)
    file.symlink_to(real)
    assert run(capsys, "set", "watch.quiet_ms", "100")[0] == "watch.quiet_ms = 100\n"
    assert run(capsys, "set", "client.autostart", "false")[0] == "client.autostart = false\n"
    run(capsys, "set", "ignore.patterns", "*.pb.go", "/vendor/")
    assert file.is_symlink() and stat.S_IMODE(real.stat().st_mode) == 0o640
    text = real.read_text()
    assert "# mine\n[watch]\n# slow disk\nquiet_ms = 100  # was 40\n" in text
    assert tomllib.loads(text)["ignore"] == {"patterns": ["*.pb.go", "/vendor/"]}
    assert run(capsys, "get", "client.autostart")[0] == "false\n"
    assert run(capsys, "get", "ignore.patterns")[0] == "*.pb.go\n/vendor/\n"
    assert run(capsys, "unset", "watch.quiet_ms")[0] == "watch.quiet_ms = 40, the default\n"
    assert "# mine" in real.read_text()


def test_a_first_setting_makes_the_file_for_its_user_only(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, "set", "workers.count", "2")
    assert tomllib.loads(file.read_text()) == {"workers": {"count": 2}}
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("set", "watch.quiet_sm", "1"), "There is no key `watch.quiet_sm`; did you mean `watch.quiet_ms`?"),
        (("get", "quiet_ms"), "did you mean `watch.quiet_ms`?"),
        (("set", "watch.quiet_ms", "soon"), "`watch.quiet_ms` must be a whole number, not 'soon'."),
        (("set", "watch.quiet_ms", "-1"), "`watch.quiet_ms` is -1; it must be at least 0."),
        (("set", "client.autostart", "perhaps"), "`client.autostart` must be `true` or `false`"),
        (("set", "workers.mode", "fast"), "it must be one of 'auto', 'sequential'"),
        (("set", "workers.count", "1", "2"), "takes one value, not 2"),
        (("set", "workers.count"), "Write `regenctl config set KEY VALUE...`."),
        (("validate", "x"), "Write `regenctl config validate`."),
    ],
)
def test_a_wrong_change_says_why_and_changes_nothing(
    file: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], sentence: str
) -> None:
    file.write_text(COMMENTED)
    assert sentence in run(capsys, *words, code=2)[1]
    assert file.read_text() == COMMENTED


@pytest.mark.parametrize("key", sorted(known_keys()))
def test_every_key_can_be_set_to_its_default(file: Path, capsys: pytest.CaptureFixture[str], key: str) -> None:
    usual = known_keys()[key].default
    words = [str(word) for word in usual] if isinstance(usual, tuple) else [str(usual)]
    run(capsys, "set", key, *words) if words else run(capsys, "set", key, "x")
    assert main(["config", "validate"]) == 0


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[watch]\n\nquiet = 1\n", "c.toml:3: unknown key `watch.quiet`; did you mean"),
        ("[wathc]\nquiet_ms = 1\n", "c.toml:1: unknown key `wathc`"),
        ("[watch]\nquiet_ms = 'x'\n", "c.toml:2: `watch.quiet_ms` must be a whole number"),
        ("[watch]\nquiet_ms = \n", "line 2"),
    ],
)
def test_a_broken_file_is_named_with_its_line(
    file: Path, capsys: pytest.CaptureFixture[str], text: str, sentence: str
) -> None:
    file.write_text(text)
    assert sentence in run(capsys, "validate", code=2)[1]
    assert sentence in run(capsys, code=2)[1]


SERVER = "[embedding]\nprovider = 'http'\nurls = ['http://127.0.0.1:9/v1']\nmodel = 'm'\n"


@pytest.mark.parametrize(
    ("key", "value", "sentence"),
    [
        ("urls", "junk", "A URL in `embedding.urls` is not usable"),
        ("urls", "http://127.0.0.1:99999", "A URL in `embedding.urls` is not usable"),
        ("urls", "http://ada:word@127.0.0.1:1", "A URL in `embedding.urls` is not usable"),
        ("prefixes", "odd", "`embedding.prefixes` is 'odd'"),
        ("tier", "odd", "`embedding.tier` is 'odd'"),
        ("model", "\udcff", "`embedding.model` cannot be"),
    ],
)
def test_a_value_that_the_daemon_refuses_is_refused_before_it_starts(
    file: Path, capsys: pytest.CaptureFixture[str], key: str, value: str, sentence: str
) -> None:
    file.write_text(SERVER)
    assert sentence in run(capsys, "set", f"embedding.{key}", value, code=2)[1]
    assert file.read_text() == SERVER
    if value.isascii():
        written = f"['{value}']" if key == "urls" else f"'{value}'"
        text = "".join(line for line in SERVER.splitlines(keepends=True) if not line.startswith(key))
        file.write_text(f"{text}{key} = {written}\n")
        shown = run(capsys, "validate", code=2)[1]
        line = text.count("\n") + 1
        assert f"c.toml:{line}: {sentence}" in shown
        assert "word" not in shown


def test_a_variable_is_shown_as_the_origin(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(COMMENTED)
    monkeypatch.setenv("REGEND_WATCH__QUIET_MS", "5")
    monkeypatch.setenv("REGEND_WORKERS__COUNT", "0")
    out, _ = run(capsys)
    assert "quiet_ms = 5  # REGEND_WATCH__QUIET_MS over line 4, default 40\n" in out
    assert "count = 0  # REGEND_WORKERS__COUNT\n" in out
    assert run(capsys, "get", "watch.quiet_ms")[0] == "5\n"
    assert "REGEND_WATCH__QUIET_MS is set and overrides the file" in run(capsys, "set", "watch.quiet_ms", "9")[1]
    assert tomllib.loads(file.read_text())["watch"] == {"quiet_ms": 9}
    monkeypatch.setenv("REGEND_WORKERS__COUNT", "two")
    assert "REGEND_WORKERS__COUNT: `workers.count` must be a whole number, not 'two'." in run(capsys, code=2)[1]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, file: Path) -> Iterator[ServerThread]:
    # The server's log would mix with what `regenctl` prints.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    with short_directory() as directory, ServerThread(directory / "s") as server:
        monkeypatch.setenv("REGEND_SOCKET", str(server.path))
        yield server
    structlog.reset_defaults()


def test_a_broken_file_is_said_while_a_daemon_runs_with_the_old_values(
    served: ServerThread, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("[watch]\nquiet = 1\n")
    out, err = run(capsys, "--all", code=2)
    assert tomllib.loads(out)["watch"] == {"quiet_ms": 40}
    assert "c.toml:2: unknown key `watch.quiet`" in err


def test_values_that_wait_for_a_restart_are_named(
    served: ServerThread, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text("[watch]\nquiet_ms = 77\n[ignore]\npatterns = ['*.min.js']\n")
    assert "other values (watch.quiet_ms = 40); `regenctl restart`" in run(capsys)[1]
    assert "`regenctl restart` takes it" in run(capsys, "set", "watch.quiet_ms", "40")[1]


def test_edit_takes_a_valid_text_and_keeps_a_wrong_one_aside(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(COMMENTED)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", "sed -i s/quiet_ms/quiet/")
    _, err = run(capsys, "edit", code=2)
    assert "unknown key `watch.quiet`" in err and "Nothing was changed" in err
    assert file.read_text() == COMMENTED
    monkeypatch.setenv("EDITOR", "sed -i s/quiet.*/quiet_ms=5/")
    run(capsys, "edit")
    assert "quiet_ms=5" in file.read_text() and "# slow disk" in file.read_text()
    assert sorted(path.name for path in file.parent.iterdir()) == ["c.toml"]
    monkeypatch.setenv("EDITOR", "false")
    assert "ended with code 1; nothing was changed" in run(capsys, "edit", code=2)[1]


def test_changes_are_told_as_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def told(*words: str) -> object:
        return json.loads(run(capsys, *words, "--json")[0])

    file.touch()
    assert told("unset", "watch.quiet_ms") == {"key": "watch.quiet_ms", "value": 40}
    assert told("set", "watch.quiet_ms", "5") == {"key": "watch.quiet_ms", "value": 5}
    assert told("unset", "watch.quiet_ms") == {"key": "watch.quiet_ms", "value": 40}
    url = {"key": "shared.url", "value": "postgresql://a:***@db.example.org/r"}
    assert told("set", "shared.url", "postgresql://a:S3cret@db.example.org/r") == url
    assert told("validate") == {"file": str(file), "valid": True}


def directory_there(file: Path) -> None:
    file.mkdir()


def fifo_there(file: Path) -> None:
    os.mkfifo(file)


def socket_there(file: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(file))


def link_to_a_fifo(file: Path) -> None:
    os.mkfifo(file.with_name("fifo"))
    file.symlink_to("fifo")


def link_to_itself(file: Path) -> None:
    file.symlink_to(file.name)


@pytest.mark.parametrize("words", [("set", "watch.quiet_ms", "5"), ("unset", "watch.quiet_ms"), ("edit",)])
@pytest.mark.parametrize("make", [directory_there, fifo_there, socket_there, link_to_a_fifo, link_to_itself])
def test_what_is_no_file_is_left_alone(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None],
    words: tuple[str, ...],
) -> None:  # fmt: skip
    with short_directory() as directory:
        file = directory / "c.toml"
        monkeypatch.setenv("REGEND_CONFIG", str(file))
        monkeypatch.setenv("EDITOR", "true")
        make(file)
        before = file.lstat()
        assert "set REGEND_CONFIG" in run(capsys, *words, code=2)[1]
        assert (file.lstat().st_ino, file.lstat().st_mode) == (before.st_ino, before.st_mode)
        assert not list(directory.glob("c.toml.*"))


@pytest.mark.parametrize("editor", ["vi '", "/no/such/editor", "/"])
def test_an_editor_that_cannot_be_started_is_named(
    file: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, editor: str
) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", editor)
    err = run(capsys, "edit", code=2)[1]
    assert editor in err and "set EDITOR" in err


def test_defaults_are_what_an_empty_home_gives() -> None:
    assert set(known_keys()) == {
        f"{table}.{key}" for table, keys in vars_of(Config()).items() for key in vars_of(keys)
    }  # fmt: skip


def vars_of(value: object) -> dict[str, object]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}  # type: ignore[attr-defined]


def test_passwords_of_urls_are_hidden(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    url = "postgresql://ada:S3cret/x@db.example.org/r?sslmode=require&sslpassword=S3cret2"
    servers = ["https://bob:S3cret@gpu.example.org:8000/v1", "http://127.0.0.1:8080/v1"]
    out, err = run(capsys, "set", "shared.url", url)
    assert "S3cret" not in out + err
    run(capsys, "set", "embedding.urls", *servers)
    for words in ((), ("--all",), ("--json",)):
        out, err = run(capsys, *words)
        assert "S3cret" not in out + err
        assert "postgresql://ada:***@db.example.org/r?sslmode=require&sslpassword=***" in out
        assert "https://bob:***@gpu.example.org:8000/v1" in out and servers[1] in out
    assert run(capsys, "get", "shared.url")[0].strip() == url
