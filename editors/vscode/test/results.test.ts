// What an editor shows of an answer, and what it sends.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SearchResult } from '../src/messages';
import { Overlays } from '../src/overlays';
import { socketPlaces } from '../src/places';
import { grouped, highlights, placesOf, statusText, symbolsForModel, textForModel } from '../src/results';
import { AsTyped } from '../src/typed';

function result(path: string, line: number, more: Partial<SearchResult> = {}): SearchResult {
  return {
    root: '/src/app', path, start_line: line, end_line: line + 2, language: 'python', symbol: 'Jobs.push',
    snippet: 'def push(self, job):\n    self.jobs.append(job)', snippet_line: line, line, matches: [], also: [],
    unsaved: false, ...more,
  };
}

test('results are grouped by file, in the order of the best of each', () => {
  const answer = {
    results: [result('b.py', 30, { matches: [{ line: 7, text: '  jobs = []' }] }), result('a.py', 1), result('b.py', 3)],
    complete: true, notes: [], words: ['job', 'jobs'],
  };
  const groups = grouped(answer);
  assert.deepEqual(groups.map((group) => [group.file, group.lines.map((line) => line.line)]), [
    ['/src/app/b.py', [3, 7, 30]], ['/src/app/a.py', [1]],
  ]);
  assert.deepEqual(groups[0].lines[0].highlights, [[15, 18]]);
  assert.deepEqual(groups[0].lines[1].highlights, [[0, 4]]);
});

test('highlights lie on the words and never overlap, whatever the text', () => {
  const letters = ['a', 'B', 'ß', 'İ', '🦘', ' ', '_'];
  for (let seed = 1; seed < 2000; seed += 1) {
    let state = seed;
    const draw = (count: number) => (state = (state * 48271) % 2147483647) % count;
    const text = Array.from({ length: draw(20) }, () => letters[draw(letters.length)]).join('');
    const words = ['a', 'ab', 'b_', 'ß', ''].slice(draw(4));
    let end = 0;
    for (const [start, stop] of highlights(text, words)) {
      assert.ok(start >= end && stop > start && stop <= text.length, `${seed}: ${text}`);
      assert.ok(words.some((word) => word && text.slice(start, stop).toLowerCase().includes(word)), `${seed}: ${text}`);
      end = stop;
    }
  }
});

test('a model reads passages, notes and what is incomplete', () => {
  const also = [{ start_line: 9, end_line: 9, symbol: '', snippet: 'pass' }];
  const text = textForModel({ results: [result('a.py', 1, { also, unsaved: true })], complete: false, notes: ['N.'], words: [] });
  assert.match(text, /^N\.\n\n\/src\/app\/a\.py:1-3 \(unsaved\)\nJobs\.push\n```python\ndef push[^`]*```\n```python\npass\n```/);
  assert.match(text, /not complete/);
  assert.equal(textForModel({ results: [], complete: true, notes: [], words: [] }), 'Nothing was found.');
  assert.equal(symbolsForModel([]), 'No definition has this name.');
});

test('the status bar says what a user must know first', () => {
  const root = (state: string, pending = 0) => ({ path: '/src/app', state, pending });
  assert.equal(statusText(false, []), '$(circle-slash) regend');
  assert.equal(statusText(true, [root('ready')]), '$(search) regend');
  assert.equal(statusText(true, [root('indexing', 7), root('ready')]), '$(sync~spin) regend: 7 pending');
  assert.equal(statusText(true, [root('indexing', 7), root('gone')]), '$(warning) regend: app gone');
});

test('folders are asked as far as they are indexed', () => {
  const roots = ['/src/app', '/src/app/lib', '/src/other'];
  assert.deepEqual(placesOf([['/src/app']], roots), ['/src/app']);
  assert.deepEqual(placesOf([['/src/app/lib/deep']], roots), ['/src/app/lib/deep']);
  assert.deepEqual(placesOf([['/src']], roots), roots);
  assert.deepEqual(placesOf([['/src/application']], roots), []);
  const links = [['/link', '/src/other'], ['/src/app/link', '/elsewhere'], ['/parent', '/src'], ['/none', '/none']];
  assert.deepEqual(placesOf(links, roots), ['/src/other', '/src/app/link', '/src/app', '/src/app/lib']);
});

test('dirty and just saved documents are sent, the active one first, within the limit', () => {
  const told: string[] = [];
  let now = 0;
  const overlays = new Overlays((text) => told.push(text), () => now);
  const document = (name: string, isDirty: boolean, text = name, scheme = 'file') => ({
    uri: { scheme, fsPath: `/src/${name}` }, isDirty, getText: () => text,
  });
  const [a, b, c] = [document('a', true), document('b', true), document('c', false)];
  assert.deepEqual(overlays.collect([a, b, c, document('d', true, '', 'untitled')], b).map((one) => one.text), ['b', 'a']);
  overlays.saved(c);
  assert.equal(overlays.collect([a, c]).length, 2);
  now = 3000;
  assert.equal(overlays.collect([a, c]).length, 1);
  const large = document('large', true, 'é'.repeat(500_000));
  assert.equal(overlays.collect([large]).length, 0);
  assert.equal(overlays.collect([large]).length, 0);
  assert.deepEqual(told, ['The unsaved text of /src/large is too large for a request; its saved text is searched.']);
});

test('the socket is looked for where the command line looks', () => {
  const home = { HOME: '/home/x' };
  assert.deepEqual(socketPlaces({ ...home, REGEND_SOCKET: '/run/s' }), ['/run/s']);
  assert.deepEqual(socketPlaces({ ...home, REGEND_SOCKET: '/run/s' }, '~/t'), ['/home/x/t']);
  assert.deepEqual(socketPlaces({ ...home, XDG_RUNTIME_DIR: '/run/user/7' }), [
    '/run/user/7/regend/regend.sock', '/home/x/.local/state/regend/run/regend.sock',
  ]);
  assert.equal(socketPlaces({ ...home, REGEND_STATE_DIR: '/s' })[0], '/s/run/regend.sock');
  assert.equal(socketPlaces({ ...home, XDG_STATE_HOME: '/t' }).at(-1), '/t/regend/run/regend.sock');
});

test('one question at a time, and only the newest answer is shown', async () => {
  const asked: string[] = [];
  const shown: string[] = [];
  const release: (() => void)[] = [];
  let done: () => void = () => undefined;
  const finished = new Promise<void>((resolve) => (done = resolve));
  const typed = new AsTyped<string>(
    async (query) => {
      asked.push(query);
      await new Promise<void>((resolve) => release.push(resolve));
      return query.toUpperCase();
    },
    (query, answer) => {
      shown.push(`${query}=${answer}`);
      done();
    },
    () => 0,
  );
  typed.type('a');
  while (!release.length) await new Promise((resolve) => setImmediate(resolve));
  typed.type('ab');
  typed.type('abc');
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual(asked, ['a']);
  release[0]();
  while (release.length < 2) await new Promise((resolve) => setImmediate(resolve));
  release[1]();
  await finished;
  assert.deepEqual([asked, shown], [['a', 'abc'], ['abc=ABC']]);
});
