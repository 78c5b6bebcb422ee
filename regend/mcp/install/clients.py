"""The coding agents that `regenctl mcp install` knows: where each is configured, in which form, and how to ask it.

Every row says with which version its form was seen to work; what was read in its documentation only says so.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from regend.mcp.install import blocks, jsonc
from regend.paths import home_directory, xdg_directory

NAME = "regend"
"""The name of the server in every client."""


@dataclass(frozen=True, slots=True)
class Command:
    """The command that starts the server: an absolute path, and its arguments."""

    program: str
    arguments: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Form:
    """A form of configuration files, as functions over the text of a file."""

    entry: Callable[[str, Sequence[str]], Any]
    added: Callable[[str, Sequence[str], Mapping[str, Any]], str]
    removed: Callable[[str, Sequence[str]], str]


JSONC = Form(jsonc.entry, jsonc.added, jsonc.removed)
TOML = Form(blocks.toml_entry, blocks.toml_added, blocks.toml_removed)
YAML = Form(blocks.yaml_entry, blocks.yaml_added, blocks.yaml_removed)
Environ = Mapping[str, str]


def _plain(command: Command) -> dict[str, Any]:
    return {"command": command.program, "args": list(command.arguments)}


@dataclass(frozen=True, slots=True)
class Client:
    """A client.

    Attributes:
        name: on our command line.
        title: as its makers write it.
        file: returns the configuration file of the user.
        keys: where in the file the server stands.
        seen: the version with which it was run, or empty: only its documentation was read.
        program: its own program; empty if it has none, as an editor.
        lists: arguments with which the program lists its servers; empty if it cannot.
        adds, removes: arguments with which the program itself adds a server (its entry as JSON follows) and removes
            one. They are used where a running client writes the file, too, and would lose our edit.
        skills: returns the folder of the user's skills, if it reads any.
    """

    name: str
    title: str
    file: Callable[[Environ], Path]
    keys: tuple[str, ...]
    form: Form = JSONC
    entry: Callable[[Command], dict[str, Any]] = _plain
    seen: str = ""
    program: str = ""
    lists: tuple[str, ...] = ()
    adds: tuple[str, ...] = ()
    removes: tuple[str, ...] = ()
    skills: Callable[[Environ], Path] | None = None


def _at_home(*parts: str) -> Callable[[Environ], Path]:
    return lambda environ: home_directory(environ).joinpath(*parts)


def _configured(*parts: str) -> Callable[[Environ], Path]:
    return lambda environ: xdg_directory(environ, "XDG_CONFIG_HOME", ".config").joinpath(*parts)


def _below(variable: str, default: str, *parts: str) -> Callable[[Environ], Path]:
    """Return the place below the folder that a variable names, else below one in the home directory."""

    def place(environ: Environ) -> Path:
        folder = environ.get(variable, "")
        return (Path(folder) if folder else home_directory(environ) / default).joinpath(*parts)

    return place


def _claude(environ: Environ) -> Path:
    folder = environ.get("CLAUDE_CONFIG_DIR", "")
    return (Path(folder) if folder else home_directory(environ)) / ".claude.json"


def _code_user(environ: Environ) -> Path:
    if sys.platform == "darwin":
        return home_directory(environ) / "Library/Application Support/Code/User"
    return xdg_directory(environ, "XDG_CONFIG_HOME", ".config") / "Code/User"


def _opencode(environ: Environ) -> Path:
    folder = xdg_directory(environ, "XDG_CONFIG_HOME", ".config") / "opencode"
    both = folder / "opencode.jsonc"
    return both if both.exists() else folder / "opencode.json"


def _cline(environ: Environ) -> Path:
    if named := environ.get("CLINE_MCP_SETTINGS_PATH"):
        return Path(named)
    return _below("CLINE_DIR", ".cline", "data", "settings", "cline_mcp_settings.json")(environ)


def _typed(kind: str, **more: Any) -> Callable[[Command], dict[str, Any]]:
    return lambda command: {"type": kind, **_plain(command), **more}


CLIENTS = (
    Client(
        "claude", "Claude Code", _claude, ("mcpServers", NAME), entry=_typed("stdio"), seen="2.1.332",
        program="claude", lists=("mcp", "list"), adds=("mcp", "add-json", "--scope", "user", NAME),
        removes=("mcp", "remove", "--scope", "user", NAME), skills=_below("CLAUDE_CONFIG_DIR", ".claude", "skills"),
    ),
    Client(
        "codex", "Codex", _below("CODEX_HOME", ".codex", "config.toml"), ("mcp_servers", NAME), TOML, seen="0.171.0",
        program="codex", lists=("mcp", "list"), skills=_at_home(".agents", "skills"),
    ),
    Client(
        "gemini", "Gemini CLI", _at_home(".gemini", "settings.json"), ("mcpServers", NAME), seen="0.61.0",
        program="gemini", lists=("mcp", "list"), skills=_at_home(".gemini", "skills"),
    ),
    Client(
        "opencode", "OpenCode", _opencode, ("mcp", NAME), seen="1.18.33", program="opencode", lists=("mcp", "list"),
        entry=lambda command: {"type": "local", "command": [command.program, *command.arguments], "enabled": True},
        skills=_configured("opencode", "skills"),
    ),
    Client("cursor", "Cursor", _at_home(".cursor", "mcp.json"), ("mcpServers", NAME)),
    Client(
        "vscode", "VS Code", lambda environ: _code_user(environ) / "mcp.json", ("servers", NAME),
        entry=_typed("stdio"),
    ),
    Client(
        "copilot", "Copilot CLI", _below("COPILOT_HOME", ".copilot", "mcp-config.json"), ("mcpServers", NAME),
        entry=_typed("local", tools=["*"]),
    ),
    Client("zed", "Zed", _configured("zed", "settings.json"), ("context_servers", NAME),
           entry=lambda command: {"source": "custom", **_plain(command), "env": {}}),
    Client("windsurf", "Windsurf", _at_home(".codeium", "windsurf", "mcp_config.json"), ("mcpServers", NAME)),
    Client("cline", "Cline", _cline, ("mcpServers", NAME)),
    # It reads each file in this folder, so ours is a file of its own.
    Client("continue", "Continue", _at_home(".continue", "mcpServers", "regend.json"), ("mcpServers", NAME)),
    Client(
        "goose", "Goose", _configured("goose", "config.yaml"), ("extensions", NAME), YAML,
        entry=lambda command: {
            "enabled": True, "type": "stdio", "name": NAME, "description": "regend code search",
            "cmd": command.program, "args": list(command.arguments), "envs": {}, "timeout": 60,
        },
    ),
)  # fmt: skip
BY_NAME = {client.name: client for client in CLIENTS}


def shape(client: Client, text: str, command: Command) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Return the keys and the entry for a file as it is: OpenCode 2 has its servers one level deeper."""
    if client.name == "opencode" and isinstance(jsonc.entry(text, ("mcp", "servers")), dict):
        return ("mcp", "servers", NAME), {"type": "local", "command": [command.program, *command.arguments]}
    return client.keys, client.entry(command)
