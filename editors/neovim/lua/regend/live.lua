-- Our own window for a live search: a prompt, the results below it, and a preview where the screen is wide enough.

local config = require('regend.config')
local results = require('regend.results')
local source_module = require('regend.source')

local M = {}

local NAMESPACE = vim.api.nvim_create_namespace('regend_live')
local PREVIEW_FROM = 100 -- Columns of the screen.

local function layout()
  local width = math.max(math.floor(vim.o.columns * 0.9), 30)
  local height = math.max(math.floor((vim.o.lines - vim.o.cmdheight) * 0.8), 8)
  local row, column = math.floor((vim.o.lines - height) / 2) - 1, math.floor((vim.o.columns - width) / 2)
  local list_width = vim.o.columns >= PREVIEW_FROM and math.floor(width / 2) or width
  local base = { relative = 'editor', style = 'minimal', border = 'rounded' }
  local function place(more)
    return vim.tbl_extend('force', base, more)
  end
  return {
    prompt = place({ row = math.max(row, 0), col = column, width = list_width - 2, height = 1 }),
    list = place({ row = math.max(row, 0) + 3, col = column, width = list_width - 2, height = height - 5 }),
    preview = list_width < width and place({
      row = math.max(row, 0), col = column + list_width, width = width - list_width - 2, height = height - 2,
    }) or nil,
  }
end

local function scratch()
  local buffer = vim.api.nvim_create_buf(false, true)
  vim.bo[buffer].bufhidden = 'wipe'
  return buffer
end

local function mark_words(buffer, lines, words)
  for row, line in ipairs(lines) do
    local lower = line:lower()
    for _, word in ipairs(words or {}) do
      local first, last = lower:find(word, 1, true)
      while first do
        vim.api.nvim_buf_set_extmark(buffer, NAMESPACE, row - 1, first - 1, { end_col = last, hl_group = 'Search' })
        first, last = lower:find(word, last + 1, true)
      end
    end
  end
end

local View = {}
View.__index = View

function View:show_preview()
  if not self.preview then
    return
  end
  local item = self.items[self.chosen]
  local found = item and item.user_data or {}
  local lines = vim.split(found.snippet or found.text or '', '\n')
  vim.api.nvim_buf_clear_namespace(self.preview_buffer, NAMESPACE, 0, -1)
  vim.api.nvim_buf_set_lines(self.preview_buffer, 0, -1, false, lines)
  local kind = item and vim.filetype.match({ filename = item.filename }) or ''
  vim.treesitter.stop(self.preview_buffer)
  if not pcall(vim.treesitter.start, self.preview_buffer, vim.treesitter.language.get_lang(kind)) then
    vim.bo[self.preview_buffer].syntax = kind or ''
  end
  mark_words(self.preview_buffer, lines, self.words)
  local best = item and found.snippet_line and item.lnum - found.snippet_line + 1 or 1
  vim.api.nvim_win_set_cursor(self.preview, { math.min(math.max(best, 1), #lines), 0 })
  vim.wo[self.preview].cursorline = item ~= nil
end

function View:choose(index)
  if #self.items == 0 then
    self.chosen = 0
  else
    self.chosen = (index - 1) % #self.items + 1
    vim.api.nvim_win_set_cursor(self.list, { self.chosen, 0 })
  end
  self:show_preview()
end

function View:show(err, items, answer, query)
  self.items, self.words = items, answer and answer.words or {}
  local lines = err and { err.message } or vim.tbl_map(results.shown, items)
  if not err and #items == 0 then
    lines = query:match('%S') and vim.list_extend({ 'nothing found' }, answer and answer.notes or {}) or {}
  end
  lines = vim.tbl_map(function(line)
    return (line:gsub('\n', ' '))
  end, lines)
  vim.bo[self.list_buffer].modifiable = true
  vim.api.nvim_buf_clear_namespace(self.list_buffer, NAMESPACE, 0, -1)
  vim.api.nvim_buf_set_lines(self.list_buffer, 0, -1, false, lines)
  vim.bo[self.list_buffer].modifiable = false
  if #items > 0 then
    mark_words(self.list_buffer, lines, self.words)
  end
  self.shown_query = query
  self:choose(1)
end

function View:close()
  if self.closed then
    return
  end
  self.closed = true
  self.stop()
  vim.cmd('stopinsert')
  for _, window in ipairs({ self.prompt, self.list, self.preview }) do
    if window and vim.api.nvim_win_is_valid(window) then
      vim.api.nvim_win_close(window, true)
    end
  end
  if vim.api.nvim_win_is_valid(self.origin) then
    vim.api.nvim_set_current_win(self.origin)
  end
end

function View:accept(how)
  local item = self.items[self.chosen]
  self:close()
  if item then
    results.open(item, how)
  end
end

function View:to_quickfix()
  local items, title = self.items, self.source.title .. ' ' .. (self.shown_query or '')
  self:close()
  vim.fn.setqflist({}, ' ', { title = title, items = items, nr = '$' })
  vim.cmd('botright copen')
end

function View:keys()
  local function map(key, run)
    vim.keymap.set({ 'i', 'n' }, key, run, { buffer = self.prompt_buffer, nowait = true })
  end
  local function accept(how)
    return function()
      self:accept(how)
    end
  end
  local function move(by)
    return function()
      self:choose(self.chosen + by)
    end
  end
  for key, by in pairs({ ['<Down>'] = 1, ['<C-n>'] = 1, ['<C-j>'] = 1, ['<Up>'] = -1, ['<C-p>'] = -1, ['<C-k>'] = -1 }) do
    map(key, move(by))
  end
  for key, how in pairs({ ['<CR>'] = 'edit', ['<C-s>'] = 'split', ['<C-v>'] = 'vsplit', ['<C-t>'] = 'tabedit' }) do
    map(key, accept(how))
  end
  map('<C-q>', function()
    self:to_quickfix()
  end)
  for _, key in ipairs({ '<Esc>', '<C-c>' }) do
    map(key, function()
      self:close()
    end)
  end
end

--- Open the window on a source, with a first query. Returns the view.
function M.open(source, query)
  local places = layout()
  local view = setmetatable({
    source = source, items = {}, chosen = 0, origin = vim.api.nvim_get_current_win(),
    prompt_buffer = scratch(), list_buffer = scratch(), preview_buffer = places.preview and scratch() or nil,
  }, View)
  if places.preview then
    view.preview = vim.api.nvim_open_win(view.preview_buffer, false, places.preview)
  end
  view.list = vim.api.nvim_open_win(view.list_buffer, false, places.list)
  vim.wo[view.list].cursorline = true
  vim.wo[view.list].wrap = false
  places.prompt.title = ' ' .. source.title .. ' '
  view.prompt = vim.api.nvim_open_win(view.prompt_buffer, true, places.prompt)
  local ask
  ask, view.stop = source_module.as_typed(source, function(...)
    view:show(...)
  end, config.get('delay_ms'))
  vim.api.nvim_buf_set_lines(view.prompt_buffer, 0, -1, false, { query })
  vim.api.nvim_create_autocmd({ 'TextChangedI', 'TextChanged' }, {
    buffer = view.prompt_buffer,
    callback = function()
      ask(vim.api.nvim_buf_get_lines(view.prompt_buffer, 0, 1, false)[1] or '')
    end,
  })
  vim.api.nvim_create_autocmd({ 'WinLeave', 'BufWipeout' }, {
    buffer = view.prompt_buffer,
    callback = vim.schedule_wrap(function()
      view:close()
    end),
  })
  view:keys()
  vim.cmd('startinsert!')
  if query ~= '' then
    ask(query)
  end
  return view
end

return M
