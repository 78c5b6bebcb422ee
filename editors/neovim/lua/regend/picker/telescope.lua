-- telescope.nvim: a finder that asks the daemon for each prompt.

local results = require('regend.results')

local M = {}

local function entry(item)
  return {
    value = item,
    display = results.shown(item),
    ordinal = results.shown(item),
    filename = item.filename,
    lnum = item.lnum,
    col = 1,
    text = item.text,
  }
end

local function start(title, query, finder, sorter)
  local settings = require('telescope.config').values
  require('telescope.pickers')
    .new({}, {
      prompt_title = title,
      default_text = query,
      finder = finder,
      sorter = sorter,
      previewer = settings.grep_previewer({}),
    })
    :find()
end

function M.pick(list)
  local finder = require('telescope.finders').new_table({ results = list.items, entry_maker = entry })
  start(list.title, '', finder, require('telescope.config').values.generic_sorter({}))
end

function M.live(source, query)
  local newest = 0
  local finder = setmetatable({ close = function() end }, {
    __call = function(_, prompt, found, complete)
      newest = newest + 1
      local mine = newest
      source.ask(prompt or '', function(_, items)
        if mine ~= newest then
          return
        end
        for index, item in ipairs(items) do
          local made = entry(item)
          made.index = index
          if found(made) then
            break
          end
        end
        complete()
      end)
    end,
  })
  start(source.title, query, finder, require('telescope.sorters').highlighter_only({}))
end

return M
