// The one connection to the daemon: MessagePack-RPC over its socket. Once it was needed, it tries again until a daemon answers.

import { connect, type Socket } from 'node:net';
import { decodeMultiStream, encode } from '@msgpack/msgpack';
import type { Notice } from './messages';

const PROTOCOL = 1;
const TOPICS = ['progress', 'index', 'state'];
const FIRST_PAUSE_MS = 250;
const LONGEST_PAUSE_MS = 5000;

/** An error of the daemon, or `disconnected` of our own. */
export class DaemonError extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

export type State = 'idle' | 'connecting' | 'ready' | 'lost' | 'closed';

export interface ClientEvents {
  /** The connection is there, was lost, or is there again. */
  state?(state: State, again: boolean): void;
  notice?(topic: string, notice: Notice): void;
}

interface Waiting {
  resolve(answer: unknown): void;
  reject(error: DaemonError): void;
}

export class Client {
  private socket: Socket | undefined;
  private opening: Promise<void> | undefined;
  private readonly waiting = new Map<number, Waiting>();
  private lastId = 0;
  private pauseMs: number;
  private timer: NodeJS.Timeout | undefined;
  private wasReady = false;
  state: State = 'idle';

  constructor(
    private readonly places: () => string[],
    private readonly events: ClientEvents = {},
    private readonly firstPauseMs = FIRST_PAUSE_MS,
  ) {
    this.pauseMs = firstPauseMs;
  }

  /** How many requests wait for an answer. */
  get pending(): number {
    return this.waiting.size;
  }

  async call<Answer>(method: string, params: object = {}): Promise<Answer> {
    await this.connected();
    return (await this.request(method, params)) as Answer;
  }

  /** Resolve once connected; reject with the reason if no daemon answers. */
  connected(): Promise<void> {
    if (this.state === 'ready') {
      return Promise.resolve();
    }
    if (this.state === 'closed') {
      return Promise.reject(new DaemonError('disconnected', 'The connection was closed.'));
    }
    this.opening ??= this.open().finally(() => {
      this.opening = undefined;
    });
    return this.opening;
  }

  /** Close the connection for good. */
  close(): void {
    clearTimeout(this.timer);
    this.state = 'closed';
    this.socket?.destroy();
    this.fail(new DaemonError('disconnected', 'The connection was closed.'));
  }

  private async open(): Promise<void> {
    clearTimeout(this.timer);
    this.state = 'connecting';
    const places = this.places();
    let failure = '';
    for (const place of places) {
      try {
        const socket = await opened(place);
        if ((this.state as State) === 'closed') {
          socket.destroy();
          throw new DaemonError('disconnected', 'The connection was closed.');
        }
        this.socket = socket;
        void this.read(socket);
        await this.request('hello', { client: 'vscode', protocol: PROTOCOL });
        await this.request('subscribe', { topics: TOPICS });
        const again = this.wasReady;
        this.state = 'ready';
        this.wasReady = true;
        this.pauseMs = this.firstPauseMs;
        this.events.state?.('ready', again);
        return;
      } catch (error) {
        if ((this.state as State) === 'closed') {
          throw error;
        }
        failure ||= error instanceof Error ? error.message : String(error);
        this.socket?.destroy();
      }
    }
    this.state = 'lost';
    this.retryLater();
    throw new DaemonError(
      'disconnected',
      `No daemon answers at ${places[0]} (${failure}); start it with “Regend: Start the Daemon”.`,
    );
  }

  private retryLater(): void {
    if (this.state !== 'lost') {
      return;
    }
    this.timer = setTimeout(() => {
      this.connected().catch(() => undefined);
    }, this.pauseMs);
    this.timer.unref();
    this.pauseMs = Math.min(this.pauseMs * 2, LONGEST_PAUSE_MS);
  }

  private request(method: string, params: object): Promise<unknown> {
    this.lastId = (this.lastId + 1) % 2 ** 32;
    const id = this.lastId;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject });
      this.socket?.write(encode([0, id, method, [params]]));
    });
  }

  private async read(socket: Socket): Promise<void> {
    try {
      for await (const message of decodeMultiStream(socket as AsyncIterable<Buffer>)) {
        this.received(message as [number, ...unknown[]]);
      }
    } catch {
      // The connection was reset, or the bytes are no MessagePack: it is lost either way.
    }
    socket.destroy();
    if (socket !== this.socket) {
      return;
    }
    this.fail(new DaemonError('disconnected', 'The daemon closed the connection.'));
    if (this.state === 'ready') {
      this.state = 'lost';
      this.events.state?.('lost', false);
      this.retryLater();
    }
  }

  private received(message: [number, ...unknown[]]): void {
    if (message[0] === 1) {
      const [, id, error, result] = message as [number, number, { code: string; message: string } | null, unknown];
      const waiting = this.waiting.get(id);
      this.waiting.delete(id);
      if (error) {
        waiting?.reject(new DaemonError(error.code, error.message));
      } else {
        waiting?.resolve(result);
      }
    } else if (message[0] === 2) {
      const [, topic, payload] = message as [number, string, Notice[]];
      this.events.notice?.(topic, payload[0] ?? { root: '', state: '' });
    }
  }

  private fail(error: DaemonError): void {
    const failed = [...this.waiting.values()];
    this.waiting.clear();
    for (const waiting of failed) {
      waiting.reject(error);
    }
  }
}

function opened(place: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(place);
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      socket.on('error', () => undefined); // `read` sees the end of the stream.
      resolve(socket);
    });
  });
}
