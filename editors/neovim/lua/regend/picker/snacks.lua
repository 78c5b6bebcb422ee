-- snacks.nvim: a picker whose finder asks the daemon for each prompt.

local results = require('regend.results')

local M = {}

function M.is_usable()
  return require('snacks').picker ~= nil
end

local function entry(item, index)
  return {
    idx = index,
    score = -index,
    text = results.shown(item),
    file = item.filename,
    pos = { item.lnum, 0 },
    end_pos = { item.end_lnum, 0 },
    line = item.text,
    regend = item,
  }
end

function M.pick(list)
  local items = {}
  for index, item in ipairs(list.items) do
    items[index] = entry(item, index)
  end
  require('snacks').picker.pick({ source = 'regend', title = list.title, items = items, format = 'file' })
end

function M.live(source, query)
  require('snacks').picker.pick({
    source = 'regend',
    title = source.title,
    search = query,
    live = true,
    supports_live = true,
    format = 'file',
    sort = { fields = { 'idx' } },
    finder = function(_, context)
      local asked = context.filter.search
      return function(add)
        local async = context.async
        local done, items = false, {}
        vim.schedule(function()
          source.ask(asked, function(_, found)
            done, items = true, found
            async:resume()
          end)
        end)
        while not done do
          async:suspend()
        end
        for index, item in ipairs(items) do
          add(entry(item, index))
        end
      end
    end,
  })
end

return M
