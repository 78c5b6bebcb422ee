-- Answers of the daemon as items, which quickfix lists and pickers show.
--
-- An item is an entry of `setqflist` (`filename`, `lnum`, `end_lnum`, `text`) with the daemon's result in `user_data`.

local M = {}

local function line_of(result)
  if result.line and result.line > 0 then
    return result.line
  end
  return result.start_line
end

--- Return the text of the best line of a result, as the daemon knows it.
function M.best_line(result)
  local line = line_of(result)
  local lines = vim.split(result.snippet, '\n')
  local text = lines[line - result.snippet_line + 1]
  if text then
    return text
  end
  for _, match in ipairs(result.matches or {}) do
    if match.line == line then
      return match.text
    end
  end
  return lines[1] or ''
end

--- Return the items of an answer to `search` or `related`.
function M.of_search(answer)
  return vim.tbl_map(function(result)
    local symbol = result.symbol ~= '' and (' [' .. result.symbol .. ']') or ''
    return {
      filename = result.root .. '/' .. result.path,
      lnum = line_of(result),
      end_lnum = result.end_line,
      col = 1,
      text = vim.trim(M.best_line(result)) .. symbol .. (result.unsaved and ' [unsaved]' or ''),
      user_data = result,
    }
  end, answer.results)
end

--- Return the items of an answer to `symbols`.
function M.of_symbols(answer)
  return vim.tbl_map(function(symbol)
    return {
      filename = symbol.root .. '/' .. symbol.path,
      lnum = symbol.start_line,
      end_lnum = symbol.end_line,
      col = 1,
      text = ('%s %s'):format(symbol.kind, symbol.qualified),
      user_data = symbol,
    }
  end, answer.symbols)
end

--- Return the items of an answer to `outline`, indented by their depth.
function M.of_outline(answer)
  local open = {} -- Last lines of the definitions around the current one.
  return vim.tbl_map(function(symbol)
    while #open > 0 and open[#open] < symbol.start_line do
      table.remove(open)
    end
    local indent = ('  '):rep(#open)
    table.insert(open, symbol.end_line)
    return {
      filename = answer.root .. '/' .. answer.path,
      lnum = symbol.start_line,
      end_lnum = symbol.end_line,
      col = 1,
      text = ('%s%s %s'):format(indent, symbol.kind, symbol.name),
      user_data = symbol,
    }
  end, answer.symbols)
end

--- Return the item's path as people read it: relative to the working directory where it is below.
function M.shown_path(item)
  return vim.fn.fnamemodify(item.filename, ':~:.')
end

--- Return the item as one line: `path:line: text`.
function M.shown(item)
  return ('%s:%d: %s'):format(M.shown_path(item), item.lnum, item.text)
end

--- Go to an item; `how` is a command such as `edit`, `split`, `vsplit` or `tabedit`.
function M.open(item, how)
  local buffer = vim.fn.bufadd(item.filename)
  vim.cmd("normal! m'")
  if how and how ~= 'edit' then
    vim.cmd(how == 'tabedit' and 'tab split' or how)
  end
  vim.bo[buffer].buflisted = true
  vim.api.nvim_win_set_buf(0, buffer)
  local last = vim.api.nvim_buf_line_count(buffer)
  vim.api.nvim_win_set_cursor(0, { math.min(item.lnum, last), 0 })
  vim.cmd('normal! zvzz^')
end

return M
