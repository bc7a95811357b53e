/** The one error class of the package, its codes, and the one place where foreign errors become it. */
import { printable } from './text.js';

/** Codes of the core: `CODES` in `src/error.rs`. */
export const CORE_CODES = [
  'B2_CONFIG',
  'B2_LOCKED',
  'B2_CANCELLED',
  'B2_NETWORK',
  'B2_CREDENTIALS',
  'B2_CAPABILITY',
  'B2_BUCKET',
  'B2_BUCKET_EMPTY',
  'B2_CAP_EXCEEDED',
  'B2_CLOCK',
  'B2_STORE',
  'B2_OBJECT_MISSING',
  'B2_SNAPSHOT_NOT_FOUND',
  'B2_WRONG_KEY',
  'B2_NEEDS_CHOICE',
  'B2_RECOVERY_CODE',
  'B2_KEY_SLOT',
  'B2_WEAK_PASSPHRASE',
  'B2_DAMAGED',
  'B2_VERSION',
  'B2_NOT_AUTHENTICATED',
  'B2_OLD_FORMAT',
  'B2_DATABASE',
  'B2_DATABASE_BUSY',
  'B2_DATABASE_IN_PROCESS',
  'B2_TARGET_NOT_EMPTY',
  'B2_UNSAFE_PATH',
  'B2_PLAN_CHANGED',
  'B2_ROLLBACK_OPEN',
  'B2_PRUNE_STOPPED',
  'B2_HOST_TOO_OLD',
  'B2_HOST_REFUSES',
  'B2_DISK_FULL',
  'B2_PERMISSION',
  'B2_IO',
  'B2_INTERNAL',
] as const;

/** Codes that only the JavaScript side can raise. */
const WRAPPER_CODES = [
  'B2_NATIVE_UNAVAILABLE',
  'B2_WORKER_DIED',
  'B2_NOT_RUNNING',
  'B2_NOT_SET_UP',
  'B2_INCOMPLETE',
  'B2_UPDATE_LOST',
  'B2_NOT_APPROVED',
  'B2_USAGE',
] as const;

/** Every code there is; `docs/errors.md` explains each. */
export const ERROR_CODES = [...CORE_CODES, ...WRAPPER_CODES] as const;

/** A stable code that other programs may rely on. */
export type ErrorCode = (typeof ERROR_CODES)[number];

/** What a {@linkcode BackupError} is made of besides its message. */
export interface BackupErrorInit {
  readonly code: ErrorCode;
  /** Whether the same call may succeed later without any change. */
  readonly retryable?: boolean;
  readonly cause?: unknown;
}

/** Every failure of this package. The message is for people, `code` for programs. */
export class BackupError extends Error {
  override readonly name = 'BackupError';
  readonly code: ErrorCode;
  readonly retryable: boolean;

  constructor(message: string, { code, retryable = false, cause }: BackupErrorInit) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.retryable = retryable;
  }
}

const known: ReadonlySet<string> = new Set(ERROR_CODES);

/** Whether `code` is one of {@linkcode ERROR_CODES}. */
export function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && known.has(code);
}

/** How the binding says that an argument is of the wrong type. It repeats the argument, which may be a secret. */
const CONVERTED = /JavaScript value `[\s\S]*`(?= into rust type)/;

/** Makes a {@linkcode BackupError} of whatever was thrown; one that is already one stays itself. */
export function toBackupError(error: unknown): BackupError {
  if (error instanceof BackupError) return error;
  const { message, code, retryable } = describe(error);
  const harmless = message.replace(CONVERTED, 'a value');
  if (harmless !== message) {
    // Without the cause, which repeats the value.
    return new BackupError(`internal error: ${harmless}; please report it`, { code: 'B2_INTERNAL' });
  }
  if (isErrorCode(code)) return new BackupError(message, { code, retryable, cause: error });
  return new BackupError(`internal error: ${message}; please report it`, {
    code: 'B2_INTERNAL',
    cause: error,
  });
}

/** The same with a message that a host may log and a model may read: no line of its own, no command to a terminal. */
export function printableError(error: unknown): BackupError {
  const { message, code, retryable } = toBackupError(error);
  return new BackupError(printable(message), { code, retryable });
}

function describe(error: unknown): { message: string; code: unknown; retryable: boolean } {
  if (typeof error !== 'object' || error === null) {
    return { message: String(error), code: undefined, retryable: false };
  }
  const { message, code, retryable } = error as { message?: unknown; code?: unknown; retryable?: unknown };
  return {
    message: typeof message === 'string' && message !== '' ? message : 'unknown failure',
    code,
    retryable: retryable === true,
  };
}
