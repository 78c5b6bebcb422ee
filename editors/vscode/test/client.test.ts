// The connection against a real daemon, whose socket is $REGEND_SOCKET and whose root is $ROOT. `tests/editors` runs it.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { Client, DaemonError, type State } from '../src/client';
import type { SearchAnswer, StatusAnswer, SymbolsAnswer } from '../src/messages';
import { socketPlaces } from '../src/places';

const root = process.env.ROOT ?? '';
const states: string[] = [];
const topics = new Set<string>();
const client = new Client(
  () => socketPlaces(process.env),
  {
    state: (state: State, again: boolean) => states.push(`${state}${again ? ' again' : ''}`),
    notice: (topic) => topics.add(topic),
  },
  20,
);
after(() => client.close());

async function until(condition: () => boolean, what: string): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!condition()) {
    assert.ok(Date.now() < deadline, what);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

test('questions are answered, many at a time', async () => {
  const queries = ['JobQueue', 'retry', 'worker'];
  const answers = await Promise.all(queries.map((query) => client.call<SearchAnswer>('search', { query, k: 3 })));
  assert.equal(answers[0].results[0].path, 'src/jobs/queue.py');
  assert.ok(answers.every((answer) => answer.results.length));
  const { symbols } = await client.call<SymbolsAnswer>('symbols', { name: 'JobQueue' });
  assert.equal(symbols[0].start_line, 4);
  assert.equal((await client.call<StatusAnswer>('status')).roots[0].path, root);
});

test('errors are those of the daemon', async () => {
  await assert.rejects(client.call('search', { query: 'lang:klingon x' }), (error: DaemonError) => /klingon/.test(error.message));
  await assert.rejects(client.call('nonsense'), (error: DaemonError) => error.code === 'method_not_found');
});

test('unsaved text is found, and a saved file soon', async () => {
  const times: number[] = [];
  for (let number = 0; number < 10; number += 1) {
    const text = `def typed_wallaby_${number}(): pass\n`;
    const began = performance.now();
    const answer = await client.call<SearchAnswer>('search', {
      query: `"typed_wallaby_${number}"`, overlays: [{ path: `${root}/src/typed.py`, text }],
    });
    times.push(performance.now() - began);
    assert.deepEqual(answer.results.map((found) => [found.path, found.unsaved]), [['src/typed.py', true]]);
  }
  const saved: number[] = [];
  for (let number = 0; number < 10; number += 1) {
    const word = `kept_wallaby_${number}`;
    writeFileSync(`${root}/src/kept_by_code.py`, `def ${word}(): pass\n`);
    const began = performance.now();
    const found = async () => (await client.call<SearchAnswer>('search', { query: `"${word}"` })).results;
    while (!(await found()).some((result) => result.snippet.includes(word)));
    saved.push(performance.now() - began);
    await new Promise((resolve) => setTimeout(resolve, 150)); // People do not save ten times a second.
  }
  const median = (values: number[]) => Math.round(values.sort((a, b) => a - b)[values.length >> 1]);
  console.log(`unsaved ${median(times)} ms, saved ${median(saved)} ms (medians)`);
  if (process.env.FIGURES) {
    assert.ok(median(times) <= 100 && median(saved) <= 150);
  }
  await until(() => topics.has('index') && topics.has('progress'), 'notifications come');
});

test('a thousand questions leave nothing', async () => {
  const count = process.env.FIGURES ? 1000 : 100;
  const overlays = [{ path: `${root}/src/typed.py`, text: 'x = 1\n' }];
  const ask = async (times: number) => {
    for (let number = 0; number < times; number += 1) {
      await client.call('search', { query: `JobQueue ${number % 7}`, overlays });
    }
    globalThis.gc?.();
    return process.memoryUsage().heapUsed;
  };
  await ask(100);
  const before = await ask(100);
  const after = await ask(count);
  console.log(`heap ${before >> 10} KiB before, ${after >> 10} KiB after ${count} questions`);
  assert.ok(after < before + (1 << 20));
  assert.equal(client.pending, 0);
});

test('a daemon that stops and starts again', { skip: !process.env.RESTART }, async () => {
  const waiting = client.call('search', { query: 'JobQueue' });
  execFileSync(process.env.RESTART ?? '', ['stop']);
  await waiting.catch((error: DaemonError) => assert.equal(error.code, 'disconnected'));
  await until(() => states.includes('lost'), 'the loss is noticed');
  await assert.rejects(client.call('list'), /No daemon answers at .*start it with/);
  const early = new Client(() => socketPlaces(process.env), {}, 20);
  await assert.rejects(early.connected());
  execFileSync(process.env.RESTART ?? '', ['start']);
  await until(() => early.state === 'ready', 'a client that was there before the daemon connects, too');
  early.close();
  await until(() => states.includes('ready again'), 'it connects again');
  assert.equal((await client.call<SearchAnswer>('search', { query: 'JobQueue' })).results[0].path, 'src/jobs/queue.py');
});
