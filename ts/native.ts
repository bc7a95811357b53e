/**
 * The only importer of the generated loader `../index.js`. It loads the addon on first use and never at
 * import, so that a machine without a fitting binary can still load the package and be told what is missing.
 */
import process from 'node:process';
import type * as Native from '../index.js';
import { BackupError } from './errors.js';

/** The addon's exports. */
export type NativeModule = typeof Native;

/** Gives the addon. @throws {BackupError} B2_NATIVE_UNAVAILABLE */
export type LoadNative = () => Promise<NativeModule>;

/** What decides which prebuilt binary fits. */
export interface Platform {
  readonly platform: string;
  readonly arch: string;
  /** On Linux `glibc` or `musl`, elsewhere absent. */
  readonly libc?: string;
}

const PREBUILT: ReadonlySet<string> = new Set([
  'linux-x64-gnu',
  'linux-arm64-gnu',
  'linux-x64-musl',
  'linux-arm64-musl',
  'darwin-x64',
  'darwin-arm64',
  'win32-x64-msvc',
  'win32-arm64-msvc',
]);

let loading: Promise<NativeModule> | undefined;

/** The real addon, loaded once. */
export const loadNative: LoadNative = () => {
  loading ??= importNative(() => import('../index.js'), thisPlatform);
  return loading;
};

/**
 * Removes what makes the generated loader take other code than that of this package: a path, a WebAssembly build, a
 * check of versions. OpenClaw has the `.env` of the directory that it was started in among its variables, so whoever can
 * write a file there would run code in it.
 */
function ignoreOverrides(env: NodeJS.ProcessEnv): void {
  for (const name of Object.keys(env)) {
    if (name.toUpperCase().startsWith('NAPI_RS_')) delete env[name];
  }
}

/** Imports the loader and turns its failure into one sentence. Apart from {@linkcode loadNative} for tests. */
export async function importNative(
  importer: () => Promise<NativeModule>,
  platform: () => Platform,
  env: NodeJS.ProcessEnv = process.env,
): Promise<NativeModule> {
  ignoreOverrides(env);
  try {
    return await importer();
  } catch (error) {
    throw unavailable(error, platform());
  }
}

function unavailable(error: unknown, { platform, arch, libc }: Platform): BackupError {
  const target = targetName({ platform, arch, ...(libc === undefined ? {} : { libc }) });
  const where = [platform, arch, libc].filter((part) => part !== undefined).join(' ');
  const remedy = PREBUILT.has(target)
    ? `install the package @openclaw/b2-backup-${target} beside @openclaw/b2-backup, in the same version`
    : 'there is no prebuilt package for this platform; build it from source with Rust (npm run build:release)';
  const reason = loadFailure(error);
  const because = reason === undefined ? '' : ` (${reason})`;
  return new BackupError(`the native part of b2-backup does not load on ${where}${because}: ${remedy}`, {
    code: 'B2_NATIVE_UNAVAILABLE',
    cause: error,
  });
}

function targetName({ platform, arch, libc }: Platform): string {
  if (platform === 'linux') return `linux-${arch}-${libc === 'musl' ? 'musl' : 'gnu'}`;
  if (platform === 'win32') return `win32-${arch}-msvc`;
  return `${platform}-${arch}`;
}

/**
 * The generated loader tries several files and hangs each failure on the next as `cause`. "Not found" says
 * nothing new; anything else (a libc too old, a wrong file) is the real reason.
 */
function loadFailure(error: unknown): string | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 20; at = at.cause, depth += 1) {
    const { code } = at as { code?: unknown };
    if (code === 'ERR_DLOPEN_FAILED') return at.message.split('\n', 1)[0];
  }
  return undefined;
}

function thisPlatform(): Platform {
  const { platform, arch } = process;
  return platform === 'linux' ? { platform, arch, libc: linuxLibc() } : { platform, arch };
}

function linuxLibc(): string {
  // Without this, a report resolves the peers of open sockets and can take seconds.
  (process.report as { excludeNetwork?: boolean }).excludeNetwork = true;
  const report = process.report.getReport() as unknown as { header?: { glibcVersionRuntime?: string } };
  return report.header?.glibcVersionRuntime === undefined ? 'musl' : 'glibc';
}
