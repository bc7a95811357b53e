/** Standard streams that say whether what was written got out. */
import type { Output } from './deps.js';

/** What is used of a stream of Node's. */
type Written = Pick<NodeJS.WriteStream, 'write' | 'on' | 'isTTY' | 'columns'>;

/** A standard stream. A reader that went away, or a full disk, ends no process: `failure` tells. */
export class Stream implements Output {
  readonly #stream: Written;
  #failure: unknown;
  #written: Promise<unknown> = Promise.resolve();

  constructor(stream: Written) {
    this.#stream = stream;
    stream.on('error', (error) => {
      this.#failure ??= error;
    });
  }

  write(text: string | Uint8Array): void {
    this.#written = new Promise<void>((resolve) => {
      try {
        this.#stream.write(text, (error) => {
          this.#failure ??= error ?? undefined;
          resolve();
        });
      } catch (error) {
        // Node writes to files at once; some versions throw there what others tell the listener.
        this.#failure ??= error;
        resolve();
      }
    });
  }

  get isTTY(): boolean {
    return this.#stream.isTTY;
  }

  get columns(): number {
    return this.#stream.columns;
  }

  async failure(): Promise<unknown> {
    await this.#written;
    return this.#failure;
  }
}
