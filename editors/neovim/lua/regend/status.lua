-- The state of the daemon: a text for the status line, and a window. Both follow the daemon's notifications.

local client = require('regend.client')

local M = {}

local roots = {} -- Path -> the newest of its `state` and `pending`.
local text = ''
local listening = false
local window_buffer
local seen = false -- Whether the daemon ever answered.

local function pending_count()
  local count = 0
  for _, root in pairs(roots) do
    count = count + (root.pending or 0)
  end
  return count
end

local function made_text()
  local state = client.state()
  if state ~= 'ready' then
    return state == 'connecting' and not seen and 'regend …' or 'regend: off'
  end
  for _, word in ipairs({ 'gone', 'hung', 'degraded', 'paused' }) do
    for path, root in pairs(roots) do
      if root.state == word then
        return ('regend: %s %s'):format(vim.fs.basename(path), word)
      end
    end
  end
  local count = pending_count()
  return count > 0 and ('regend: %d pending'):format(count) or 'regend'
end

local function refresh()
  local made = made_text()
  if made ~= text then
    text = made
    vim.cmd('redrawstatus!')
  end
end

local function remember(topic, payload)
  if topic == 'state' and payload.root == '' then
    if payload.state == 'connected' then
      seen, roots = true, {}
      client.call('status', {}, function(err, answer)
        for _, root in ipairs(not err and answer.roots or {}) do
          roots[root.path] = { state = root.state, pending = root.pending }
        end
        refresh()
      end)
    end
  elseif topic == 'state' and payload.state == 'removed' then
    roots[payload.root] = nil
  elseif topic == 'state' or topic == 'progress' then
    local root = roots[payload.root] or {}
    roots[payload.root] = { state = payload.state, pending = payload.pending or root.pending }
  end
  refresh()
  if window_buffer and topic ~= 'index' then
    M.redraw()
  end
end

--- Listen to the daemon, and connect in the background.
local function listen()
  if listening then
    return
  end
  listening = true
  client.listen(remember)
  vim.schedule(function()
    client.connected(function(err)
      if not err then
        remember('state', { root = '', state = 'connected' })
      end
      refresh()
    end)
  end)
end

--- Return the text for the status line.
function M.line()
  listen()
  return text ~= '' and text or made_text()
end

local function lines_of(answer)
  local state, server = client.state()
  local lines = {
    ('regend %s  pid %d  %s'):format(answer.version, answer.pid, state == 'ready' and 'connected' or state),
    ('model %s  memory %.0f MB'):format(answer.model.id or '?', (answer.memory.rss_bytes or 0) / 1e6),
    ('socket %s  protocol %d'):format(answer.socket, server.protocol or 0),
    '',
  }
  for _, root in ipairs(answer.roots) do
    table.insert(
      lines,
      ('%-10s %7d files %7d chunks %6d pending %6d skipped  %s%s'):format(
        root.state, root.files_indexed, root.chunks, root.pending, root.files_skipped, root.path,
        root.reason ~= '' and ('  (' .. root.reason .. ')') or ''
      )
    )
  end
  for _, sentence in ipairs(answer.held_back or {}) do
    table.insert(lines, sentence)
  end
  return lines
end

local function put(lines)
  if window_buffer and vim.api.nvim_buf_is_valid(window_buffer) then
    vim.bo[window_buffer].modifiable = true
    vim.api.nvim_buf_set_lines(window_buffer, 0, -1, false, lines)
    vim.bo[window_buffer].modifiable = false
  end
end

--- Bring the window up to date.
function M.redraw()
  client.call('status', {}, function(err, answer)
    put(err and { 'regend: ' .. err.message } or lines_of(answer))
  end)
end

--- Open the window; `q` closes it.
function M.show(complain)
  listen()
  client.call('status', {}, function(err, answer)
    if err then
      return complain(err)
    end
    if not (window_buffer and vim.api.nvim_buf_is_valid(window_buffer)) then
      local buffer = vim.api.nvim_create_buf(false, true)
      window_buffer = buffer
      vim.api.nvim_buf_set_name(buffer, 'regend://status')
      vim.bo[buffer].bufhidden = 'wipe'
      vim.keymap.set('n', 'q', '<Cmd>close<CR>', { buffer = buffer, desc = 'Close' })
      vim.api.nvim_create_autocmd('BufWipeout', {
        buffer = buffer,
        callback = function()
          window_buffer = nil
        end,
      })
      vim.cmd('botright 12split')
      vim.api.nvim_win_set_buf(0, buffer)
      vim.wo.wrap = false
    end
    put(lines_of(answer))
  end)
end

return M
