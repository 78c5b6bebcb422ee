-- Unsaved text: the changed buffers, in the form in which a request carries them.

local M = {}

M.max_buffers = 64
M.max_bytes = 1000000 -- A request has at most 1 MiB, and its other parts need little.

local NEWLINE = { unix = '\n', dos = '\r\n', mac = '\r' }
local AFTER_SAVE_MS = 2000 -- A saved buffer is sent for so long, because the daemon needs a moment to read the file.

local told = {} -- Buffer -> true, once the user knows that it is too large.
local saved_at = {} -- Buffer -> when it was saved (ms).

local function is_fresh(buffer)
  if vim.bo[buffer].modified then
    return true
  end
  if saved_at[buffer] and vim.uv.now() - saved_at[buffer] > AFTER_SAVE_MS then
    saved_at[buffer] = nil
  end
  return saved_at[buffer] ~= nil
end

local function is_changed(buffer)
  local options = vim.bo[buffer]
  local name = vim.api.nvim_buf_get_name(buffer)
  return vim.api.nvim_buf_is_loaded(buffer)
    and is_fresh(buffer)
    and options.buftype == ''
    and name ~= ''
    and not name:match('^%a[%w+.-]+://')
end

local group = vim.api.nvim_create_augroup('regend_overlay', {})
vim.api.nvim_create_autocmd('BufWritePost', {
  group = group,
  callback = function(event)
    saved_at[event.buf] = vim.uv.now()
  end,
})
vim.api.nvim_create_autocmd('BufWipeout', {
  group = group,
  callback = function(event)
    saved_at[event.buf], told[event.buf] = nil, nil
  end,
})

local function text_of(buffer)
  local newline = NEWLINE[vim.bo[buffer].fileformat] or '\n'
  local text = table.concat(vim.api.nvim_buf_get_lines(buffer, 0, -1, false), newline)
  if vim.bo[buffer].endofline or vim.bo[buffer].fixendofline then
    text = text .. newline
  end
  return text
end

local function size_of(buffer)
  return math.max(vim.api.nvim_buf_get_offset(buffer, vim.api.nvim_buf_line_count(buffer)), 0)
end

--- Return the changed buffers as overlays, the most recently used first. The user is told once of each that is too large.
function M.collect()
  local buffers = vim.tbl_filter(is_changed, vim.api.nvim_list_bufs())
  local used = {}
  for _, buffer in ipairs(buffers) do
    used[buffer] = vim.fn.getbufinfo(buffer)[1].lastused
  end
  local current = vim.api.nvim_get_current_buf()
  table.sort(buffers, function(a, b)
    if (a == current) ~= (b == current) then
      return a == current
    end
    if used[a] ~= used[b] then
      return used[a] > used[b]
    end
    return a < b
  end)
  local overlays, left_bytes = {}, M.max_bytes
  for _, buffer in ipairs(buffers) do
    local path = vim.api.nvim_buf_get_name(buffer)
    local size = size_of(buffer) + #path + 64
    if size > left_bytes or #overlays >= M.max_buffers then
      if not told[buffer] then
        told[buffer] = true
        vim.notify(
          ('regend: the unsaved text of %s is too large for a request; its saved text is searched'):format(
            vim.fn.fnamemodify(path, ':t')
          ),
          vim.log.levels.WARN
        )
      end
    else
      left_bytes = left_bytes - size
      table.insert(overlays, { path = path, text = text_of(buffer) })
    end
  end
  return overlays
end

return M
