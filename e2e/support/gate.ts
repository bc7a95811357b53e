/** Stands before an S3 server and keeps uploads waiting while a test wants it to. */
import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { within } from './until.ts';

export class Gate {
  /** Where to ask instead of the server. */
  readonly address: string;
  readonly #server: Server;
  readonly #behind: string;
  #held: (() => void)[] | undefined;
  #onHeld = (): void => {};

  private constructor(server: Server, behind: string) {
    this.#server = server;
    this.#behind = behind;
    this.address = `127.0.0.1:${(server.address() as AddressInfo).port}`;
    server.on('request', (asked, answer) => this.#take(asked, answer));
  }

  /** Before the server at `behind`, which is `HOST:PORT`. */
  static async before(behind: string): Promise<Gate> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    server.unref();
    return new Gate(server, behind);
  }

  /** From now on uploads get no answer. Gives a way to wait until there is one. */
  hold(): { begun: (seconds?: number) => Promise<void> } {
    this.#held = [];
    const first = new Promise<void>((resolve) => {
      this.#onHeld = resolve;
    });
    return { begun: (seconds = 60) => within('an upload to begin', first, { seconds }) };
  }

  /** Lets those that waited go on, and all others after them. */
  release(): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const go of held) go();
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #take(asked: IncomingMessage, answer: ServerResponse): void {
    // Whoever asked may be gone by the time that it is let through.
    const go = (): void => {
      if (!asked.destroyed) this.#passOn(asked, answer);
    };
    if (this.#held === undefined || asked.method !== 'PUT') {
      go();
      return;
    }
    this.#held.push(go);
    this.#onHeld();
  }

  #passOn(asked: IncomingMessage, answer: ServerResponse): void {
    const [host, port] = this.#behind.split(':');
    // The header `host` stays what was signed.
    const { method, url: path, headers } = asked;
    const onward = request({ host, port, method, path, headers }, (answered) => {
      answer.writeHead(answered.statusCode ?? 502, answered.headers);
      answered.pipe(answer);
    });
    onward.on('error', () => answer.destroy());
    answer.on('close', () => onward.destroy());
    asked.pipe(onward);
  }
}
