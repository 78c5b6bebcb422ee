-- Which picker shows results: the one that is set, else the first that is installed, else our own.

local config = require('regend.config')

local M = {}

local PICKERS = { -- Name in the options -> our module, and theirs.
  { 'snacks', 'regend.picker.snacks', 'snacks' },
  { 'telescope', 'regend.picker.telescope', 'telescope' },
  { 'fzf-lua', 'regend.picker.fzf_lua', 'fzf-lua' },
  { 'mini', 'regend.picker.mini', 'mini.pick' },
  { 'select', 'regend.picker.select', nil },
}

--- Return the name of the picker that is used, and its adapter: a table with `pick` and `live`.
function M.chosen()
  local wanted = config.get('picker')
  for _, row in ipairs(PICKERS) do
    local name, ours, theirs = row[1], row[2], row[3]
    if wanted == name or not wanted then
      if not theirs or (pcall(require, theirs)) then
        local adapter = require(ours)
        if wanted or not adapter.is_usable or adapter.is_usable() then
          return name, adapter
        end
      elseif wanted then
        error(('the picker `%s` is not installed'):format(name), 0)
      end
    end
  end
  error(('there is no picker `%s`; there are snacks, telescope, fzf-lua, mini and select'):format(wanted), 0)
end

--- Let the user choose from `list.items`.
function M.pick(list)
  local _, adapter = M.chosen()
  adapter.pick(list)
end

--- Let the user search in a source as they type.
function M.live(source, query)
  local _, adapter = M.chosen()
  adapter.live(source, query)
end

return M
