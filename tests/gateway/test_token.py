"""The token is made once, by one of several starters, and only its owner may read it."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from regend.errors import StoreError
from regend.gateway.token import ensured_token, read_token, token_file


def test_it_is_made_on_first_use_and_kept(tmp_path: Path) -> None:
    made = ensured_token(tmp_path)
    assert len(made) == 43
    assert token_file(tmp_path).stat().st_mode & 0o777 == 0o600
    assert ensured_token(tmp_path) == read_token(tmp_path) == made
    assert [entry.name for entry in tmp_path.iterdir()] == ["http-token"]
    token_file(tmp_path).unlink()
    assert ensured_token(tmp_path) != made


def test_starters_at_the_same_time_agree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = iter(range(1_000))
    monkeypatch.setattr("regend.gateway.token.os.getpid", lambda: next(numbers))
    found: list[str] = []
    starters = [threading.Thread(target=lambda: found.append(ensured_token(tmp_path))) for _ in range(8)]
    for starter in starters:
        starter.start()
    for starter in starters:
        starter.join(10)
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_token_that_is_not_secret_or_no_token_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        read_token(tmp_path)
    with pytest.raises(StoreError, match="cannot be made"):
        ensured_token(tmp_path / "nowhere")
    ensured_token(tmp_path)
    token_file(tmp_path).chmod(0o640)
    with pytest.raises(StoreError, match="Others may read"):
        ensured_token(tmp_path)
    token_file(tmp_path).chmod(0o600)
    for content in ("", "short", "é" * 43, "a\nb" * 20):
        token_file(tmp_path).write_text(content)
        with pytest.raises(StoreError, match="no usable token"):
            ensured_token(tmp_path)
    token_file(tmp_path).unlink()
    token_file(tmp_path).symlink_to("/etc/hostname")
    with pytest.raises(StoreError, match="cannot be read"):
        ensured_token(tmp_path)
