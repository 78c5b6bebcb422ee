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
    return vim.notify('regend: nothing found', vim.log.levels.WARN, { title = 'regend' })
  end
  local where = asked.open or config.get('open')
  if where == 'picker' then
    return require('regend.picker').pick({ title = title, items = items })
  end
  fill(where, title, items)
end

local function ask(asked, make, query, title)
  source.where(asked.all, function(err, under)
    if err then
      return complain_of(err)
    end
    local made = make(under)
    made.ask(query, function(failure, items, answer)
      if failure then
        return complain_of(failure)
      end
      show(asked, title or made.title, items, answer)
      if asked.done then
        asked.done(items, answer)
      end
    end)
  end)
end

local function live(asked, make)
  source.where(asked.all, function(err, under)
    if err then
      return complain_of(err)
    end
    require('regend.picker').live(make(under), asked.query or '')
  end)
end

--- Search for words, and list the results. `asked` may hold `all` (ask every root), `open` and `done(items, answer)`.
function M.search(query, asked)
  if not query or not query:match('%S') then
    return M.live(asked)
  end
  ask(asked or {}, source.search, query, 'regend search ' .. query)
end

--- Search as you type. `asked` may hold `all` and `query`.
function M.live(asked)
  live(asked or {}, source.search)
end

--- Find definitions by name; without a name, as you type.
function M.symbols(name, asked)
  if not name or name == '' then
    return live(asked or {}, source.symbols)
  end
  ask(asked or {}, source.symbols, name, 'regend symbols ' .. name)
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
    ask(asked or {}, function(under)
      return source.related(under, file, line)
    end, '')
  end
end

--- List the definitions of the current file, in the location list unless told otherwise.
function M.outline(asked)
  local file = current_file()
  if file then
    asked = vim.tbl_extend('keep', asked or {}, { all = true, open = 'loclist' })
    ask(asked, function()
      return source.outline(file)
    end, '')
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

--- Add a directory to what is indexed: the working directory unless named.
function M.add(directory)
  local path = vim.fn.fnamemodify(vim.fn.expand(directory ~= '' and directory or vim.fn.getcwd()), ':p')
  path = #path > 1 and path:gsub('/$', '') or path
  client.call('add', { path = path }, function(err, answer)
    if err then
      return complain_of(err)
    end
    vim.notify(('regend: added %s; it is %s'):format(answer.root, answer.state))
  end)
end

return M
