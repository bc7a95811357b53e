/** A trial start: the newest snapshot is restored, OpenClaw is started on it without a network, and all of it goes again. */
import { freemem, homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { DrillReport, Settings } from '../../index.js';
import type { Engine } from '../engine.js';
import { BackupError } from '../errors.js';
import { findOpenClaw } from '../openclaw.js';
import type { Operation } from '../operation.js';
import { takeFolder } from './folder.js';
import { withoutNetwork } from './isolation.js';
import { runProgram } from './program.js';
import { writeBooted } from './record.js';
import type { BootAnswer, BootJob, Moved } from './types.js';

/** How long OpenClaw may take to be ready; it gives itself a minute for a cold start on a busy machine. */
const PATIENCE_MS = 180_000;
/** The memory that a gateway takes, and some to spare, bytes. Measured with 2026.9.6: 600 MB. */
const NEEDED_MEMORY = 1_500_000_000;

/** What a trial start found. */
export interface BootReport extends BootAnswer {
  readonly snapshot: string;
  /** Whether the system kept the trial from the network; else nothing but its configuration and OpenClaw's own runtime did. */
  readonly alone: boolean;
  readonly files: number;
  readonly bytes: number;
  readonly requests: number;
  readonly downloadedBytes: number;
  readonly warnings: readonly string[];
  readonly durationMs: number;
}

/** What it works with. */
export interface BootDeps {
  readonly engine: Pick<Engine, 'restore'>;
  readonly findOpenClaw?: () => string[];
  readonly withoutNetwork?: () => Promise<readonly string[] | undefined>;
  readonly now?: () => Date;
}

/** A trial restore, and what OpenClaw said that was started on another copy of the same snapshot. */
export interface Trial extends DrillReport {
  readonly boot?: BootReport;
  /** Why it was not started. */
  readonly bootSkipped?: string;
}

/**
 * Makes a trial restore of the newest snapshot, which compares every byte, and then starts OpenClaw on it. One that did not come
 * back whole is not started.
 *
 * @throws {BackupError} as {@linkcode bootDrill} and a trial restore
 */
export async function drillAndBoot(
  engine: Pick<Engine, 'drill' | 'restore'>,
  settings: Settings,
  operation: Operation = {},
): Promise<Trial> {
  const report = await engine.drill(settings, operation);
  if (report.failed.length > 0) return report;
  return { ...report, boot: await bootDrill({ engine }, settings, report.snapshot, operation) };
}

/** The same without being asked for: where it is not possible to start OpenClaw, that is in the report. */
export async function monthlyTrial(
  engine: Pick<Engine, 'drill' | 'restore'>,
  settings: Settings,
  operation: Operation = {},
): Promise<Trial> {
  const bootSkipped = cannotBoot();
  if (bootSkipped === undefined) return drillAndBoot(engine, settings, operation);
  return { ...(await engine.drill(settings, operation)), bootSkipped };
}

/** Why no trial start is made without being asked for: no OpenClaw here, or too little memory. */
function cannotBoot(): string | undefined {
  if (findOpenClaw().length !== 2)
    return 'OpenClaw was not found here, so backups cannot be tried by starting it';
  const free = freemem();
  return free < NEEDED_MEMORY
    ? `there is too little memory (${Math.round(free / 1e6)} MB free) to try a backup by starting OpenClaw on it`
    : undefined;
}

/**
 * Restores `snapshot` into a folder of its own, starts OpenClaw on it, compares, and removes all of it.
 *
 * @throws {BackupError} B2_HOST_REFUSES where there is no OpenClaw; B2_LOCKED while another one runs; those of a restore
 */
export async function bootDrill(
  {
    engine,
    findOpenClaw: find = findOpenClaw,
    withoutNetwork: isolate = withoutNetwork,
    now = () => new Date(),
  }: BootDeps,
  settings: Settings,
  snapshot: string,
  operation: Operation = {},
): Promise<BootReport> {
  const started = performance.now();
  const [node, openclaw, ...surplus] = find();
  if (node === undefined || openclaw === undefined || surplus.length > 0) {
    throw new BackupError(
      'OpenClaw was not found here: run this with the Node that OpenClaw runs on, and with openclaw in the PATH',
      { code: 'B2_HOST_REFUSES' },
    );
  }
  const folder = takeFolder(settings.stateDir);
  try {
    const state = join(folder.path, 'state');
    // What is authenticated or not was decided by the drill before this one.
    const restored = await engine.restore(
      settings,
      { snapshot, to: state, allowUnauthenticated: true },
      operation,
    );
    const prefix = await isolate();
    const job: BootJob = {
      folder: folder.path,
      roots: rootsOf(restored.roots, settings.stateDir, state),
      home: homedir(),
      openclaw,
      alone: prefix !== undefined,
      patienceMs: PATIENCE_MS,
    };
    const command = [...(prefix ?? []), node, insideProgram];
    const what = 'the trial start of OpenClaw';
    const answer = await runProgram<BootAnswer>(
      { command, folder: folder.path, what, signal: operation.signal },
      job,
    );
    const { files, bytes, requests, downloadedBytes, warnings } = restored;
    const lost = restored.failed.map(({ path, message }) => `${path} did not come back: ${message}`);
    const problems = [...lost, ...answer.problems];
    if (problems.length === 0) {
      const { version } = answer;
      const at = now().toISOString();
      writeBooted(settings.stateDir, { snapshot: restored.snapshot, at, version });
    }
    return {
      ...answer,
      problems,
      snapshot: restored.snapshot,
      alone: job.alone,
      files,
      bytes,
      requests,
      downloadedBytes,
      warnings: [
        ...warnings,
        ...(job.alone
          ? []
          : [
              'this system gives no process a network of its own: OpenClaw was kept from the network by its configuration and its runtime',
            ]),
      ],
      durationMs: performance.now() - started,
    };
  } finally {
    folder.remove();
  }
}

const insideProgram = fileURLToPath(new URL('./inside.js', import.meta.url));

/** `from -> to` of each root, as a restore tells them; it tells none where there is only the state directory. */
export function rootsOf(told: readonly string[], stateDir: string, state: string): Moved[] {
  const roots = told.flatMap((line) => {
    const at = line.indexOf(' -> ');
    return at === -1 ? [] : [{ from: line.slice(0, at), to: line.slice(at + 4) }];
  });
  const [first = { from: stateDir, to: state }, ...others] = roots;
  return [{ from: first.from, to: state }, ...others];
}
