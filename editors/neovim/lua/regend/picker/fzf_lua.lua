-- fzf-lua: lines in the form `path:line:column:text`, which it opens and previews by itself.

local M = {}

local function line(item)
  return ('%s:%d:1:%s'):format(item.filename, item.lnum, (item.text:gsub('[\r\n]', ' ')))
end

local function options(title, more)
  local actions = require('fzf-lua').defaults.actions.files
  return vim.tbl_deep_extend('force', {
    prompt = title .. '> ',
    previewer = 'builtin',
    actions = actions,
    fzf_opts = { ['--delimiter'] = ':', ['--no-sort'] = true },
  }, more or {})
end

function M.pick(list)
  require('fzf-lua').fzf_exec(vim.tbl_map(line, list.items), options(list.title))
end

function M.live(source, query)
  require('fzf-lua').fzf_live(function(arguments)
    local asked = type(arguments) == 'table' and arguments[1] or arguments
    return function(add)
      vim.schedule(function()
        source.ask(asked or '', function(_, items)
          for _, item in ipairs(items) do
            add(line(item))
          end
          add(nil)
        end)
      end)
    end
  end, options(source.title, { query = query, exec_empty_query = false }))
end

return M
