"""`regenctl` beside a daemon of another version, as after an upgrade: what fails says so."""

from __future__ import annotations

import pytest

from regend.cli.main import main
from regend.errors import RpcError
from tests.rpc.scripted import ROOT, Script, ServerThread, short_directory


@pytest.mark.parametrize("command", [("reindex", ROOT), ("outline", f"{ROOT}/a.py"), ("pause",)])
def test_a_daemon_of_another_version_is_named_where_a_command_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: tuple[str, ...]
) -> None:
    """After an upgrade, the earlier daemon runs until it is restarted: it may not know a parameter, or answer less."""

    async def refuse(*_: object) -> object:
        raise RpcError("`reindex` has no parameter `mode`; known are path.", code="invalid_params")

    async def answer_less(*_: object) -> object:
        return {"symbols": [], "root": ROOT}

    handlers = {**Script().handlers(), "reindex": refuse, "outline": answer_less}
    del handlers["pause"]
    with short_directory() as directory, ServerThread(directory / "s", handlers=handlers) as server:
        monkeypatch.setenv("REGEND_SOCKET", str(server.path))
        monkeypatch.setattr("regend.__version__", "9.9.9")
        assert main([*command]) == 2
        assert "The daemon has version 0.1.0, regenctl 9.9.9; `regenctl restart`" in capsys.readouterr().err
        monkeypatch.setattr("regend.__version__", "0.1.0")
        if command[0] == "outline":
            with pytest.raises(KeyError):
                main([*command])
        else:
            assert main([*command]) == 2
            assert "version" not in capsys.readouterr().err
