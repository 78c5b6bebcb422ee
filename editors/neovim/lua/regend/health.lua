-- `:checkhealth regend`.

local M = {}

function M.check()
  local health = vim.health
  local client = require('regend.client')
  health.start('regend')
  local version = vim.version()
  health.ok(('Neovim %d.%d.%d'):format(version.major, version.minor, version.patch))
  if vim.fn.executable('regenctl') == 1 then
    health.ok('`regenctl` is ' .. vim.fn.exepath('regenctl'))
  else
    health.warn('`regenctl` is not on the path', { 'Only `:Regend start` needs it; the search does not.' })
  end
  local ok, status = pcall(client.call_sync, 'status', {}, 3000)
  if not ok then
    local places = table.concat(client.places(), ', ')
    health.error(status, { 'Start the daemon: `regenctl start`.', 'The socket is looked for at ' .. places .. '.' })
    return
  end
  health.ok(('the daemon %s answers at %s (pid %d)'):format(status.version, status.socket, status.pid))
  if #status.roots == 0 then
    health.warn('nothing is indexed', { 'Add a directory: `:Regend add`.' })
  end
  for _, root in ipairs(status.roots) do
    local text = ('%s: %s, %d files'):format(root.path, root.state, root.files_indexed)
    if root.state == 'ready' then
      health.ok(text)
    elseif root.state == 'scanning' or root.state == 'indexing' then
      health.info(text)
    else
      health.warn(text .. (root.reason ~= '' and ': ' .. root.reason or ''))
    end
  end
  local chosen, name = pcall(require('regend.picker').chosen)
  if chosen then
    health.ok('results are picked with ' .. name)
  else
    health.error(name)
  end
end

return M
