-- What is asked: a source has a title and `ask(query, callback)`, whose callback gets (err, items, answer).

local client = require('regend.client')
local config = require('regend.config')
local overlay = require('regend.overlay')
local results = require('regend.results')

local M = {}

local PREVIEW_LINES = 40

local function is_in(place, directory)
  return place == directory or vim.startswith(place, directory == '/' and '/' or directory .. '/')
end

local function innermost(place, roots)
  local found
  for _, root in ipairs(roots) do
    if is_in(place, root.path) and (not found or #root.path > #found) then
      found = root.path
    end
  end
  return found
end

--- Call `callback(err, under)` with the places to ask: the root of the current file, else that of the working directory.
--- With `all`, every root.
function M.where(all, callback)
  if all then
    return callback(nil, {})
  end
  local here = vim.uv.cwd() or '/'
  local name = vim.bo.buftype == '' and vim.api.nvim_buf_get_name(0) or ''
  client.call('list', {}, function(err, answer)
    if err then
      return callback(err)
    end
    for _, place in ipairs({ name, here }) do
      local real = place ~= '' and vim.uv.fs_realpath(place) or place
      local root = innermost(place, answer.roots) or innermost(real, answer.roots)
      if root then
        return callback(nil, { root })
      end
    end
    local below = {}
    for _, root in ipairs(answer.roots) do
      if is_in(root.path, here) then
        table.insert(below, root.path)
      end
    end
    if #below > 0 and #below <= 64 then
      return callback(nil, below)
    end
    callback({
      code = 'root_error',
      message = ('%s is not indexed; add it with `:Regend add`, or ask all roots with `:Regend!`'):format(here),
    })
  end)
end

local function finished(callback, of)
  return function(err, answer)
    if err then
      return callback(err, {}, nil)
    end
    callback(nil, of(answer), answer)
  end
end

--- A search for words, below `under`.
function M.search(under)
  return {
    title = 'regend search',
    ask = function(query, callback)
      if not query:match('%S') then
        return callback(nil, {}, nil)
      end
      client.call('search', {
        query = query,
        k = config.get('results'),
        under = under,
        lines = PREVIEW_LINES,
        overlays = overlay.collect(),
      }, finished(callback, results.of_search))
    end,
  }
end

--- A search for names of definitions, below `under`.
function M.symbols(under)
  return {
    title = 'regend symbols',
    ask = function(name, callback)
      if not name:match('%S') then
        return callback(nil, {}, nil)
      end
      local asked = { name = vim.trim(name), k = config.get('results'), under = under }
      client.call('symbols', asked, finished(callback, results.of_symbols))
    end,
  }
end

--- Code like the code at a line of a file, below `under`.
function M.related(under, file, line)
  return {
    title = ('regend related %s:%d'):format(vim.fn.fnamemodify(file, ':t'), line),
    ask = function(_, callback)
      client.call('related', {
        file = file,
        line = line,
        k = config.get('results'),
        under = under,
        lines = PREVIEW_LINES,
        overlays = overlay.collect(),
      }, finished(callback, results.of_search))
    end,
  }
end

--- The definitions of a file, as it was saved last.
function M.outline(file)
  return {
    title = 'regend outline ' .. vim.fn.fnamemodify(file, ':t'),
    ask = function(_, callback)
      client.call('outline', { file = file }, finished(callback, results.of_outline))
    end,
  }
end

--- Return `ask(query)`, which asks the source once no call came for `delay_ms`, with one request in flight at a time, and
--- calls `show(err, items, answer, query)` for answers to the newest query only. And a function that stops it.
function M.as_typed(source, show, delay_ms)
  local timer = assert(vim.uv.new_timer())
  local newest, asked, busy, stopped = nil, nil, false, false
  local function ask()
    if busy or stopped or newest == asked then
      return
    end
    busy, asked = true, newest
    local query = newest
    source.ask(query, function(err, items, answer)
      busy = false
      if stopped then
        return
      end
      if query == newest then
        show(err, items, answer, query)
      end
      ask()
    end)
  end
  return function(query)
    newest = query
    if stopped then
      return
    end
    if (delay_ms or 0) <= 0 then
      return ask()
    end
    timer:start(delay_ms, 0, vim.schedule_wrap(ask))
  end, function()
    if not stopped then
      stopped = true
      timer:stop()
      timer:close()
    end
  end
end

return M
