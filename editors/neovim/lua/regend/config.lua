-- Options and their defaults. `setup` is optional: `vim.g.regend` may hold the same table.

local M = {}

M.defaults = {
  socket = nil, -- Path of the daemon's socket; looked for in the usual places if left out.
  results = 50, -- Maximum number of results of a search, 1 to 1000.
  picker = nil, -- 'snacks', 'telescope', 'fzf-lua', 'mini', 'select' or 'quickfix'; the first that is there if left out.
  open = 'quickfix', -- Where `:Regend search` puts results: 'quickfix', 'loclist' or 'picker'.
  delay_ms = 30, -- A live search is sent when no key came for this long.
  reconnect_ms = 250, -- First pause before a new attempt to connect; doubled up to `reconnect_max_ms`.
  reconnect_max_ms = 5000,
  notify = true, -- Say when the daemon was lost and found again.
}

local given = {}

--- Set options; those left out keep their defaults.
function M.set(options)
  for name in pairs(options or {}) do
    if not vim.tbl_contains(M.names, name) then
      error(('regend has no option `%s`; it has %s'):format(name, table.concat(M.names, ', ')), 0)
    end
  end
  given = options or {}
end

M.names = {
  'delay_ms', 'notify', 'open', 'picker', 'reconnect_max_ms', 'reconnect_ms', 'results', 'socket',
}

--- Return one option: of `setup`, else of `vim.g.regend`, else the default.
function M.get(name)
  if given[name] ~= nil then
    return given[name]
  end
  local global = vim.g.regend
  if type(global) == 'table' and global[name] ~= nil then
    return global[name]
  end
  return M.defaults[name]
end

return M
