// The part of the daemon's messages that the extension reads; `docs/rpc.md` has all of them.

export interface Overlay {
  path: string;
  text: string;
}

export interface MatchedLine {
  line: number;
  text: string;
}

export interface Passage {
  start_line: number;
  end_line: number;
  symbol: string;
  snippet: string;
}

export interface SearchResult {
  root: string;
  path: string;
  start_line: number;
  end_line: number;
  language: string;
  symbol: string;
  snippet: string;
  snippet_line: number;
  line: number;
  matches: MatchedLine[];
  also: Passage[];
  unsaved: boolean;
}

export interface SearchAnswer {
  results: SearchResult[];
  complete: boolean;
  notes: string[];
  words: string[];
}

export interface SymbolResult {
  root: string;
  path: string;
  qualified: string;
  name: string;
  kind: string;
  start_line: number;
  end_line: number;
  text: string;
}

export interface SymbolsAnswer {
  symbols: SymbolResult[];
}

export interface OutlineAnswer {
  root: string;
  path: string;
  symbols: { name: string; qualified: string; kind: string; start_line: number; end_line: number }[];
}

export interface RootStatus {
  path: string;
  state: string;
  files_indexed: number;
  files_skipped: number;
  chunks: number;
  pending: number;
  reason: string;
}

export interface StatusAnswer {
  version: string;
  pid: number;
  socket: string;
  roots: RootStatus[];
  held_back: string[];
}

/** A notification's payload: `progress` has `pending`, `state` has `reason`. */
export interface Notice {
  root: string;
  state: string;
  pending?: number;
  reason?: string;
}
