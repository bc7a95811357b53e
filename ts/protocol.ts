/** What the parent and its worker process say to each other: one JSON value a line. */
import type {
  ArriveReport,
  DiffOptions,
  DiffReport,
  DrillReport,
  PlanReport,
  ProgressEvent,
  PruneOptions,
  PruneReport,
  PushOptions,
  PushReport,
  RollbackOptions,
  RollbackPlan,
  RollbackReport,
  Settings,
  VerifyOptions,
  VerifyReport,
} from '../index.js';
import type { ErrorCode } from './errors.js';

/** The file descriptor of the worker's answers; its stdout is left to whatever prints there. */
export const ANSWER_FD = 3;

/** The first line to the worker. It holds the secrets, which is why it travels on stdin. */
export type Job =
  | { readonly op: 'push'; readonly settings: Settings; readonly options: PushOptions }
  | { readonly op: 'plan'; readonly settings: Settings }
  | { readonly op: 'prune'; readonly settings: Settings; readonly options: PruneOptions }
  | { readonly op: 'diff'; readonly settings: Settings; readonly options: DiffOptions }
  | { readonly op: 'planRollback'; readonly settings: Settings; readonly options: RollbackOptions }
  | {
      readonly op: 'rollBack';
      readonly settings: Settings;
      readonly options: RollbackOptions;
      readonly hash: string;
    }
  | { readonly op: 'verify'; readonly settings: Settings; readonly options: VerifyOptions }
  | { readonly op: 'drill'; readonly settings: Settings }
  | { readonly op: 'arrive'; readonly settings: Settings }
  | { readonly op: 'recoverRollback'; readonly settings: Settings; readonly gatewayStands: boolean };

/** What each job answers. */
export interface JobReport {
  push: PushReport;
  plan: PlanReport;
  prune: PruneReport;
  diff: DiffReport;
  planRollback: RollbackPlan;
  rollBack: RollbackReport;
  arrive: ArriveReport;
  recoverRollback: RollbackReport;
  verify: VerifyReport;
  drill: DrillReport;
}

/** Any later line to the worker. */
export interface CancelLine {
  readonly cancel: true;
}

/** A line from the worker. Exactly one `result` or `error` ends the conversation. */
export type Answer =
  | { readonly progress: ProgressEvent }
  | { readonly result: JobReport[Job['op']] }
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
