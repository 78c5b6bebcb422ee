// Unsaved text: the dirty documents, in the form in which a request carries them.

import type { Overlay } from './messages';

/** The part of a `vscode.TextDocument` that is needed. */
export interface Document {
  readonly uri: { readonly scheme: string; readonly fsPath: string };
  readonly isDirty: boolean;
  getText(): string;
}

export const MAX_OVERLAYS = 64;
export const MAX_BYTES = 1_000_000;
/** A saved document is sent for so long, because the daemon needs a moment to read the file. */
const AFTER_SAVE_MS = 2000;

export class Overlays {
  private readonly savedAt = new Map<string, number>();
  private readonly told = new Set<string>();

  constructor(
    private readonly tell: (text: string) => void = () => undefined,
    private readonly now: () => number = Date.now,
  ) {}

  /** Remember that a document was saved. */
  saved(document: Document): void {
    this.savedAt.set(document.uri.fsPath, this.now());
  }

  /** Return the texts that the daemon may not have yet, those in `first` before the others. */
  collect(documents: readonly Document[], first?: Document): Overlay[] {
    for (const [path, at] of this.savedAt) {
      if (this.now() - at > AFTER_SAVE_MS) {
        this.savedAt.delete(path);
      }
    }
    const overlays: Overlay[] = [];
    let left = MAX_BYTES;
    const ordered = first ? [first, ...documents.filter((document) => document !== first)] : documents;
    for (const document of ordered) {
      const path = document.uri.fsPath;
      if (document.uri.scheme !== 'file' || !(document.isDirty || this.savedAt.has(path))) {
        continue;
      }
      const text = document.getText();
      const size = Buffer.byteLength(text) + Buffer.byteLength(path) + 64;
      if (size > left || overlays.length >= MAX_OVERLAYS) {
        if (!this.told.has(path)) {
          this.told.add(path);
          this.tell(`The unsaved text of ${path} is too large for a request; its saved text is searched.`);
        }
        continue;
      }
      left -= size;
      overlays.push({ path, text });
    }
    return overlays;
  }
}
