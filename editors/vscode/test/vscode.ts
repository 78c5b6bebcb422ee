// The part of the editor's interface that the extension uses, for tests under Node. It records what it is given. It shows
// nothing, so it says nothing about looks.

type Run = (...given: unknown[]) => unknown;

class Disposable {
  dispose(): void {}
}

export class EventEmitter<T> {
  private readonly listeners: ((value: T) => void)[] = [];
  readonly event = (listener: (value: T) => void) => {
    this.listeners.push(listener);
    return new Disposable();
  };
  fire(value: T): void {
    for (const listener of this.listeners) listener(value);
  }
}

export const Uri = { file: (fsPath: string) => ({ scheme: 'file', fsPath }) };
export class Position {
  constructor(
    readonly line: number,
    readonly character: number,
  ) {}
}
export class Range {
  constructor(
    readonly start: Position,
    readonly end: Position,
  ) {}
}
export class Location {
  constructor(
    readonly uri: unknown,
    readonly range: unknown,
  ) {}
}
export class SymbolInformation {
  constructor(
    readonly name: string,
    readonly kind: number,
    readonly containerName: string,
    readonly location: Location,
  ) {}
}
export const SymbolKind = { Class: 4, Constant: 13, Enum: 9, Field: 7, Function: 11, Interface: 10, Method: 5, Module: 1, String: 14, Struct: 22, Variable: 12 };
export const TreeItemCollapsibleState = { None: 0, Expanded: 2 };
export const StatusBarAlignment = { Left: 1 };
export const ThemeIcon = { File: {} };
export class TreeItem {
  description?: string;
  constructor(
    readonly label: unknown,
    readonly collapsibleState: number,
  ) {}
}
export class LanguageModelTextPart {
  constructor(readonly value: string) {}
}
export class LanguageModelToolResult {
  constructor(readonly content: LanguageModelTextPart[]) {}
}
export class McpStdioServerDefinition {
  constructor(
    readonly label: string,
    readonly command: string,
    readonly args: string[],
  ) {}
}

export class QuickPick {
  items: { label: string; description?: string; place?: unknown }[] = [];
  selectedItems: unknown[] = [];
  activeItems: unknown[] = [];
  value = '';
  busy = false;
  private readonly changed = new EventEmitter<string>();
  private readonly accepted = new EventEmitter<void>();
  private readonly hidden = new EventEmitter<void>();
  private readonly active = new EventEmitter<unknown[]>();
  onDidChangeValue = this.changed.event;
  onDidAccept = this.accepted.event;
  onDidHide = this.hidden.event;
  onDidChangeActive = this.active.event;
  show(): void {}
  dispose(): void {}
  hide(): void {
    this.hidden.fire();
  }
  typeIn(value: string): void {
    this.value = value;
    this.changed.fire(value);
  }
  accept(index: number): void {
    this.selectedItems = [this.items[index]];
    this.accepted.fire();
  }
}

export const recorded = {
  commands: new Map<string, Run>(),
  tools: new Map<string, { invoke: Run; prepareInvocation: Run }>(),
  errors: [] as string[],
  said: [] as string[],
  opened: [] as { file: string; line: number }[],
  picks: [] as QuickPick[],
  lists: [] as { label: string; detail?: string }[][],
  input: '',
  folders: [] as string[],
  tree: undefined as { getChildren(element?: unknown): unknown[]; getTreeItem(element: unknown): TreeItem } | undefined,
  view: {} as { title?: string; message?: string },
  statusItem: { text: '' } as { text: string },
  symbols: undefined as { provideWorkspaceSymbols(query: string): Promise<SymbolInformation[]> } | undefined,
  mcp: undefined as { provideMcpServerDefinitions(): McpStdioServerDefinition[] } | undefined,
  saved: new EventEmitter<unknown>(),
};

export const window = {
  activeTextEditor: undefined as unknown,
  createStatusBarItem: () => Object.assign(recorded.statusItem, { show: () => undefined, dispose: () => undefined }),
  createTreeView: (_: string, options: { treeDataProvider: NonNullable<typeof recorded.tree> }) => {
    recorded.tree = options.treeDataProvider;
    return Object.assign(recorded.view, { dispose: () => undefined });
  },
  createQuickPick: () => {
    const made = new QuickPick();
    recorded.picks.push(made);
    return made;
  },
  showQuickPick: async (items: { label: string }[]) => {
    recorded.lists.push(items);
    return items[0];
  },
  showInputBox: async () => recorded.input,
  showErrorMessage: async (text: string) => recorded.errors.push(text),
  showWarningMessage: async (text: string) => recorded.errors.push(text),
  setStatusBarMessage: (text: string) => recorded.said.push(text),
  showTextDocument: async (uri: { fsPath: string }, options: { selection: Range }) =>
    recorded.opened.push({ file: uri.fsPath, line: options.selection.start.line + 1 }),
};
export const workspace = {
  textDocuments: [] as unknown[],
  get workspaceFolders() {
    return recorded.folders.map((folder) => ({ uri: Uri.file(folder) }));
  },
  getConfiguration: () => ({ get: (_: string, fallback: unknown) => fallback }),
  asRelativePath: (file: string) => file.replace(`${recorded.folders[0]}/`, ''),
  onDidSaveTextDocument: recorded.saved.event,
};
export const commands = {
  registerCommand: (name: string, run: Run) => {
    recorded.commands.set(name, run);
    return new Disposable();
  },
  executeCommand: async () => undefined,
};
export const languages = {
  registerWorkspaceSymbolProvider: (provider: NonNullable<typeof recorded.symbols>) => {
    recorded.symbols = provider;
    return new Disposable();
  },
};
export const lm = {
  registerTool: (name: string, tool: { invoke: Run; prepareInvocation: Run }) => {
    recorded.tools.set(name, tool);
    return new Disposable();
  },
  registerMcpServerDefinitionProvider: (_: string, provider: NonNullable<typeof recorded.mcp>) => {
    recorded.mcp = provider;
    return new Disposable();
  },
};
