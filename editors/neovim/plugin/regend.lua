-- Defines `:Regend` and the <Plug> maps. Loads the rest at the first use.

if vim.g.loaded_regend then
  return
end
vim.g.loaded_regend = true

if vim.fn.has('nvim-0.10') == 0 then
  local version = vim.version()
  local text = ('regend needs Neovim 0.10 or later, and this is %d.%d.%d; docs/editors.md says how to use older ones.')
    :format(version.major, version.minor, version.patch)
  vim.cmd(('command! -bang -nargs=* Regend echohl WarningMsg | echomsg %s | echohl None'):format(vim.fn.string(text)))
  return
end

vim.api.nvim_create_user_command('Regend', function(arguments)
  require('regend.command').run(arguments)
end, {
  nargs = '*',
  bang = true,
  range = true,
  desc = 'Search code by words and meaning',
  complete = function(lead, line, place)
    return require('regend.command').complete(lead, line, place)
  end,
})

local function map(name, modes, desc, run)
  vim.keymap.set(modes, '<Plug>(regend-' .. name .. ')', run, { desc = desc, silent = true })
end

map('live', 'n', 'Search code as you type', '<Cmd>Regend live<CR>')
map('word', 'n', 'Search code for the word under the cursor', function()
  require('regend').search(vim.fn.expand('<cword>'))
end)
map('selection', 'x', 'Search code for the selected text', function()
  local lines = vim.fn.getregion(vim.fn.getpos('v'), vim.fn.getpos('.'), { type = vim.fn.mode() })
  vim.api.nvim_feedkeys(vim.keycode('<Esc>'), 'nx', false)
  require('regend').search(table.concat(lines, '\n'))
end)
map('symbol', 'n', 'Find where the word under the cursor is defined', function()
  require('regend').symbols(vim.fn.expand('<cword>'))
end)
map('related', 'n', 'Find code like the code at the cursor', '<Cmd>Regend related<CR>')
map('outline', 'n', "List the file's definitions", '<Cmd>Regend outline<CR>')
map('status', 'n', 'Show what is indexed', '<Cmd>Regend status<CR>')
