import { describe, expect, it, vi } from 'vitest';
import type { DiffEntry } from '../index.js';
import type { Engine } from '../ts/engine.ts';
import { json, PROBLEM, run, SNAPSHOT } from './cli-support.ts';

const COMPARED = {
  from: SNAPSHOT.id,
  to: 'live',
  added: 1,
  removed: 1,
  changed: 3,
  bytesBefore: 12_345,
  bytesAfter: 23_456,
  entries: [
    diffEntry('workspace/new', { change: 'added', kind: 'directory' }),
    diffEntry('workspace/new/a\nb.md', {
      change: 'added',
      bytesAfter: 5,
      text: '@@ -0,0 +1 @@\n+a\tb\u001b\n',
    }),
    diffEntry('workspace/old', { change: 'removed', bytesBefore: 1000, textOmitted: 'binary' }),
    diffEntry('workspace/same', {
      what: ['content'],
      bytesBefore: 7,
      bytesAfter: 8,
      text: '@@ -1 +1 @@\n-a\n+b\n',
    }),
    diffEntry('link', { kind: 'symlink', what: ['target'] }),
    diffEntry('run.sh', { what: ['content', 'mode'], bytesBefore: 1, bytesAfter: 2, textOmitted: 'secret' }),
    diffEntry('x.sqlite', { what: ['content'], database: true, textOmitted: 'database' }),
  ],
  skipped: [],
  warnings: [],
  requests: 4,
  downloadedBytes: 500,
  durationMs: 10,
};
function diffEntry(path: string, rest: Partial<DiffEntry>): DiffEntry {
  const same = { change: 'changed', what: [], kind: 'file', bytesBefore: 0, bytesAfter: 0, database: false };
  return { path, ...same, ...rest };
}

const A = '2026-02-19T00-00-00Z-1f2e3d4c';
const B = '2026-02-20T00-00-00Z-1f2e3d4c';

describe('diff', () => {
  it('compares with the present state unless told otherwise', async () => {
    const diff = vi.fn<Engine['diff']>(async () => COMPARED);
    await run('diff latest', { diff });
    await run(`diff ${A} ${B} --path x --path y/* --text --allow-unauthenticated`, { diff });
    expect(diff.mock.calls.map((call) => call[1])).toEqual([
      { from: 'latest', to: 'live' },
      { from: A, to: B, paths: ['x', 'y/*'], text: true, allowUnauthenticated: true },
    ]);
  });

  it('shows what is different, and disarms what names and lines could tell the terminal', async () => {
    const { exit, out, err } = await run('diff latest --text', { diff: async () => COMPARED });
    expect({ exit, err }).toEqual({ exit: 0, err: '' });
    expect(out).toBe(`From ${SNAPSHOT.id} to the present state
         BEFORE  AFTER  PATH
added         -      -  workspace/new/
added         -    5 B  workspace/new/a\\x0ab.md
removed  1.0 kB      -  workspace/old  (no text: binary)
changed     7 B    8 B  workspace/same
changed       -      -  link  (target)
changed     1 B    2 B  run.sh  (content, mode, no text: secret)
changed     0 B    0 B  x.sqlite  (database)

1 file added, 3 changed, 1 removed; 12.3 kB before, 23.5 kB after

workspace/new/a\\x0ab.md
@@ -0,0 +1 @@
+a\tb\\x1b

workspace/same
@@ -1 +1 @@
-a
+b
`);
  });

  it('says when nothing is different, and cuts what is too much', async () => {
    const none: Engine['diff'] = async () => ({ ...COMPARED, to: B, entries: [] });
    expect((await run(`diff ${A} ${B}`, { diff: none })).out).toBe(
      `From ${SNAPSHOT.id} to ${B}\nNothing is different.\n`,
    );
    const entries = Array.from({ length: 1502 }, (___, at) => diffEntry(`f${at}`, { what: ['content'] }));
    const diff: Engine['diff'] = async () => ({ ...COMPARED, entries });
    const { out } = await run('diff latest', { diff });
    expect(out).toContain('f499\nand 1,002 more paths; --json has them all\n');
    expect(out).not.toContain('f500\n');
    expect((await json('diff latest', { diff })).document['entries']).toHaveLength(1502);
  });

  it('has the promised fields, text only where it is asked for', async () => {
    const diff: Engine['diff'] = async () => COMPARED;
    const { document } = await json('diff latest --text', { diff });
    const { entries, ...figures } = COMPARED;
    expect(document).toMatchObject({ ok: true, ...figures });
    expect(document['entries']).toEqual(
      entries.map((entry) => ({
        ...entry,
        text: entry.text ?? null,
        textOmitted: entry.textOmitted ?? null,
      })),
    );
    const without = (await json('diff latest', { diff })).document['entries'] as object[];
    expect(without[0]).not.toHaveProperty('text');
  });

  it('ends with 3 and lists what could not be compared', async () => {
    const diff: Engine['diff'] = async () => ({ ...COMPARED, skipped: [PROBLEM] });
    const { exit, err } = await run('diff latest', { diff });
    expect(exit).toBe(3);
    expect(err).toContain('1 file could not be compared:\n');
  });
});
