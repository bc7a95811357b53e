/** An update that was undone, and made again: what was saved, what is compared, and what is said. */
import { mkdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { describe, expect, it, vi } from 'vitest';
import type { Settings } from '../index.js';
import type { Engine } from '../ts/engine.ts';
import { checkUpdate } from '../ts/updates/check.ts';
import { noteUndone, readHere, recordPath } from '../ts/updates/checked.ts';
import { beforeUpdates, isNewer, targetOf, updatesIn } from '../ts/updates/history.ts';
import { temporaryState } from './plugin-support.ts';
import { made } from './words-support.ts';

const [OLD, NEW] = ['2026.9.5', '2026.9.6'];
const old = made('2026-02-17 03:00', 'scheduled', { hostVersion: OLD });
const updated = made('2026-02-17 04:00', 'shutdown', { hostVersion: NEW });
const safety = made('2026-02-17 05:00', 'safety', { hostVersion: NEW, kind: 'safety' });
const undone = made('2026-02-18 03:00', 'shutdown', { hostVersion: OLD });
const again = made('2026-02-18 05:00', 'shutdown', { hostVersion: NEW });
const forth = made('2026-02-18 06:00', 'scheduled', { hostVersion: NEW });
const ALL = [old, updated, safety, undone, again, forth];
/** When the new version was started again. */
const STARTED = Date.parse(undone.createdAt) + 60_000;

/** Which snapshots are compared, where something was last rolled back at that time. */
async function compared(rolledBack?: string, startedMs?: number): Promise<unknown[]> {
  const stateDir = await temporaryState();
  if (rolledBack !== undefined) {
    const last = join(stateDir, 'b2-backup', 'restore', 'last');
    mkdirSync(dirname(last), { recursive: true });
    writeFileSync(last, '');
    utimesSync(last, new Date(rolledBack), new Date(rolledBack));
  }
  const show = vi.fn(async (_: Settings, { snapshot }: { readonly snapshot: string }) => ({
    ...{ snapshot, createdAt: '', entries: [], incomplete: false, remarks: [], warnings: [] },
  }));
  const list: Engine['list'] = async () => ({ snapshots: ALL, warnings: [] });
  const engine = { list, show } as unknown as Pick<Engine, 'list' | 'show' | 'restore'>;
  const settings = { stateDir, hostVersion: NEW } as Settings;
  const check = await checkUpdate(engine, settings, {}, { startedMs });
  expect(check).toMatchObject({ from: OLD, to: NEW, snapshot: undone.id });
  return show.mock.calls.map(([, { snapshot }]) => snapshot);
}

const later = ({ createdAt }: { readonly createdAt: string }): string =>
  new Date(Date.parse(createdAt) + 60_000).toISOString();

describe('the new version, come again', () => {
  it('is compared with what the old one had last', async () => {
    expect(await compared(undefined, STARTED)).toEqual([undone.id, forth.id]);
    // The undo was a rollback, too.
    expect(await compared(later(safety), STARTED)).toEqual([undone.id, forth.id]);
  });

  it('has lost nothing that the user took away by bringing back what it had before the undo', async () => {
    expect(await compared(later(again), STARTED)).toEqual([undone.id, again.id]);
  });

  it('is looked at as it is when something was missing at the first look', async () => {
    expect(await compared(later(again))).toEqual([undone.id, forth.id]);
  });

  it('keeps the last snapshot before it, and is undone to that one', () => {
    expect([...beforeUpdates(ALL, { version: NEW })]).toEqual([
      [old.id, `before the update ${OLD} to ${NEW}`],
      [updated.id, `before going back from ${NEW} to ${OLD}`],
      [undone.id, `before the update ${OLD} to ${NEW}`],
    ]);
    expect(targetOf(ALL, NEW)).toMatchObject({ version: OLD, snapshot: undone.id });
  });
});

describe('a gateway that ended without a backup', () => {
  const killed = '2026-02-17T03:30:00.000Z';
  const first = [old];

  it('leaves a snapshot that is older than the update, and said to be', () => {
    expect([...beforeUpdates(first, { version: NEW, unsavedSince: killed })]).toEqual([
      [old.id, `before the update ${OLD} to ${NEW}, but older than it`],
    ]);
    expect(updatesIn([old, forth], { version: NEW, unsavedSince: killed })).toMatchObject([
      { snapshot: old.id, unsavedSince: killed },
    ]);
    // Of an update before that nobody knows.
    expect([...beforeUpdates(ALL, { version: NEW, unsavedSince: killed })].map(([, text]) => text)).toEqual([
      `before the update ${OLD} to ${NEW}`,
      `before going back from ${NEW} to ${OLD}`,
      `before the update ${OLD} to ${NEW}`,
    ]);
  });

  it('lacks less where somebody backed up by hand after it', () => {
    const manual = made('2026-02-17 03:45', 'manual', { hostVersion: OLD });
    expect(updatesIn([old, manual], { version: NEW, unsavedSince: killed })).toMatchObject([
      { snapshot: manual.id, unsavedSince: manual.createdAt },
    ]);
  });

  it('is known to the command line before the new version has ever run', async () => {
    const stateDir = await temporaryState();
    const remember = (record: object): void => {
      mkdirSync(dirname(recordPath(stateDir)), { recursive: true });
      writeFileSync(recordPath(stateDir), JSON.stringify(record));
    };
    expect(readHere(stateDir, NEW)).toEqual({ version: NEW });
    const ended = { lastSuccessAt: killed, update: { version: OLD } };
    remember(ended);
    expect(readHere(stateDir, NEW)).toEqual({ version: NEW, unsavedSince: killed });
    expect(readHere(stateDir, OLD)).toEqual({ version: OLD, unsavedSince: undefined });
    remember({ ...ended, atRest: true });
    expect(readHere(stateDir, NEW)).toEqual({ version: NEW, unsavedSince: undefined });
    // Once that has run, it has noted it.
    remember({ ...ended, update: { version: NEW, from: OLD, unsavedSince: killed } });
    expect(readHere(stateDir, NEW)).toEqual({ version: NEW, unsavedSince: killed });
    // It still runs: npm has put the new one in its place, and the stop is to come.
    remember(ended);
    mkdirSync(join(stateDir, 'tmp', 'openclaw-0'), { recursive: true });
    writeFileSync(
      join(stateDir, 'tmp', 'openclaw-0', 'gateway.state.lock'),
      JSON.stringify({ pid: process.pid }),
    );
    expect(readHere(stateDir, NEW)).toEqual({ version: NEW, unsavedSince: undefined });
  });
});

it.each([
  ['2026.9.6', '2026.9.5', true],
  ['2026.10.1', '2026.9.6', true],
  ['2026.9.5', '2026.9.5', false],
  ['2026.9.1', '2026.9.1-beta.1', true],
  ['2026.7.2-beta.7', '2026.7.2-beta.6', true],
  ['2026.7.1-2', '2026.7.1', true],
  ['2026.7.1-2', '2026.7.1-1', true],
  ['2026.7.2-beta.1', '2026.7.1-2', true],
])('%s is newer than %s: %s', (one, other, newer) => {
  expect(isNewer(one, other)).toBe(newer);
  expect(isNewer(other, one)).toBe(false);
});

describe('an undo', () => {
  it('has the gateway take the next update for another one, and forget what the first one lost', async () => {
    const stateDir = await temporaryState();
    // No gateway ever ran: nothing is made up.
    noteUndone(stateDir, OLD);
    expect(() => readFileSync(recordPath(stateDir))).toThrow(/ENOENT/);
    mkdirSync(dirname(recordPath(stateDir)), { recursive: true });
    const lost = { from: OLD, to: NEW, snapshot: old.id, missing: [{ id: 'job j', text: 'the job "j"' }] };
    writeFileSync(
      recordPath(stateDir),
      JSON.stringify({ failures: 3, update: { version: NEW, checked: lost } }),
    );
    noteUndone(stateDir, OLD);
    expect(JSON.parse(readFileSync(recordPath(stateDir), 'utf8'))).toEqual({
      failures: 3,
      update: { version: OLD },
    });
    writeFileSync(recordPath(stateDir), 'nonsense');
    noteUndone(stateDir, OLD);
    expect(readFileSync(recordPath(stateDir), 'utf8')).toBe('nonsense');
  });
});
