// Answers of the daemon as an editor shows them: lines with highlights, grouped by file, or text for a model.

import type { RootStatus, SearchAnswer, SearchResult, SymbolResult } from './messages';

export interface Line {
  file: string;
  line: number;
  text: string;
  /** Ranges of `text` that hold a word of the query: start and end. */
  highlights: [number, number][];
  symbol: string;
  unsaved: boolean;
}

export interface FileGroup {
  file: string;
  /** Path relative to the root. */
  path: string;
  root: string;
  lines: Line[];
}

export function fileOf(result: { root: string; path: string }): string {
  return `${result.root.replace(/\/$/, '')}/${result.path}`;
}

export function bestLine(result: SearchResult): { line: number; text: string } {
  const line = result.line > 0 ? result.line : result.start_line;
  const lines = result.snippet.split('\n');
  const text =
    lines[line - result.snippet_line] ?? result.matches.find((match) => match.line === line)?.text ?? lines[0] ?? '';
  return { line, text };
}

export function highlights(text: string, words: readonly string[]): [number, number][] {
  const lower = text.toLowerCase();
  const found: [number, number][] = [];
  if (lower.length !== text.length) {
    return found; // A letter changes its length with its case, so places would not fit.
  }
  for (const word of words) {
    for (let at = lower.indexOf(word); word && at >= 0; at = lower.indexOf(word, at + word.length)) {
      found.push([at, at + word.length]);
    }
  }
  found.sort((a, b) => a[0] - b[0] || b[1] - a[1]);
  const merged: [number, number][] = [];
  for (const [start, end] of found) {
    const last = merged.at(-1);
    if (last && start <= last[1]) {
      last[1] = Math.max(last[1], end);
    } else {
      merged.push([start, end]);
    }
  }
  return merged;
}

export function lineOf(result: SearchResult, words: readonly string[]): Line {
  const { line, text } = bestLine(result);
  const shown = text.trim();
  const found = highlights(shown, words);
  return { file: fileOf(result), line, text: shown, highlights: found, symbol: result.symbol, unsaved: result.unsaved };
}

/** Group results by file: files in the order of their best result, lines within one in order of lines. */
export function grouped(answer: SearchAnswer): FileGroup[] {
  const groups = new Map<string, FileGroup>();
  for (const result of answer.results) {
    const line = lineOf(result, answer.words);
    const group = groups.get(line.file) ?? { file: line.file, path: result.path, root: result.root, lines: [] };
    groups.set(line.file, group);
    const extra = result.matches
      .filter((match) => match.line !== line.line)
      .map((match) => ({
        ...line,
        line: match.line,
        text: match.text.trim(),
        highlights: highlights(match.text.trim(), answer.words),
      }));
    for (const one of [line, ...extra]) {
      if (!group.lines.some((other) => other.line === one.line)) {
        group.lines.push(one);
      }
    }
  }
  for (const group of groups.values()) {
    group.lines.sort((a, b) => a.line - b.line);
  }
  return [...groups.values()];
}

/** Return passages as a language model reads them. */
export function textForModel(answer: SearchAnswer): string {
  const parts = answer.results.map((result) => {
    const title = `${fileOf(result)}:${result.start_line}-${result.end_line}`;
    const passages = [result, ...result.also]
      .map((passage) => `${passage.symbol ? `${passage.symbol}\n` : ''}\`\`\`${result.language}\n${passage.snippet}\n\`\`\``)
      .join('\n');
    return `${title}${result.unsaved ? ' (unsaved)' : ''}\n${passages}`;
  });
  if (!answer.complete) {
    parts.push('The index is not complete yet; changes are still being read.');
  }
  return [...answer.notes, ...(parts.length ? parts : ['Nothing was found.'])].join('\n\n');
}

export function symbolsForModel(symbols: readonly SymbolResult[]): string {
  return (
    symbols.map((found) => `${fileOf(found)}:${found.start_line}-${found.end_line} ${found.kind} ${found.qualified}`).join('\n') ||
    'No definition has this name.'
  );
}

/** What the status bar shows. */
export function statusText(connected: boolean, roots: Iterable<Pick<RootStatus, 'path' | 'state' | 'pending'>>): string {
  if (!connected) {
    return '$(circle-slash) regend';
  }
  let pending = 0;
  let warned = '';
  for (const root of roots) {
    pending += root.pending;
    if (['gone', 'hung', 'degraded', 'paused'].includes(root.state)) {
      warned ||= `${root.path.split('/').at(-1)} ${root.state}`;
    }
  }
  if (warned) {
    return `$(warning) regend: ${warned}`;
  }
  return pending ? `$(sync~spin) regend: ${pending} pending` : '$(search) regend';
}

/**
 * Return the roots to ask for some folders: those around them, else those below them, else none. A folder is an array of
 * its names, best first; roots have the name without symbolic links.
 */
export function placesOf(folders: readonly (readonly string[])[], roots: readonly string[]): string[] {
  const inside = (path: string, directory: string) => path === directory || path.startsWith(`${directory.replace(/\/$/, '')}/`);
  const placesFor = (name: string) =>
    roots.some((root) => inside(name, root)) ? [name] : roots.filter((root) => inside(root, name));
  const found = folders.flatMap((names) => names.map(placesFor).find((places) => places.length) ?? []);
  return [...new Set(found)].slice(0, 64);
}
