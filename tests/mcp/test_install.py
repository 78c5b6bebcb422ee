"""Configurations of clients: what we put in is all that changes, and taking it out gives back every byte."""

from __future__ import annotations

import json
import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from regend.cli.mcp import _checked
from regend.errors import ConfigError
from regend.mcp.install import blocks, jsonc
from regend.mcp.install.clients import BY_NAME, CLIENTS, Client, Command
from regend.mcp.install.installing import BACKUP, Change, carry_out, installation, installed, is_present, removal

COMMAND = Command("/opt/re gend/bin/regenctl", ("mcp", "--socket", '/run/"user"/s', "--add"))
JSON_FILES = [
    "",
    "{}",
    "{}\n",
    "{\n}\n",
    "{ // nothing yet\n}\n",
    '{"a": 1}',
    '\ufeff{\r\n\t"a": 1\r\n}\r\n',
    '{\n  // a comment\n  "mcpServers": {\n    // ours is next\n    "other": {"command": "x",}, // theirs\n  },\n}\n',
    '{\n    "mcpServers": {},\n    "theme": "dark" /* why not */\n}\n',
    '{\n    "mcpServers": { /* none */ },\n    "theme": "{\\"mcpServers\\": 1}"\n}\n',
    '{"mcpServers": {"other": {"command": "x"}}, "list": [1, [2], {"a": null},]}\n',
    '{\n  "mcpServers": {\n    "a": {},\n\n    "b": {}\n  }\n}',
]
TOML_FILES = [
    "",
    'model = "x"',
    '# mine\nmodel = "x"\n\n[mcp_servers.other]\ncommand = "y" # theirs\n\n# last words\n',
    '[mcp_servers]\n[mcp_servers.other]\nargs = [\n  "a",\n]\n[tools]\nweb = true\n',
    '\ufeffmodel = "x"\r\n',
]
YAML_FILES = [
    "",
    "GOOSE_MODEL: x # mine\n",
    "extensions:\n  developer:\n    enabled: true\n    # theirs\n    type: builtin\nGOOSE_MODE: auto\n",
    "# first\nextensions: # all of them\n    memory:\n        enabled: false\n",
    "GOOSE_MODE: auto\nextensions:\n  developer: {enabled: true}",
]
FILES = {jsonc.added: JSON_FILES, blocks.toml_added: TOML_FILES, blocks.yaml_added: YAML_FILES}


def home(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path), "PATH": str(tmp_path / "bin")}


def parsed(client: Client, text: str) -> Any:
    """The value of a file as an independent reader has it."""
    suffix = client.file({"HOME": "/"}).suffix
    if suffix == ".toml":
        return tomllib.loads(text.removeprefix("\ufeff"))
    if suffix == ".yaml":
        return yaml.safe_load(text) or {}
    return jsonc.parsed(text)


def cases() -> list[Any]:
    return [
        pytest.param(client, text, id=f"{client.name}-{number}")
        for client in CLIENTS
        for number, text in enumerate([None, *FILES[client.form.added]])
    ]


@pytest.mark.parametrize(("client", "text"), cases())
def test_in_and_out_leaves_every_byte(client: Client, text: str | None, tmp_path: Path) -> None:
    environ = home(tmp_path)
    file = client.file(environ)
    if text is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode())
        file.chmod(0o640)
    carry_out(installation(client, environ, COMMAND), environ)
    once = file.read_bytes().decode()
    found = parsed(client, once)
    for key in client.keys:
        found = found[key]
    assert found == client.entry(COMMAND)
    assert installed(client, environ)
    assert installation(client, environ, COMMAND).changes_nothing
    for comment in re.findall(r"//.*|/\*.*?\*/|#.*", text or ""):
        assert comment.strip() in once
    other = Command("/elsewhere/regenctl", ("mcp",))
    carry_out(installation(client, environ, other), environ)
    carry_out(installation(client, environ, COMMAND), environ)
    assert parsed(client, file.read_bytes().decode()) == parsed(client, once)
    carry_out(removal(client, environ, other), environ)
    left = sorted(path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file())
    if text is None:
        assert left == []
    else:
        assert left == [file.relative_to(tmp_path)]
        assert file.read_bytes() == text.encode()
        assert file.stat().st_mode & 0o777 == 0o640
    assert removal(client, environ, COMMAND).changes_nothing


@pytest.mark.parametrize(("client", "text"), cases())
def test_what_was_changed_meanwhile_stays(client: Client, text: str | None, tmp_path: Path) -> None:
    environ = home(tmp_path)
    file = client.file(environ)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes((text or "").encode())
    before = parsed(client, text or "")
    carry_out(installation(client, environ, COMMAND), environ)
    sign = "//" if client.form.added is jsonc.added else "#"
    changed = file.read_bytes().decode() + f"{'' if (text or '').endswith(chr(10)) else chr(10)}{sign} a note of mine\n"
    file.write_bytes(changed.encode())
    carry_out(removal(client, environ, COMMAND), environ)
    left = file.read_bytes().decode()
    assert left.endswith(f"{sign} a note of mine\n")
    assert _without_empty(parsed(client, left)) == _without_empty(before)
    assert not file.with_name(file.name + BACKUP).exists()


OWN = Command("/home/ada/bin/own-server", ("--mine",))


def write_own(client: Client, environ: dict[str, str], text: str) -> str:
    """Write a configuration in which the user gave an own server our name; return it."""
    file = client.file(environ)
    file.parent.mkdir(parents=True, exist_ok=True)
    mine = client.form.added(text, client.keys, client.entry(OWN))
    file.write_bytes(mine.encode())
    return mine


@pytest.mark.parametrize("client", CLIENTS, ids=list(BY_NAME))
def test_the_users_own_entry_of_our_name_comes_back(client: Client, tmp_path: Path) -> None:
    environ = home(tmp_path)
    file = client.file(environ)
    mine = write_own(client, environ, "")
    assert removal(client, environ, COMMAND).changes_nothing
    for _ in range(2):
        carry_out(installation(client, environ, COMMAND), environ)
        assert file.with_name(file.name + BACKUP).read_bytes().decode() == mine
    carry_out(removal(client, environ, COMMAND), environ)
    assert file.read_bytes().decode() == mine
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [file]


@pytest.mark.parametrize("client", CLIENTS, ids=list(BY_NAME))
def test_the_users_own_entry_stays_in_the_backup_if_the_file_was_changed(client: Client, tmp_path: Path) -> None:
    environ = home(tmp_path)
    file = client.file(environ)
    mine = write_own(client, environ, "")
    carry_out(installation(client, environ, COMMAND), environ)
    sign = "//" if client.form.added is jsonc.added else "#"
    file.write_bytes(file.read_bytes() + f"\n{sign} a note of mine\n".encode())
    carry_out(removal(client, environ, COMMAND), environ)
    assert file.read_bytes().endswith(b"a note of mine\n")
    assert installed(client, environ) is None
    assert file.with_name(file.name + BACKUP).read_bytes().decode() == mine


def test_the_clients_own_program_gives_the_users_own_entry_back(tmp_path: Path) -> None:
    environ, client = home(tmp_path), BY_NAME["claude"]
    file, called = client.file(environ), tmp_path / "called"
    mine = write_own(client, environ, '{"theme": "dark"}\n')
    program = tmp_path / "bin" / "claude"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> {called}\n')
    program.chmod(0o755)
    environ["PATH"] += f":{os.environ['PATH']}"
    carry_out(installation(client, environ, COMMAND), environ)
    assert file.with_name(file.name + BACKUP).read_text() == mine
    file.write_text(client.form.added(mine, client.keys, client.entry(COMMAND)))  # As the program does it.
    called.unlink()
    carry_out(removal(client, environ, COMMAND), environ)
    remove, add = called.read_text().splitlines()
    assert remove == "mcp remove --scope user regend"
    assert "own-server" in add


def _without_empty(value: Any) -> Any:
    return {key: item for key, item in value.items() if item != {}}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("codex", "[mcp_servers\n"),
        ("codex", 'mcp_servers = {other = {command = "x"}}\n'),
        ("codex", '[mcp_servers]\nregend = {command = "x"}\n'),
        ("gemini", '{"mcpServers": '),
        ("gemini", '{"mcpServers": []}'),
        ("gemini", "[]"),
        ("goose", "extensions: {}\n"),
    ],
)
def test_a_file_that_cannot_be_changed_safely_is_left_alone(name: str, text: str, tmp_path: Path) -> None:
    environ, client = home(tmp_path), BY_NAME[name]
    file = client.file(environ)
    file.parent.mkdir(parents=True)
    file.write_text(text)
    with pytest.raises(
        ConfigError, match=rf"The configuration of {client.title} in {file} was left alone: .+ Put this"
    ):
        installation(client, environ, COMMAND)
    assert file.read_text() == text


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    environ, client = home(tmp_path), BY_NAME["cursor"]
    (tmp_path / "dotfiles").mkdir()
    real = tmp_path / "dotfiles" / "mcp.json"
    real.write_text("{}\n")
    (tmp_path / ".cursor").mkdir()
    client.file(environ).symlink_to(real)
    carry_out(installation(client, environ, COMMAND), environ)
    assert client.file(environ).is_symlink()
    assert "regend" in real.read_text()


def test_opencode_2_has_its_servers_one_level_deeper(tmp_path: Path) -> None:
    environ, client = home(tmp_path), BY_NAME["opencode"]
    file = client.file(environ)
    file.parent.mkdir(parents=True)
    file.write_text('{"mcp": {"servers": {"other": {"type": "local", "command": ["x"]}}}}\n')
    carry_out(installation(client, environ, COMMAND), environ)
    entry = json.loads(file.read_text())["mcp"]["servers"]["regend"]
    assert entry == {"type": "local", "command": [COMMAND.program, *COMMAND.arguments]}
    carry_out(removal(client, environ, COMMAND), environ)
    assert set(json.loads(file.read_text())["mcp"]["servers"]) == {"other"}


def test_a_client_is_present_if_it_has_a_folder_or_a_program(tmp_path: Path) -> None:
    environ = home(tmp_path)
    assert [client.name for client in CLIENTS if is_present(client, environ)] == []
    for folder in (".cursor", ".config/goose", ".continue", ".config/Code"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / ".claude.json").touch()
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "codex").touch(0o755)
    found = [client.name for client in CLIENTS if is_present(client, environ)]
    assert found == ["claude", "codex", "cursor", "vscode", "continue", "goose"]


def test_the_clients_own_program_is_used_where_the_client_writes_the_file_too(tmp_path: Path) -> None:
    environ, client = home(tmp_path), BY_NAME["claude"]
    program = tmp_path / "bin" / "claude"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$*" >> {tmp_path}/called\n')
    program.chmod(0o755)
    environ["PATH"] += f":{os.environ['PATH']}"
    carry_out(installation(client, environ, COMMAND), environ)
    called = (tmp_path / "called").read_text()
    assert called.startswith(
        'mcp add-json --scope user regend {"type": "stdio", "command": "/opt/re gend/bin/regenctl"'
    )
    assert not (tmp_path / ".claude.json").exists()
    (tmp_path / ".claude.json").write_text(json.dumps({"mcpServers": {"regend": client.entry(COMMAND)}}))
    carry_out(removal(client, environ, COMMAND), environ)
    assert (tmp_path / "called").read_text().endswith("mcp remove --scope user regend\n")


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("regend: /x mcp - ✔ Connected", "Claude Code lists it"),
        ("\x1b[32m✓ regend\x1b[0m connected", "Claude Code lists it"),
        ("regend: /x mcp - ✗ Failed to connect", "says in `claude mcp list`: regend: /x mcp - ✗ Failed to connect"),
        ("○ regend: /x mcp (stdio) - Disabled", "Disabled"),
        ("other: /opt/regenctl", "does NOT list it, see `claude mcp list`"),
    ],
)
def test_what_the_client_says_is_passed_on(
    printed: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "claude"
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' 'Configured:' '{printed}'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert said in _checked(BY_NAME["claude"])


def test_the_difference_is_a_patch() -> None:
    change = Change(BY_NAME["gemini"], Path("/x"), "{}\n", jsonc.added("{}\n", ("mcpServers", "regend"), {"a": 1}))
    assert change.shown().startswith('--- /x\n+++ /x\n@@ -1 +1,7 @@\n-{}\n+{\n+  "mcpServers": {\n')


NAMES = st.sampled_from(["mcpServers", "regend", "a", "b", 'q"uote'])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
GAPS = st.sampled_from(["", " ", "\n", "\n  ", "/* c */", "// c\n", "\r\n\t"])


@st.composite
def written(draw: st.DrawFn, value: Any) -> str:
    """The value with comments, line breaks and trailing commas in any place."""
    gap = lambda: draw(GAPS)  # noqa: E731
    if isinstance(value, dict):
        members = [f"{json.dumps(key)}{gap()}:{gap()}{draw(written(item))}" for key, item in value.items()]
    elif isinstance(value, list):
        members = [draw(written(item)) for item in value]
    else:
        return json.dumps(value)
    body = "".join(
        f"{gap()}{member}{gap()}{',' if n < len(members) - 1 or draw(st.booleans()) else ''}"
        for n, member in enumerate(members)
    )
    left, right = "{}" if isinstance(value, dict) else "[]"
    return f"{left}{gap()}{body}{gap()}{right}"


@settings(max_examples=120, deadline=None)
@given(st.data())
def test_json_in_any_hand(data: st.DataObject) -> None:
    value = data.draw(st.dictionaries(NAMES, VALUES, max_size=3))
    text = data.draw(GAPS) + data.draw(written(value)) + data.draw(GAPS)
    assert jsonc.parsed(text) == value
    keys = ("mcpServers", "regend")
    if not isinstance(value.get("mcpServers", {}), dict):
        with pytest.raises(ConfigError):
            jsonc.added(text, keys, {"x": [1]})
        return
    new = jsonc.added(text, keys, {"x": [1]})
    expected = {**value, "mcpServers": {**value.get("mcpServers", {}), "regend": {"x": [1]}}}
    assert jsonc.parsed(new) == expected
    expected["mcpServers"] = {k: v for k, v in expected["mcpServers"].items() if k != "regend"}
    assert jsonc.parsed(jsonc.removed(new, keys)) == expected
