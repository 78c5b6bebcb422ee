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

local function not_indexed(here)
  return {
    code = 'root_error',
    message = ('%s is not indexed; add it with `:Regend add`, or ask all roots with `:Regend!`'):format(here),
  }
end

local function around(name, here, roots)
  for _, place in ipairs({ name, here }) do
    local real = place ~= '' and vim.uv.fs_realpath(place) or place
    local root = innermost(place, roots) or innermost(real, roots)
    if root then
      return { root }
    end
  end
  local below = {}
  for _, root in ipairs(roots) do
    if is_in(root.path, here) then
      table.insert(below, root.path)
    end
  end
  return #below <= 64 and below or {}
end

--- Return `place(callback)`, which calls `callback(err, under)` with the places to ask: the root of the current file, else
--- that of the working directory; with `all`, every root. The daemon is asked once, at the first call.
function M.where(all)
  local here = vim.uv.cwd() or '/'
  local name = vim.bo.buftype == '' and vim.api.nvim_buf_get_name(0) or ''
  local known = all and {} or nil
  return function(callback)
    if known then
      return callback(nil, known)
    end
    client.call('list', {}, function(err, answer)
      if err then
        return callback(err)
      end
      local found = around(name, here, answer.roots)
      if #found == 0 then
        return callback(not_indexed(here))
      end
      known = found
      callback(nil, known)
    end)
  end
end

local function finished(callback, of)
  return function(err, answer)
    if err then
      return callback(err, {}, nil)
    end
    callback(nil, of(answer), answer)
  end
end

-- Send a request below the places, or report why there are none.
local function send(place, method, params, of, callback)
  place(function(err, under)
    if err then
      return callback(err, {}, nil)
    end
    params.under = under
    client.call(method, params, finished(callback, of))
  end)
end

--- A search for words at a place.
function M.search(place)
  return {
    title = 'regend search',
    ask = function(query, callback)
      if not query:match('%S') then
        return callback(nil, {}, nil)
      end
      send(place, 'search', {
        query = query,
        k = config.get('results'),
        lines = PREVIEW_LINES,
        overlays = overlay.collect(),
      }, results.of_search, callback)
    end,
  }
end

--- A search for names of definitions at a place.
function M.symbols(place)
  return {
    title = 'regend symbols',
    ask = function(name, callback)
      if not name:match('%S') then
        return callback(nil, {}, nil)
      end
      local asked = { name = vim.trim(name), k = config.get('results') }
      send(place, 'symbols', asked, results.of_symbols, callback)
    end,
  }
end

--- Code like the code at a line of a file, at a place.
function M.related(place, file, line)
  return {
    title = ('regend related %s:%d'):format(vim.fn.fnamemodify(file, ':t'), line),
    ask = function(_, callback)
      send(place, 'related', {
        file = file,
        line = line,
        k = config.get('results'),
        lines = PREVIEW_LINES,
        overlays = overlay.collect(),
      }, results.of_search, callback)
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
