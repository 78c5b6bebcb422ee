// The extension: what of the daemon VS Code shows, and where.

import { execFile } from 'node:child_process';
import { realpath } from 'node:fs/promises';
import * as vscode from 'vscode';
import { Client } from './client';
import type { OutlineAnswer, RootStatus, SearchAnswer, StatusAnswer, SymbolResult, SymbolsAnswer } from './messages';
import { Overlays } from './overlays';
import { socketPlaces } from './places';
import { fileOf, type FileGroup, grouped, type Line, lineOf, placesOf, statusText, symbolsForModel, textForModel } from './results';
import { AsTyped } from './typed';

const PREVIEW_LINES = 12;
const MODEL_TOKENS = 4000;
const KINDS: Record<string, vscode.SymbolKind> = {
  class: vscode.SymbolKind.Class,
  constant: vscode.SymbolKind.Constant,
  enum: vscode.SymbolKind.Enum,
  field: vscode.SymbolKind.Field,
  function: vscode.SymbolKind.Function,
  interface: vscode.SymbolKind.Interface,
  method: vscode.SymbolKind.Method,
  module: vscode.SymbolKind.Module,
  section: vscode.SymbolKind.String,
  struct: vscode.SymbolKind.Struct,
  variable: vscode.SymbolKind.Variable,
};

interface Choice extends vscode.QuickPickItem {
  place?: { file: string; line: number };
}

function setting<Value>(name: string, fallback: Value): Value {
  return vscode.workspace.getConfiguration('regend').get(name, fallback);
}

function message(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Show the error that a command ends with. */
async function reporting(run: () => Promise<unknown>): Promise<void> {
  try {
    await run();
  } catch (error) {
    void vscode.window.showErrorMessage(`Regend: ${message(error)}`);
  }
}

async function reveal(file: string, line: number, preview = false): Promise<void> {
  const place = new vscode.Position(Math.max(line - 1, 0), 0);
  await vscode.window.showTextDocument(vscode.Uri.file(file), {
    selection: new vscode.Range(place, place),
    preview: true,
    preserveFocus: preview,
  });
}

/** What the commands ask the daemon, always with the dirty documents. */
class Asking {
  private readonly overlays = new Overlays((text) => void vscode.window.showWarningMessage(`Regend: ${text}`));

  constructor(readonly client: Client) {}

  saved(document: vscode.TextDocument): void {
    this.overlays.saved(document);
  }

  async search(query: string, more: object = {}): Promise<SearchAnswer> {
    const k = setting('results', 50);
    const params = { query, k, lines: PREVIEW_LINES, under: await this.places(), overlays: this.dirty(), ...more };
    return this.client.call('search', params);
  }

  async related(file: string, line: number, more: object = {}): Promise<SearchAnswer> {
    const params = { file, line, k: setting('results', 50), under: await this.places(), overlays: this.dirty(), ...more };
    return this.client.call('related', params);
  }

  async symbols(name: string): Promise<SymbolResult[]> {
    const params = { name, k: setting('results', 50), under: await this.places() };
    return (await this.client.call<SymbolsAnswer>('symbols', params)).symbols;
  }

  private dirty() {
    return this.overlays.collect(vscode.workspace.textDocuments, vscode.window.activeTextEditor?.document);
  }

  /** The folders of the workspace as far as they are indexed; with none, all roots. */
  private async places(): Promise<string[]> {
    const folders = (vscode.workspace.workspaceFolders ?? []).filter((folder) => folder.uri.scheme === 'file');
    if (!folders.length) {
      return [];
    }
    const { roots } = await this.client.call<{ roots: { path: string }[] }>('list');
    const named = folders.map(async ({ uri }) => [uri.fsPath, await realpath(uri.fsPath).catch(() => uri.fsPath)]);
    const found = placesOf(await Promise.all(named), roots.map((root) => root.path));
    if (!found.length) {
      throw new Error(`${folders[0].uri.fsPath} is not indexed; run “Regend: Index the Workspace”.`);
    }
    return found;
  }
}

/** The view of results, grouped by file. */
class Results implements vscode.TreeDataProvider<FileGroup | Line> {
  private readonly changed = new vscode.EventEmitter<void>();
  readonly onDidChangeTreeData = this.changed.event;
  private groups: FileGroup[] = [];

  show(answer: SearchAnswer): void {
    this.groups = grouped(answer);
    this.changed.fire();
  }

  getChildren(element?: FileGroup | Line): (FileGroup | Line)[] {
    if (!element) {
      return this.groups;
    }
    return 'lines' in element ? element.lines : [];
  }

  getParent(element: FileGroup | Line): FileGroup | undefined {
    return 'lines' in element ? undefined : this.groups.find((group) => group.file === element.file);
  }

  getTreeItem(element: FileGroup | Line): vscode.TreeItem {
    if ('lines' in element) {
      const item = new vscode.TreeItem(vscode.Uri.file(element.file), vscode.TreeItemCollapsibleState.Expanded);
      item.description = `${element.path}  ${element.lines.length}`;
      item.iconPath = vscode.ThemeIcon.File;
      return item;
    }
    const label = { label: element.text || ' ', highlights: element.highlights };
    const item = new vscode.TreeItem(label, vscode.TreeItemCollapsibleState.None);
    item.description = `${element.line}${element.symbol ? `  ${element.symbol}` : ''}${element.unsaved ? '  unsaved' : ''}`;
    item.tooltip = `${element.file}:${element.line}`;
    item.command = { command: 'regend.open', title: 'Open', arguments: [element.file, element.line] };
    return item;
  }
}

/** The item in the status bar, which follows the daemon's notifications. */
class Status {
  private readonly roots = new Map<string, Pick<RootStatus, 'path' | 'state' | 'pending'>>();
  private connected = false;

  constructor(private readonly item: vscode.StatusBarItem) {
    item.command = 'regend.status';
    item.tooltip = 'Show what regend has indexed';
    this.refresh();
    item.show();
  }

  known(roots: readonly RootStatus[]): void {
    this.roots.clear();
    for (const root of roots) {
      this.roots.set(root.path, root);
    }
    this.refresh();
  }

  connection(connected: boolean): void {
    this.connected = connected;
    this.refresh();
  }

  notice(topic: string, notice: { root: string; state: string; pending?: number }): void {
    if (topic === 'index' || !notice.root) {
      return;
    }
    if (notice.state === 'removed') {
      this.roots.delete(notice.root);
    } else {
      const pending = notice.pending ?? this.roots.get(notice.root)?.pending ?? 0;
      this.roots.set(notice.root, { path: notice.root, state: notice.state, pending });
    }
    this.refresh();
  }

  private refresh(): void {
    this.item.text = statusText(this.connected, this.roots.values());
  }
}

function choices(lines: readonly Line[]): Choice[] {
  return lines.map((line) => ({
    label: line.text || ' ',
    description: `${vscode.workspace.asRelativePath(line.file)}:${line.line}`,
    detail: line.symbol || undefined,
    alwaysShow: true,
    place: { file: line.file, line: line.line },
  }));
}

function symbolChoices(symbols: readonly SymbolResult[]): Choice[] {
  return symbols.map((symbol) => ({
    label: symbol.qualified,
    description: `${symbol.kind}  ${vscode.workspace.asRelativePath(fileOf(symbol))}:${symbol.start_line}`,
    alwaysShow: true,
    place: { file: fileOf(symbol), line: symbol.start_line },
  }));
}

/** Let the user choose as they type. `ask` returns what is offered for the words. */
function pick(title: string, placeholder: string, ask: (query: string) => Promise<Choice[]>, first = ''): void {
  const box = vscode.window.createQuickPick<Choice>();
  box.title = title;
  box.placeholder = placeholder;
  box.matchOnDescription = false;
  // Answers are ranked, and the editor would sort them by the place of the words in each line. The property is not in the
  // stable interface; an editor without it shows the same results in its own order.
  (box as vscode.QuickPick<Choice> & { sortByLabel?: boolean }).sortByLabel = false;
  const typed = new AsTyped<Choice[]>(
    async (query) => (query.trim() ? ask(query) : []),
    (query, found, error) => {
      box.busy = false;
      const none = query.trim() ? [{ label: 'Nothing found', alwaysShow: true }] : [];
      box.items = error ? [{ label: message(error), alwaysShow: true }] : found?.length ? found : none;
    },
    () => setting('delay', 30),
  );
  box.onDidChangeValue((value) => {
    box.busy = true;
    typed.type(value);
  });
  box.onDidChangeActive(([active]) => {
    if (active?.place) {
      void reveal(active.place.file, active.place.line, true).catch(() => undefined); // It is said when it is chosen.
    }
  });
  box.onDidAccept(() => {
    const place = (box.selectedItems[0] ?? box.activeItems[0])?.place;
    if (place) {
      box.hide();
      void reporting(() => reveal(place.file, place.line));
    }
  });
  box.onDidHide(() => {
    typed.stop();
    box.dispose();
  });
  box.show();
  if (first) {
    box.value = first;
    typed.type(first);
  }
}

function selectedText(): string {
  const editor = vscode.window.activeTextEditor;
  return editor && !editor.selection.isEmpty ? editor.document.getText(editor.selection) : '';
}

function activeFile(): { file: string; line: number } {
  const editor = vscode.window.activeTextEditor;
  if (!editor || editor.document.uri.scheme !== 'file') {
    throw new Error('The active editor shows no file.');
  }
  return { file: editor.document.uri.fsPath, line: editor.selection.active.line + 1 };
}

async function showStatus(client: Client): Promise<void> {
  const answer = await client.call<StatusAnswer>('status');
  const items = answer.roots.map((root) => ({
    label: root.path,
    description: `${root.state}${root.reason ? ` (${root.reason})` : ''}`,
    detail: `${root.files_indexed} files, ${root.chunks} chunks, ${root.pending} pending, ${root.files_skipped} skipped`,
  }));
  const held = answer.held_back.map((label) => ({ label }));
  await vscode.window.showQuickPick([...held, ...items], { title: `regend ${answer.version}, pid ${answer.pid}` });
}

function start(client: Client): Promise<void> {
  const program = setting('program', 'regenctl');
  return new Promise((resolve, reject) => {
    execFile(program, ['start'], (error, stdout, stderr) => {
      if (error) {
        reject(new Error(error.message.includes('ENOENT') ? `${program} is not installed here.` : stderr || stdout));
      } else {
        client.connected().then(resolve, reject);
      }
    });
  });
}

/** Tools that language models in the editor may use. */
function registerTools(asking: Asking): vscode.Disposable[] {
  const tool = <Input>(name: string, saying: (input: Input) => string, run: (input: Input) => Promise<string>) =>
    vscode.lm.registerTool<Input>(name, {
      prepareInvocation: ({ input }) => ({ invocationMessage: saying(input) }),
      invoke: async ({ input }) =>
        new vscode.LanguageModelToolResult([new vscode.LanguageModelTextPart(await run(input))]),
    });
  return [
    tool<{ query: string; budget?: number }>(
      'regend_search',
      ({ query }) => `Searching code for “${query}”`,
      async ({ query, budget }) =>
        textForModel(await asking.search(query, { k: undefined, lines: 0, budget: budget ?? MODEL_TOKENS })),
    ),
    tool<{ name: string }>(
      'regend_symbols',
      ({ name }) => `Looking for definitions of ${name}`,
      async ({ name }) => symbolsForModel(await asking.symbols(name)),
    ),
    tool<{ file: string; line?: number }>(
      'regend_related',
      ({ file }) => `Looking for code like ${file}`,
      async ({ file, line }) => textForModel(await asking.related(file, line ?? 0, { k: undefined, budget: MODEL_TOKENS })),
    ),
  ];
}

/** The MCP server of `regenctl`, offered to the agents of the editor. */
function mcpServers(): vscode.McpServerDefinitionProvider {
  return {
    provideMcpServerDefinitions: () => {
      const folder = vscode.workspace.workspaceFolders?.[0];
      const root = folder?.uri.scheme === 'file' ? ['--root', folder.uri.fsPath] : [];
      return [new vscode.McpStdioServerDefinition('regend', setting('program', 'regenctl'), ['mcp', ...root])];
    },
  };
}

/** What agents get. Editors that are built from VS Code may lack one interface or the other. */
function forModels(asking: Asking): vscode.Disposable[] {
  const models: Partial<typeof vscode.lm> | undefined = vscode.lm;
  const tools = models?.registerTool ? registerTools(asking) : [];
  const server = models?.registerMcpServerDefinitionProvider?.('regend', mcpServers());
  return server ? [...tools, server] : tools;
}

export function activate(context: vscode.ExtensionContext): void {
  const status = new Status(vscode.window.createStatusBarItem('regend', vscode.StatusBarAlignment.Left, 0));
  const client = new Client(() => socketPlaces(process.env, setting('socket', '')), {
    state: (state, again) => {
      status.connection(state === 'ready');
      if (state === 'lost') {
        vscode.window.setStatusBarMessage('Regend: the daemon has stopped; the extension connects again when it answers.', 8000);
      } else if (again) {
        vscode.window.setStatusBarMessage('Regend: connected to the daemon again.', 8000);
      }
      if (state === 'ready') {
        client.call<StatusAnswer>('status').then((answer) => status.known(answer.roots), () => undefined);
      }
    },
    notice: (topic, notice) => status.notice(topic, notice),
  });
  const asking = new Asking(client);
  const results = new Results();
  const view = vscode.window.createTreeView('regend.results', { treeDataProvider: results, showCollapseAll: true });

  const show = (title: string, answer: SearchAnswer) => {
    results.show(answer);
    view.title = title;
    const nothing = answer.complete ? 'Nothing found.' : 'Nothing found yet: the index is not complete.';
    view.message = answer.notes.join(' ') || (answer.results.length ? undefined : nothing);
    return vscode.commands.executeCommand('regend.results.focus');
  };
  const commands: Record<string, (...given: never[]) => unknown> = {
    'regend.open': (file: string, line: number) => reveal(file, line),
    'regend.search': () =>
      pick(
        'Search code',
        'Words, an identifier or a question',
        async (query) => {
          const answer = await asking.search(query);
          return choices(answer.results.map((result) => lineOf(result, answer.words)));
        },
        selectedText(),
      ),
    'regend.list': () =>
      reporting(async () => {
        const query = await vscode.window.showInputBox({ title: 'Search code', value: selectedText() });
        if (query?.trim()) {
          await show(`Results: ${query}`, await asking.search(query));
        }
      }),
    'regend.related': () =>
      reporting(async () => {
        const { file, line } = activeFile();
        await show(`Like ${vscode.workspace.asRelativePath(file)}:${line}`, await asking.related(file, line));
      }),
    'regend.symbols': () =>
      pick('Find definition', 'A name', async (name) => symbolChoices(await asking.symbols(name.trim())), selectedText()),
    'regend.outline': () =>
      reporting(async () => {
        const answer = await client.call<OutlineAnswer>('outline', { file: activeFile().file });
        const items: Choice[] = answer.symbols.map((symbol) => ({
          label: symbol.qualified,
          description: `${symbol.kind}  ${symbol.start_line}`,
          place: { file: fileOf(answer), line: symbol.start_line },
        }));
        const chosen = await vscode.window.showQuickPick(items, { title: 'Definitions in this file' });
        if (chosen?.place) {
          await reveal(chosen.place.file, chosen.place.line);
        }
      }),
    'regend.status': () => reporting(() => showStatus(client)),
    'regend.start': () => reporting(() => start(client)),
    'regend.add': () =>
      reporting(async () => {
        const folders = vscode.workspace.workspaceFolders ?? [];
        if (!folders.length) {
          throw new Error('No folder is open; open the one to index.');
        }
        for (const folder of folders) {
          const added = await client.call<{ root: string; state: string }>('add', { path: folder.uri.fsPath });
          vscode.window.setStatusBarMessage(`Regend: added ${added.root}; it is ${added.state}.`, 5000);
        }
      }),
  };
  context.subscriptions.push(
    view,
    { dispose: () => client.close() },
    vscode.workspace.onDidSaveTextDocument((document) => asking.saved(document)),
    vscode.languages.registerWorkspaceSymbolProvider({
      provideWorkspaceSymbols: async (query) =>
        query.trim()
          ? (await asking.symbols(query.trim())).map((symbol) => {
              const place = new vscode.Position(symbol.start_line - 1, 0);
              const location = new vscode.Location(vscode.Uri.file(fileOf(symbol)), place);
              return new vscode.SymbolInformation(symbol.name, KINDS[symbol.kind] ?? vscode.SymbolKind.Variable, '', location);
            })
          : [],
    }),
    ...forModels(asking),
    ...Object.entries(commands).map(([name, run]) =>
      vscode.commands.registerCommand(name, run as (...given: unknown[]) => unknown),
    ),
  );
  client.connected().catch(() => undefined); // The status bar shows it; a command says why.
}

export function deactivate(): void {}
