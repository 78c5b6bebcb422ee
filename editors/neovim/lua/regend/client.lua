-- The one connection to the daemon: MessagePack-RPC over a pipe, without waiting anywhere.
--
-- Owns the pipe, the requests that wait for an answer, and the timer of the next attempt. All callbacks run on the main
-- loop (`vim.schedule`), in the order of the answers. Once it was needed, it tries again until a daemon answers.

local config = require('regend.config')

local uv = vim.uv
local M = {}

local PROTOCOL = 1
local TOPICS = { 'progress', 'index', 'state' }

local state = 'idle' -- idle, connecting, ready or lost.
local pipe, unpack_stream, attempt
local last_id = 0
local pending = {} -- Request id -> callback.
local waiting = {} -- Callbacks for the end of the attempt to connect.
local listeners = {} -- Functions that get (topic, payload).
local pause_ms
local retry_timer
local connected_before = false
local server = {} -- The daemon's answer to `hello`.

local connect

local function plain(value)
  -- MessagePack's nil becomes nil at the top; inside of answers it stays `vim.NIL`.
  if value == vim.NIL then
    return nil
  end
  return value
end

local function say(text, level)
  if config.get('notify') then
    vim.schedule(function()
      vim.notify(text, level or vim.log.levels.INFO, { title = 'regend' })
    end)
  end
end

--- Return the paths at which the daemon may listen, best first; they are those of `regenctl`.
function M.places()
  local asked = config.get('socket') or vim.env.REGEND_SOCKET
  if asked and asked ~= '' then
    return { vim.fn.fnamemodify(vim.fn.expand(asked), ':p') }
  end
  local places = {}
  local runtime = vim.env.XDG_RUNTIME_DIR
  if runtime and vim.startswith(runtime, '/') then
    table.insert(places, runtime .. '/regend/regend.sock')
  elseif not vim.env.REGEND_STATE_DIR then
    table.insert(places, ('/run/user/%d/regend/regend.sock'):format(uv.getuid()))
  end
  local home = vim.env.HOME or uv.os_homedir()
  local state_home = vim.env.XDG_STATE_HOME
  if not (state_home and vim.startswith(state_home, '/')) then
    state_home = home .. '/.local/state'
  end
  local state_dir = vim.env.REGEND_STATE_DIR
  if not state_dir or state_dir == '' then
    state_dir = state_home .. '/regend'
  end
  table.insert(places, state_dir .. '/run/regend.sock')
  return places
end

local function publish(topic, payload)
  for _, listener in ipairs(listeners) do
    local ok, failure = pcall(listener, topic, payload)
    if not ok then
      vim.notify('regend: ' .. tostring(failure), vim.log.levels.ERROR)
    end
  end
end

local function fail_all(err)
  local failed, unheard = pending, waiting
  pending, waiting = {}, {}
  for _, callback in pairs(failed) do
    vim.schedule(function()
      callback(err, nil)
    end)
  end
  for _, callback in ipairs(unheard) do
    vim.schedule(function()
      callback(err)
    end)
  end
end

local function close_pipe()
  attempt = nil
  if pipe and not pipe:is_closing() then
    pipe:close()
  end
  pipe, unpack_stream = nil, nil
end

local function retry_later()
  pause_ms = math.min((pause_ms or config.get('reconnect_ms') / 2) * 2, config.get('reconnect_max_ms'))
  retry_timer = retry_timer or assert(uv.new_timer())
  retry_timer:start(pause_ms, 0, vim.schedule_wrap(function()
    if state == 'lost' then
      connect()
    end
  end))
end

local function lost(reason)
  local was = state
  if was == 'idle' then
    return
  end
  close_pipe()
  state = 'lost'
  fail_all({ code = 'disconnected', message = reason })
  if was == 'ready' then
    say('regend: the daemon has stopped; the plugin connects again as soon as it answers', vim.log.levels.WARN)
    vim.schedule(function()
      publish('state', { root = '', state = 'stopped', reason = reason })
    end)
  end
  retry_later()
end

local function send(message)
  pipe:write(vim.mpack.encode(message), function(failure)
    if failure then
      vim.schedule(function()
        lost('the daemon closed the connection')
      end)
    end
  end)
end

local function request(method, params, callback)
  last_id = (last_id + 1) % 0x100000000
  pending[last_id] = callback
  send({ 0, last_id, method, { next(params) == nil and vim.empty_dict() or params } })
  return last_id
end

local function received(message)
  if message[1] == 1 then
    local callback = pending[message[2]]
    pending[message[2]] = nil
    if callback then
      callback(plain(message[3]), plain(message[4]))
    end
  elseif message[1] == 2 then
    publish(message[2], message[3] and message[3][1] or {})
  end
end

local function feed(data)
  -- Runs outside of the main loop: decodes here, and calls back there, once for all that came together.
  local messages, place = {}, 1
  while place <= #data do
    local ok, message, after = pcall(unpack_stream, data, place)
    if not ok then
      return messages, 'the daemon sent what is not MessagePack'
    end
    if message == nil then
      break
    end
    table.insert(messages, message)
    place = after
  end
  return messages
end

local function greeted(mine)
  request('hello', { client = 'neovim', protocol = PROTOCOL }, function(err, answer)
    if mine ~= attempt then
      return
    end
    if err then
      lost(err.message)
      return
    end
    server, state, pause_ms = answer, 'ready', nil
    request('subscribe', { topics = TOPICS }, function() end)
    if connected_before then
      say('regend: connected to the daemon again')
    end
    connected_before = true
    local heard = waiting
    waiting = {}
    publish('state', { root = '', state = 'connected', reason = '' })
    for _, callback in ipairs(heard) do
      callback(nil)
    end
  end)
end

local function try(places, index)
  local mine = {}
  attempt = mine
  local current = assert(uv.new_pipe(false))
  pipe, unpack_stream = current, vim.mpack.Unpacker()
  current:connect(places[index], vim.schedule_wrap(function(failure)
    if mine ~= attempt then
      return
    end
    if failure then
      close_pipe()
      if places[index + 1] then
        try(places, index + 1)
      else
        lost(('no daemon answers at %s (%s); start it with `:Regend start`'):format(places[1], failure))
      end
      return
    end
    current:read_start(function(reading, data)
      if mine ~= attempt then
        return
      end
      if reading or not data then
        vim.schedule(function()
          if mine == attempt then
            lost('the daemon closed the connection')
          end
        end)
        return
      end
      local messages, wrong = feed(data)
      vim.schedule(function()
        for _, message in ipairs(messages) do
          received(message)
        end
        if wrong and mine == attempt then
          lost(wrong)
        end
      end)
    end)
    greeted(mine)
  end))
end

connect = function()
  state = 'connecting'
  try(M.places(), 1)
end

--- Call `callback(err)` once connected; `err` is nil or a table with `code` and `message`.
function M.connected(callback)
  if state == 'ready' then
    return callback(nil)
  end
  table.insert(waiting, callback)
  if state ~= 'connecting' then
    if retry_timer then
      retry_timer:stop()
    end
    connect()
  end
end

--- Send a request; `callback(err, answer)` gets the answer on the main loop, and `err` as `docs/rpc.md` has it.
function M.call(method, params, callback)
  M.connected(function(err)
    if err then
      return callback(err, nil)
    end
    request(method, params, callback)
  end)
end

--- Send a request and wait for its answer; for tests, health checks and completion. Raises when it fails.
function M.call_sync(method, params, limit_ms)
  local done, err, answer = false, nil, nil
  M.call(method, params, function(...)
    done, err, answer = true, ...
  end)
  vim.wait(limit_ms or 2000, function()
    return done
  end, 1)
  if not done then
    error(('regend: no answer to `%s` within %d ms'):format(method, limit_ms or 2000), 0)
  end
  if err then
    error('regend: ' .. err.message, 0)
  end
  return answer
end

--- Call `listener(topic, payload)` for each notification; also for `state` with `connected` and `stopped` of our own.
function M.listen(listener)
  table.insert(listeners, listener)
end

--- Return idle, connecting, ready or lost, and the daemon's answer to `hello`.
function M.state()
  return state, server
end

--- Return how many requests wait for an answer.
function M.pending()
  return vim.tbl_count(pending)
end

--- Close the connection; the next call opens it again.
function M.close()
  if retry_timer then
    retry_timer:stop()
  end
  close_pipe()
  state, connected_before, pause_ms = 'idle', false, nil
  fail_all({ code = 'disconnected', message = 'the connection was closed' })
end

return M
