-- `:Regend`: its subcommands and their completion.

local M = {}

local OPEN = { ['++loc'] = 'loclist', ['++qf'] = 'quickfix', ['++pick'] = 'picker' }

local function regend()
  return require('regend')
end

local SUBCOMMANDS = {
  search = function(words, asked)
    regend().search(words, asked)
  end,
  live = function(words, asked)
    regend().live(vim.tbl_extend('force', asked, { query = words }))
  end,
  symbols = function(words, asked)
    regend().symbols(words, asked)
  end,
  related = function(_, asked)
    regend().related(asked)
  end,
  outline = function(_, asked)
    regend().outline(asked)
  end,
  status = function()
    regend().status()
  end,
  start = function()
    regend().start()
  end,
  add = function(words)
    regend().add(words)
  end,
}

local NAMES = vim.tbl_keys(SUBCOMMANDS)
table.sort(NAMES)

local function complain(text)
  vim.notify('regend: ' .. text, vim.log.levels.ERROR, { title = 'regend' })
end

--- Run the command; `arguments` is what Neovim gives to a user command.
function M.run(arguments)
  local name, rest = arguments.args:match('^(%S*)%s*(.-)%s*$')
  local asked = { all = arguments.bang or nil }
  local run = SUBCOMMANDS[name == '' and 'live' or name]
  if not run then
    return complain(
      ('there is no subcommand `%s`; write `:Regend search %s`, or one of %s'):format(
        name, arguments.args, table.concat(NAMES, ', ')
      )
    )
  end
  while true do
    local option, behind = rest:match('^(%+%+%S+)%s*(.*)$')
    if not option then
      break
    end
    if not OPEN[option] then
      return complain(('there is no option `%s`; there are ++loc, ++qf and ++pick'):format(option))
    end
    asked.open, rest = OPEN[option], behind
  end
  local ok, failure = pcall(run, rest, asked)
  if not ok then
    complain(tostring(failure))
  end
end

local function beginning_with(lead, words)
  return vim.tbl_filter(function(word)
    return vim.startswith(word, lead)
  end, words)
end

local function completed_symbols(lead)
  if lead == '' then
    return {}
  end
  local client = require('regend.client')
  local ok, answer = pcall(client.call_sync, 'symbols', { name = lead, k = 30 }, 300)
  local seen, names = {}, {}
  for _, symbol in ipairs(ok and answer.symbols or {}) do
    if not seen[symbol.name] and vim.startswith(symbol.name, lead) then
      seen[symbol.name] = true
      table.insert(names, symbol.name)
    end
  end
  return names
end

--- Return the completions of the word before the cursor.
function M.complete(lead, line, place)
  local before = line:sub(1, place):match('Regend!?%s+(.*)$') or ''
  local name = before:match('^(%S+)%s')
  if not name then
    return beginning_with(lead, NAMES)
  end
  if vim.startswith(lead, '+') then
    return beginning_with(lead, { '++loc', '++pick', '++qf' })
  end
  if name == 'symbols' then
    return completed_symbols(lead)
  end
  if name == 'add' then
    return vim.fn.getcompletion(lead, 'dir')
  end
  return {}
end

return M
