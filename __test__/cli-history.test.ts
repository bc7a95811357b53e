import { describe, expect, it, vi } from 'vitest';
import type { HistoryReport, PathVersion, ShowReport } from '../index.js';
import type { Engine } from '../ts/engine.ts';
import { json, PROBLEM, run, SNAPSHOT } from './cli-support.ts';

const SHOWN: ShowReport = {
  snapshot: SNAPSHOT.id,
  createdAt: '2026-02-19T00:00:00Z',
  entries: [
    shown('workspace', { kind: 'directory', mode: 0o755 }),
    shown('workspace/a\nb.md', { bytes: 1234 }),
    shown('workspace/link', { kind: 'symlink', mode: 0o777, target: 'a\u001b' }),
    shown('x.sqlite', { bytes: 2_000_000, database: true }),
  ],
  incomplete: false,
  remarks: [],
  warnings: [],
};
function shown(path: string, rest: Partial<ShowReport['entries'][number]>): ShowReport['entries'][number] {
  const same = { kind: 'file', bytes: 0, mode: 0o644, modifiedAt: 'then', database: false };
  return { path, ...same, ...rest };
}

const FOLLOWED: HistoryReport = {
  snapshots: 7,
  versions: [
    version({ change: 'added', bytes: 10, snapshots: 3 }),
    version({ bytes: 20, what: ['content', 'mode'], text: '@@ -1 +1 @@\n-a\n+b\u001b\n', snapshots: 4 }),
    version({ machine: 'ffffffff', machineName: 'anna-laptop', change: 'removed', textOmitted: 'binary' }),
  ],
  warnings: ['one is passed over'],
  requests: 9,
  downloadedBytes: 99,
};
function version(rest: Partial<PathVersion>): PathVersion {
  return {
    path: 'workspace/MEMORY.md',
    machine: '1f2e3d4c',
    snapshot: SNAPSHOT.id,
    createdAt: 'then',
    lastSnapshot: SNAPSHOT.id,
    snapshots: 1,
    change: 'changed',
    what: [],
    kind: 'file',
    bytes: 0,
    modifiedAt: 'earlier',
    database: false,
    ...rest,
  };
}

describe('show', () => {
  it('lists, and disarms what names could tell the terminal', async () => {
    const show = vi.fn<Engine['show']>(async () => SHOWN);
    const { exit, out, err } = await run('show latest workspace --allow-unauthenticated', { show });
    expect(show.mock.calls[0]?.[1]).toEqual({
      snapshot: 'latest',
      path: 'workspace',
      allowUnauthenticated: true,
    });
    expect({ exit, err }).toEqual({ exit: 0, err: '' });
    expect(out.split('\n').slice(1)).toEqual([
      'MODE    SIZE  MODIFIED  PATH',
      '0755       -  then      workspace/',
      '0644  1.2 kB  then      workspace/a\\x0ab.md',
      '0777       -  then      workspace/link -> a\\x1b',
      '0644  2.0 MB  then      x.sqlite  (database)',
      '',
      '2 files, 2.0 MB',
      '',
    ]);
  });

  it('names what the snapshot lacks', async () => {
    const show = async () => ({ ...SHOWN, incomplete: true, remarks: [PROBLEM] });
    const { exit, err } = await run('show latest', { show });
    expect(exit).toBe(0);
    expect(err).toContain('The snapshot is incomplete. Missing or unusable:\n  workspace/a\\x0ab: ');
    const { document } = await json('show latest', { show });
    expect(document).toMatchObject({ incomplete: true, remarks: [PROBLEM] });
  });

  it('prints a file as it is, also with --quiet, and in JSON as text or Base64', async () => {
    const of = (content: Uint8Array): Partial<Engine> => ({
      show: async () => ({ ...SHOWN, entries: SHOWN.entries.slice(1, 2), content: Buffer.from(content) }),
    });
    const bytes = Uint8Array.of(0, 255, 10);
    const { out, deps } = await run('show latest workspace/x --quiet', of(bytes));
    expect({ out, raw: deps.stdout.bytes }).toEqual({ out: '', raw: [bytes] });
    expect((await json('show latest x', of(bytes))).document).toMatchObject({ contentBase64: 'AP8K' });
    const text = new TextEncoder().encode('\ufeffgrüße\n');
    expect((await json('show latest x', of(text))).document).toMatchObject({ content: '\ufeffgrüße\n' });
    expect((await json('show latest')).document).toMatchObject({ ok: false });
  });

  it('shows a terminal no binary file, and of text nothing that commands it', async () => {
    const on = (content: Uint8Array) =>
      run(
        'show latest x',
        {
          show: async () => ({ ...SHOWN, entries: SHOWN.entries.slice(1, 2), content: Buffer.from(content) }),
        },
        (deps) => {
          deps.stdout.isTTY = true;
          return deps;
        },
      );
    for (const binary of [Uint8Array.of(0, 1, 2), Uint8Array.of(0x41, 0xff)]) {
      const { exit, err, out, deps } = await on(binary);
      expect({ exit, out, raw: deps.stdout.bytes }).toEqual({ exit: 2, out: '', raw: [] });
      expect(err).toMatch(/the file is binary \(\d B\): .* > FILE.* \(B2_USAGE\)/);
    }
    const { out } = await on(new TextEncoder().encode('a\tb\n\u001b]52;c;cm0K\u0007\u202egrüße\n'));
    expect(out).toBe('a\tb\n\\x1b]52;c;cm0K\\x07\\u202egrüße\n');
  });

  it('needs a snapshot, and one path at most', async () => {
    for (const line of ['show', 'show a b c', 'show a --text']) {
      expect((await run(line)).exit).toBe(2);
    }
  });
});

describe('history', () => {
  it('shows the versions by machine, with their text where it was asked for', async () => {
    const history = vi.fn<Engine['history']>(async () => FOLLOWED);
    const { exit, out, err } = await run('history workspace/MEMORY.md --text', { history });
    expect(history.mock.calls[0]?.[1]).toEqual({ path: 'workspace/MEMORY.md', text: true });
    expect({ exit, err }).toEqual({ exit: 0, err: 'warning: one is passed over\n' });
    expect(out).toBe(`workspace/MEMORY.md, machine 1f2e3d4c
SINCE           SIZE  SNAPSHOTS  LAST SNAPSHOT
then   added    10 B          3  ${SNAPSHOT.id}
then   changed  20 B          4  ${SNAPSHOT.id}  (mode)

then
@@ -1 +1 @@
-a
+b\\x1b

workspace/MEMORY.md, machine anna-laptop (ffffffff)
SINCE           SIZE  SNAPSHOTS  LAST SNAPSHOT
then   removed     -          1  ${SNAPSHOT.id}  (no text: binary)
`);
  });

  it('has a document of its own', async () => {
    const { document } = await json('history workspace/MEMORY.md', { history: async () => FOLLOWED });
    expect(document).toMatchObject({ ok: true, snapshots: 7, warnings: ['one is passed over'] });
    expect(document['versions']).toMatchObject([
      { machineName: null },
      {},
      { machine: 'ffffffff', machineName: 'anna-laptop' },
    ]);
    expect(document['versions']).not.toContainEqual(expect.objectContaining({ text: expect.anything() }));
  });

  it('needs one file', async () => {
    for (const line of ['history', 'history a b', 'history a --exact']) {
      expect((await run(line)).exit).toBe(2);
    }
  });
});
