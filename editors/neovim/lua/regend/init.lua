-- Code search by words and meaning. `:help regend` explains all of it.

local client = require('regend.client')
local config = require('regend.config')
local source = require('regend.source')

local M = {}

local function complain(text)
  vim.notify('regend: ' .. text, vim.log.levels.ERROR, { title = 'regend' })
end

local function complain_of(err)
  complain(err.message)
end

--- Set options. Optional: without it, and without `vim.g.regend`, the defaults hold.
function M.setup(options)
  config.set(options)
end

local function fill(where, title, items)
  local what = { title = title, items = items, nr = '$' }
  if where == 'loclist' then
    vim.fn.setloclist(0, {}, ' ', what)
    vim.cmd('lopen')
  else
    vim.fn.setqflist({}, ' ', what)
    vim.cmd('botright copen')
  end
end

local function show(asked, title, items, answer)
  for _, note in ipairs(answer and answer.notes or {}) do
    vim.notify('regend: ' .. note, vim.log.levels.INFO, { title = 'regend' })
  end
  if #items == 0 then
    local yet = answer and answer.complete == false and ' yet: the index is not complete' or ''
    return vim.notify('regend: nothing found' .. yet, vim.log.levels.WARN, { title = 'regend' })
  end
  local where = asked.open or config.get('open')
  if where == 'picker' then
    return require('regend.picker').pick({ title = title, items = items })
  end
  fill(where, title, items)
end

local function ask(asked, made, query)
  made.ask(query, function(err, items, answer)
    if err then
      return complain_of(err)
    end
    show(asked, query == '' and made.title or made.title .. ' ' .. query, items, answer)
    if asked.done then
      asked.done(items, answer)
    end
  end)
end

--- Search for words, and list the results. `asked` may hold `all` (ask every root), `open` and `done(items, answer)`.
function M.search(query, asked)
  if not query or not query:match('%S') then
    return M.live(asked)
  end
  asked = asked or {}
  ask(asked, source.search(source.where(asked.all)), query)
end

--- Search as you type. `asked` may hold `all` and `query`.
function M.live(asked)
  asked = asked or {}
  require('regend.picker').live(source.search(source.where(asked.all)), asked.query or '')
end

--- Find definitions by name; without a name, as you type.
function M.symbols(name, asked)
  asked = asked or {}
  local made = source.symbols(source.where(asked.all))
  if not name or name == '' then
    return require('regend.picker').live(made, '')
  end
  ask(asked, made, name)
end

local function current_file()
  local file = vim.api.nvim_buf_get_name(0)
  if file == '' or vim.bo.buftype ~= '' then
    complain('the current buffer is no file')
    return nil
  end
  return file
end

--- Find code like the code at the cursor.
function M.related(asked)
  local file, line = current_file(), vim.api.nvim_win_get_cursor(0)[1]
  if file then
    asked = asked or {}
    ask(asked, source.related(source.where(asked.all), file, line), '')
  end
end

--- List the definitions of the current file, in the location list unless told otherwise.
function M.outline(asked)
  local file = current_file()
  if file then
    ask(vim.tbl_extend('keep', asked or {}, { open = 'loclist' }), source.outline(file), '')
  end
end

--- Show what is indexed, live.
function M.status()
  require('regend.status').show(complain_of)
end

--- Return a short text for the status line, such as `regend` or `regend: 120 pending`.
function M.statusline()
  return require('regend.status').line()
end

local function regenctl(words, done)
  if vim.fn.executable('regenctl') == 0 then
    return complain('`regenctl` is not on the path; install it, or start the daemon by other means')
  end
  vim.system(vim.list_extend({ 'regenctl' }, words), { text = true }, vim.schedule_wrap(function(ended)
    if ended.code ~= 0 then
      return complain(vim.trim(ended.stderr ~= '' and ended.stderr or ended.stdout))
    end
    done(vim.trim(ended.stdout))
  end))
end

--- Start the daemon in the background.
function M.start()
  regenctl({ 'start' }, function(text)
    vim.notify('regend: ' .. text)
    client.connected(function(err)
      if err then
        complain_of(err)
      end
    end)
  end)
end

--- Add a directory to what is indexed: the working directory unless named. What is no directory to the letter, such as
--- `$HOME/src` or `%:h`, is expanded.
function M.add(directory)
  local path = vim.fn.fnamemodify(directory ~= '' and directory or vim.fn.getcwd(), ':p')
  if vim.fn.isdirectory(path) == 0 then
    path = vim.fn.fnamemodify(vim.fn.expand(directory), ':p')
  end
  path = #path > 1 and path:gsub('/$', '') or path
  client.call('add', { path = path }, function(err, answer)
    if err then
      return complain_of(err)
    end
    vim.notify(('regend: added %s; it is %s'):format(answer.root, answer.state))
  end)
end

return M
