-- Needs nothing: `vim.ui.select` for lists, and our own window for a live search.

local results = require('regend.results')

local M = {}

function M.pick(list)
  vim.ui.select(list.items, { prompt = list.title, format_item = results.shown, kind = 'regend' }, function(item)
    if item then
      results.open(item)
    end
  end)
end

function M.live(source, query)
  require('regend.live').open(source, query)
end

return M
