/** The program that counts in what a snapshot and the present differ, on real databases, one of them in use. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runProgram } from '../ts/boot/program.ts';
import type { DifferenceJob, PlanCount, Sides } from '../ts/updates/difference.ts';
import { node24 } from './support/host.ts';
import { change } from './support/sqlite.ts';

const COUNTER = fileURLToPath(new URL('../dist/updates/counter.js', import.meta.url));
const SCHEMA = `
  PRAGMA journal_mode = WAL;
  CREATE TABLE transcript_events (session_id, seq, event_json, PRIMARY KEY (session_id, seq));
  CREATE TABLE transcript_event_identities (session_id, event_id, seq, event_type, PRIMARY KEY (session_id, event_id));
  CREATE TABLE session_transcript_archives (session_id, generation, archive_blob);
  CREATE TABLE cron_jobs (store_key, job_id, declaration_key, name, enabled, job_json, state_json, PRIMARY KEY (store_key, job_id));
`;

let folder: string;
let made = 0;

beforeAll(() => {
  // Characters that mean something in an address of SQLite's.
  folder = mkdtempSync(join(tmpdir(), 'b2 count%20?#-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const event = (session: string, id: string, type = 'message'): string =>
  `INSERT INTO transcript_event_identities SELECT '${session}', '${id}', count(*), '${type}' FROM transcript_events;
   INSERT INTO transcript_events SELECT '${session}', count(*), '{}' FROM transcript_events;`;
const job = (id: string, json: object, declared: string | null = null): string =>
  `INSERT INTO cron_jobs VALUES ('s', '${id}', ${declared === null ? 'NULL' : `'${declared}'`}, '${id}', 1, '${JSON.stringify(json)}', '{}');`;

async function database(...rows: string[]): Promise<string> {
  const path = join(folder, `${made++}.sqlite`);
  await change(path, SCHEMA + rows.join('\n'));
  return path;
}

async function difference(job: DifferenceJob): Promise<PlanCount> {
  return await runProgram({ command: [node24, '--no-warnings', COUNTER], folder, what: 'the counter' }, job);
}

async function messages(sides: Sides): Promise<PlanCount['agents'][string] | undefined> {
  return (await difference({ agents: { main: sides } })).agents['main'];
}

describe('messages', () => {
  it('are counted that one side has and the other lacks, whatever else is in the transcript', async () => {
    const stored = await database(event('a', '1'), event('a', '2', 'session'), event('b', '3'));
    const present = await database(
      ...[event('a', '1'), event('a', '2', 'session'), event('a', '4'), event('a', '5', 'custom')],
      ...[event('c', '6'), event('c', '7')],
    );
    expect(await messages({ stored, present })).toEqual({ gone: 3, back: 1 });
    // Nothing was written to either.
    expect(await messages({ stored, present })).toEqual({ gone: 3, back: 1 });
    expect(await messages({ stored })).toEqual({ gone: 0, back: 2 });
    expect(await messages({ present })).toEqual({ gone: 4, back: 0 });
  });

  it('are not counted where conversations went into an archive since, or nobody can tell', async () => {
    const archive = "INSERT INTO session_transcript_archives VALUES ('a', 'g', x'00');";
    const stored = await database(event('a', '1'));
    const put = await database(archive);
    expect(await messages({ stored, present: put })).toBeUndefined();
    expect(await messages({ stored: put, present: await database(archive, event('b', '2')) })).toEqual({
      gone: 1,
      back: 0,
    });
    const old = join(folder, 'old.sqlite');
    await change(old, 'CREATE TABLE transcript_events (session_id, seq, event_json)');
    expect(await messages({ stored: old, present: stored })).toBeUndefined();
    expect(await messages({ stored: join(folder, 'not-there.sqlite'), present: stored })).toBeUndefined();
  });
});

describe('jobs', () => {
  it('are counted that come, go or are to do something else, but not that ran', async () => {
    const every = { schedule: { kind: 'cron', expr: '0 5 * * *' } };
    const stored = await database(
      ...[job('same', { ...every, updatedAtMs: 1 }), job('other', every), job('gone', every)],
      job('own', every, 'host:own'),
    );
    const present = await database(
      job('same', { ...every, updatedAtMs: 2, state: { lastRunAtMs: 2 } }),
      job('other', { schedule: { kind: 'cron', expr: '0 6 * * *' } }),
      job('new', every),
    );
    expect(await difference({ agents: {}, shared: { stored, present } })).toEqual({ agents: {}, jobs: 3 });
  });
});
