// Where the daemon may listen, best first; the places are those of `regenctl`.

import { homedir, userInfo } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';

export function socketPlaces(environ: NodeJS.ProcessEnv, chosen = ''): string[] {
  const named = chosen || environ.REGEND_SOCKET;
  if (named) {
    return [resolve(named.replace(/^~(?=\/)/, environ.HOME || homedir()))];
  }
  const places: string[] = [];
  const runtime = environ.XDG_RUNTIME_DIR ?? '';
  if (isAbsolute(runtime)) {
    places.push(join(runtime, 'regend', 'regend.sock'));
  } else if (!environ.REGEND_STATE_DIR) {
    places.push(`/run/user/${userInfo().uid}/regend/regend.sock`);
  }
  const stateHome = environ.XDG_STATE_HOME ?? '';
  const state =
    environ.REGEND_STATE_DIR ||
    join(isAbsolute(stateHome) ? stateHome : join(environ.HOME || homedir(), '.local', 'state'), 'regend');
  places.push(join(state, 'run', 'regend.sock'));
  return places;
}
