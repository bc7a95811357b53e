/** How far an undo of an update is, in our folder of the state directory: a later run goes on with it. */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { BackupError } from '../errors.js';
import type { Installation } from '../installation.js';
import { notOurs, type Process } from './turn.js';

/** What is done next. Each can be repeated. */
export type Step = 'stop' | 'install' | 'restore' | 'start';

const STEPS: ReadonlySet<unknown> = new Set<Step>(['stop', 'install', 'restore', 'start']);

/** An undo of an update that has begun. */
export interface Journal {
  readonly step: Step;
  /** The version that is left, and the one that is gone back to. */
  readonly from: string;
  readonly to: string;
  /** What is restored. */
  readonly snapshot: string;
  readonly installation: Installation;
  /** Whether the gateway ran, and whether the service manager stopped it. */
  readonly ran: boolean;
  readonly service: boolean;
  /** What installs, or did. */
  readonly installer?: Process;
  /** What was saved before the restore. */
  readonly safety?: string;
}

const file = (stateDir: string): string => join(stateDir, 'b2-backup', 'undo-update.json');

/**
 * The one that is open.
 *
 * @throws {BackupError} B2_IO for one that cannot be read: the machine may be half way between two versions; B2_PERMISSION where
 * all of this is another user's
 */
export function readJournal(stateDir: string, read = readText): Journal | undefined {
  let text: string;
  try {
    text = read(file(stateDir));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    if (code === 'EACCES' || code === 'EPERM') {
      throw notOurs(stateDir, error);
    }
    throw unreadable(stateDir, error);
  }
  try {
    const journal = JSON.parse(text) as Journal;
    const texts = [journal.from, journal.to, journal.snapshot, journal.installation.folder];
    if (STEPS.has(journal.step) && texts.every((value) => typeof value === 'string')) return journal;
  } catch {
    // Said below.
  }
  throw unreadable(stateDir);
}

const readText = (path: string): string => readFileSync(path, 'utf8');

function unreadable(stateDir: string, cause?: unknown): BackupError {
  return new BackupError(
    `${file(stateDir)} cannot be read: an undo of an update was cut off. Look which OpenClaw is installed ("openclaw --version"), ` +
      'remove that file, and run b2-backup undo-update again',
    { code: 'B2_IO', cause },
  );
}

/** Writes it down, durably. */
export function writeJournal(stateDir: string, journal: Journal): void {
  const path = file(stateDir);
  mkdirSync(join(stateDir, 'b2-backup'), { recursive: true, mode: 0o700 });
  const descriptor = openSync(`${path}.next`, 'w', 0o600);
  try {
    writeSync(descriptor, `${JSON.stringify(journal)}\n`);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(`${path}.next`, path);
}

/** It is over. */
export function removeJournal(stateDir: string): void {
  rmSync(file(stateDir), { force: true });
}
