-- mini.pick: items are set for each prompt; mini shows and opens them by `path`, `lnum` and `col`.

local results = require('regend.results')

local M = {}

local function entry(item)
  return { text = results.shown(item), path = item.filename, lnum = item.lnum, col = 1 }
end

function M.pick(list)
  require('mini.pick').start({ source = { name = list.title, items = vim.tbl_map(entry, list.items) } })
end

function M.live(source, query)
  local pick = require('mini.pick')
  local asked_tick -- mini calls `match` again once the items are set.
  local function match(_, _, typed)
    local tick = pick.get_querytick()
    if asked_tick == tick then
      return
    end
    asked_tick = tick
    source.ask(table.concat(typed), function(_, items)
      pick.set_picker_items(vim.tbl_map(entry, items), { do_match = false, querytick = tick })
    end)
  end
  if query ~= '' then
    vim.schedule(function()
      pick.set_picker_query(vim.fn.split(query, '\\zs'))
    end)
  end
  pick.start({ source = { name = source.title, items = {}, match = match } })
end

return M
