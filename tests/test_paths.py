"""Where files go: regend's own variables first, then XDG, then the usual places below the home directory."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from regend.config import Config, load_config
from regend.daemon.roots import Roots
from regend.disk.calls import RootCalls
from regend.disk.ignore.sources import GitSettings, git_settings
from regend.disk.inputs import Inputs
from regend.errors import PathError
from regend.paths import default_config_path, default_socket_path, default_state_dir, known_home, socket_places

HOME = {"HOME": "/home/ada"}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (HOME, "/home/ada/.config/regend/config.toml"),
        ({**HOME, "XDG_CONFIG_HOME": "/x/c"}, "/x/c/regend/config.toml"),
        ({**HOME, "XDG_CONFIG_HOME": ""}, "/home/ada/.config/regend/config.toml"),
        # The specification says that relative paths are to be ignored.
        ({**HOME, "XDG_CONFIG_HOME": "c"}, "/home/ada/.config/regend/config.toml"),
    ],
)
def test_config(environ: dict[str, str], expected: str) -> None:
    assert default_config_path(environ) == Path(expected)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (HOME, "/home/ada/.local/state/regend"),
        ({**HOME, "XDG_STATE_HOME": "/x/s"}, "/x/s/regend"),
        ({**HOME, "XDG_STATE_HOME": "s"}, "/home/ada/.local/state/regend"),
        ({**HOME, "XDG_STATE_HOME": "/x/s", "REGEND_STATE_DIR": "/y"}, "/y"),
        ({**HOME, "REGEND_STATE_DIR": ""}, "/home/ada/.local/state/regend"),
    ],
)
def test_state_dir(environ: dict[str, str], expected: str) -> None:
    assert default_state_dir(environ) == Path(expected)


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        (HOME, "/home/ada/.local/state/regend/run/regend.sock"),
        ({**HOME, "REGEND_STATE_DIR": "/y"}, "/y/run/regend.sock"),
        ({**HOME, "XDG_RUNTIME_DIR": "/run/user/7"}, "/run/user/7/regend/regend.sock"),
        ({**HOME, "XDG_RUNTIME_DIR": "run"}, "/home/ada/.local/state/regend/run/regend.sock"),
        ({**HOME, "XDG_RUNTIME_DIR": "/run/user/7", "REGEND_SOCKET": "/z/s"}, "/z/s"),
    ],
)
def test_socket(environ: dict[str, str], expected: str) -> None:
    assert default_socket_path(environ) == Path(expected)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may give a directory away")
def test_the_runtime_directory_of_another_user_counts_as_none(tmp_path: Path) -> None:
    own, others = tmp_path / "own", tmp_path / "others"
    for directory in (own, others):
        directory.mkdir()
    os.chown(others, 65_534, 65_534)
    environ = {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)}
    of_state = tmp_path / "regend/run/regend.sock"
    for runtime, expected in (
        (own, own / "regend/regend.sock"),
        (own / "to/be/made", own / "to/be/made/regend/regend.sock"),
        (others, of_state),
        ("/", of_state),
    ):
        assert default_socket_path({**environ, "XDG_RUNTIME_DIR": str(runtime)}) == expected, runtime
    assert str(others) not in str(socket_places({**environ, "XDG_RUNTIME_DIR": str(others)}))
    (others / "regend").mkdir()
    (others / "regend/regend.sock").touch()
    assert default_socket_path({**environ, "XDG_RUNTIME_DIR": str(others)}) == others / "regend/regend.sock", (
        "root asks"
    )


def test_a_client_looks_where_a_daemon_of_another_environment_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    of_user, of_state = f"/run/user/{os.geteuid()}/regend/regend.sock", "{}/.local/state/regend/run/regend.sock"
    own = pwd.getpwuid(os.geteuid()).pw_dir
    monkeypatch.setenv("HOME", own)
    rows = [
        ({"HOME": own}, [of_state.format(own), of_user]),
        ({}, [of_state.format(own), of_user]),
        ({"HOME": own, "XDG_RUNTIME_DIR": "/r"}, ["/r/regend/regend.sock", of_state.format(own)]),
        # Another home, another state directory or a named socket is another daemon's.
        (HOME, [of_state.format("/home/ada")]),
        ({"HOME": own, "REGEND_STATE_DIR": "/s"}, ["/s/run/regend.sock"]),
        ({"HOME": own, "XDG_RUNTIME_DIR": "/r", "REGEND_SOCKET": "/z"}, ["/z"]),
    ]
    for environ, expected in rows:
        assert list(map(str, socket_places(environ))) == expected


def test_relative_values_of_our_own_variables_are_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert default_state_dir({"REGEND_STATE_DIR": "s"}) == tmp_path / "s"
    assert default_socket_path({"REGEND_SOCKET": "a.sock"}) == tmp_path / "a.sock"


def test_the_process_environment_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGEND_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "c"))
    monkeypatch.setenv("REGEND_SOCKET", str(tmp_path / "s"))
    assert default_state_dir() == tmp_path
    assert default_config_path() == tmp_path / "c/regend/config.toml"
    assert default_socket_path() == tmp_path / "s"


def test_without_home_the_password_database_is_asked() -> None:
    assert default_state_dir({}) == Path.home() / ".local/state/regend"


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user without HOME and without an entry in the password database, as in many containers."""
    monkeypatch.delenv("HOME", raising=False)
    for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "REGEND_CONFIG", "REGEND_STATE_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pwd.getpwuid", unknown_user)


def unknown_user(_: int) -> object:
    raise KeyError


@pytest.mark.usefixtures("homeless")
def test_without_a_home_only_paths_that_need_it_are_refused(tmp_path: Path) -> None:
    assert known_home() is None
    assert load_config() == Config()
    assert default_state_dir({"REGEND_STATE_DIR": "/s"}) == Path("/s")
    assert default_socket_path({"REGEND_STATE_DIR": "/s"}) == Path("/s/run/regend.sock")
    for place in (default_config_path, default_state_dir, default_socket_path):
        with pytest.raises(PathError, match="set HOME, or REGEND_CONFIG, REGEND_STATE_DIR and REGEND_SOCKET"):
            place({})
    assert git_settings(tmp_path, None, Inputs()) == GitSettings(None, fold=False)
    assert (
        Roots(Config(), tmp_path / "state", RootCalls()).prepare(tmp_path, force=False).identity.path
        == tmp_path.resolve()
    )
