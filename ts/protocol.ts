/** What the parent and its worker process say to each other: one JSON value a line. */
import type { ProgressEvent } from '../index.js';
import type { ErrorCode } from './errors.js';
import type { OperationName } from './operations.js';

/** The file descriptor of the worker's answers; its stdout is left to whatever prints there. */
export const ANSWER_FD = 3;

/** The first line to the worker. It holds the secrets, which is why it travels on stdin. Any later line cancels. */
export interface Job {
  readonly op: OperationName;
  /** The settings, then what the operation takes besides. */
  readonly args: readonly unknown[];
}

/** A line from the worker. Exactly one `result` or `error` ends the conversation. */
export type Answer =
  | { readonly progress: ProgressEvent }
  | { readonly result: unknown }
  | { readonly error: AnsweredError };

/** A {@linkcode BackupError} as plain data. */
export interface AnsweredError {
  readonly message: string;
  readonly code: ErrorCode;
  readonly retryable: boolean;
}

/** Cuts a byte stream into lines, across chunk borders and inside multi-byte characters. */
export class LineSplitter {
  readonly #decoder = new TextDecoder();
  readonly #onLine: (line: string) => void;
  #parts: string[] = [];

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  push(chunk: Uint8Array): void {
    const pieces = this.#decoder.decode(chunk, { stream: true }).split('\n');
    const last = pieces.pop() ?? '';
    for (const piece of pieces) {
      this.#parts.push(piece);
      const line = this.#parts.join('');
      this.#parts = [];
      if (line !== '') this.#onLine(line);
    }
    if (last !== '') this.#parts.push(last);
  }
}
