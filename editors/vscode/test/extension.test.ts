// The whole extension between a recording of the editor and a real daemon ($REGEND_SOCKET, $ROOT).

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type * as editor from 'vscode';
import { activate } from '../src/extension';
import { Position, recorded, type TreeItem, Uri, window, workspace } from './vscode';

const root = process.env.ROOT ?? '';
const manifest = JSON.parse(readFileSync('package.json', 'utf8')).contributes;
const subscriptions: { dispose(): void }[] = [];

before(() => {
  recorded.folders = [root];
  activate({ subscriptions } as unknown as editor.ExtensionContext);
});
after(() => {
  for (const one of subscriptions) one.dispose();
});

async function until<T>(look: () => T, what: string): Promise<NonNullable<T>> {
  const deadline = Date.now() + 20_000;
  for (;;) {
    const found = look();
    if (found) return found;
    assert.ok(Date.now() < deadline, `${what}: ${recorded.errors}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const run = async (name: string, ...given: unknown[]) => recorded.commands.get(name)?.(...given);

test('everything that the manifest promises is registered', () => {
  for (const { command } of manifest.commands) assert.ok(recorded.commands.has(command), command);
  for (const { name } of manifest.languageModelTools) assert.ok(recorded.tools.has(name), name);
  assert.deepEqual(recorded.mcp?.provideMcpServerDefinitions()[0].args, ['mcp', '--root', root]);
});

test('the status bar follows the daemon', async () => {
  await until(() => recorded.statusItem.text === '$(search) regend', 'connected');
  await run('regend.status');
  assert.equal(recorded.lists.at(-1)?.[0].label, root);
});

test('a quick pick asks as the user types, and opens', async () => {
  await run('regend.search');
  const pick = recorded.picks.at(-1);
  assert.ok(pick);
  pick.typeIn('JobQ');
  pick.typeIn('JobQueue');
  await until(() => pick.items[0]?.label === 'class JobQueue:', 'found');
  assert.equal(pick.items[0].description, 'src/jobs/queue.py:4');
  pick.typeIn('lang:klingon x');
  await until(() => pick.items[0]?.label.includes('klingon'), 'the error is shown');
  pick.typeIn('JobQueue');
  await until(() => pick.items[0]?.label === 'class JobQueue:', 'found');
  pick.accept(0);
  await until(() => recorded.opened.some(({ file, line }) => file === `${root}/src/jobs/queue.py` && line === 4), 'opened');
});

test('results are listed by file with highlights', async () => {
  recorded.input = 'JobQueue';
  await run('regend.list');
  const tree = recorded.tree;
  const [file] = tree?.getChildren() ?? [];
  assert.match(String(tree?.getTreeItem(file).description), /^src\/jobs\/queue\.py/);
  const item = tree?.getTreeItem(tree.getChildren(file)[0]) as TreeItem & { command: { arguments: unknown[] } };
  assert.deepEqual(item.label, { label: 'class JobQueue:', highlights: [[6, 14]] });
  assert.deepEqual(item.command.arguments, [`${root}/src/jobs/queue.py`, 4]);
  assert.equal(recorded.view.title, 'Results: JobQueue');
});

test('related code, definitions and the outline from the cursor', async () => {
  const document = { uri: Uri.file(`${root}/src/jobs/queue.py`), isDirty: false, getText: () => '' };
  window.activeTextEditor = { document, selection: { isEmpty: true, active: new Position(3, 0) } };
  await run('regend.related');
  assert.ok(recorded.tree?.getChildren().some((group) => (group as { path: string }).path === 'tests/queue.py'));
  await run('regend.outline');
  assert.match(String(recorded.lists.at(-1)?.[0].label), /JobQueue/);
  const found = await recorded.symbols?.provideWorkspaceSymbols('JobQueue');
  assert.equal(found?.[0].name, 'JobQueue');
  window.activeTextEditor = undefined;
  await run('regend.related');
  assert.deepEqual(recorded.errors, ['Regend: The active editor shows no file.']);
});

test('language models find unsaved text', async () => {
  const text = 'def unsaved_bilby():\n    return 1\n';
  workspace.textDocuments.push({ uri: Uri.file(`${root}/src/new.py`), isDirty: true, getText: () => text });
  const invoke = async (name: string, input: object) =>
    ((await recorded.tools.get(name)?.invoke({ input })) as { content: { value: string }[] }).content[0].value;
  assert.match(await invoke('regend_search', { query: 'unsaved_bilby' }), /src\/new\.py:1-2 \(unsaved\)\n.*unsaved_bilby/s);
  assert.match(await invoke('regend_symbols', { name: 'JobQueue' }), /src\/jobs\/queue\.py:4-\d+ class JobQueue/);
  assert.match(await invoke('regend_related', { file: `${root}/src/jobs/queue.py`, line: 4 }), /tests\/queue\.py/);
});

test('a folder that is opened by a symbolic link is asked', async () => {
  const place = mkdtempSync(join(tmpdir(), 'regend-'));
  symlinkSync(root, join(place, 'link'));
  recorded.folders = [join(place, 'link')];
  recorded.view.title = '';
  await run('regend.list');
  rmSync(place, { recursive: true });
  assert.equal(recorded.view.title, 'Results: JobQueue', recorded.errors.join());
});

test('a file that cannot be opened is named, and so is a workspace without a folder', async () => {
  recorded.folders = [root];
  await run('regend.search');
  const pick = recorded.picks.at(-1);
  assert.ok(pick);
  pick.typeIn('JobQueue');
  await until(() => pick.items[0]?.label === 'class JobQueue:', 'found');
  const show = window.showTextDocument;
  window.showTextDocument = () => Promise.reject(new Error('it was deleted'));
  pick.accept(0);
  await until(() => recorded.errors.at(-1) === 'Regend: it was deleted', 'said');
  window.showTextDocument = show;
  recorded.folders = [];
  await run('regend.add');
  assert.match(recorded.errors.at(-1) ?? '', /No folder is open/);
});

test('a folder that is not indexed is named', async () => {
  recorded.folders = ['/nowhere'];
  await run('regend.list');
  assert.match(recorded.errors.at(-1) ?? '', /\/nowhere is not indexed; run/);
});
