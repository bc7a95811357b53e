import { describe, expect, it, vi } from 'vitest';
import type { Engine } from '../ts/engine.ts';
import { BackupError } from '../ts/errors.ts';
import { json, PROBLEM, PUSHED, RESTORED, run, SNAPSHOT, UNCHANGED } from './cli-support.ts';
import type { World } from './support.ts';

describe('usage', () => {
  it.each([
    ['frobnicate', 'there is no command "frobnicate"; see b2-backup help'],
    ['pussh', 'there is no command "pussh" (did you mean push?)'],
    ['frobnicate --help', 'there is no command "frobnicate"'],
    ['help frobnicate', 'there is no command "frobnicate"'],
    ['push --lis', 'push has no option --lis (did you mean --list?); see b2-backup help push'],
    ['--dry-run push', '--dry-run is no option of all commands; those of one command follow its name'],
    ['push --list', '--list goes with --dry-run; see b2-backup help push'],
    ['push now', 'push does not take "now"'],
    ['list --to /x', 'list has no option --to; see b2-backup help list'],
    ['restore --to /x', 'restore needs a snapshot'],
    ['restore latest --to /x --exact', "option '--to <dir>' cannot be used with option '--exact'"],
    ['restore latest --resume', '--resume takes no snapshot'],
    ['restore --resume --exact', "option '--resume' cannot be used with option '--exact'"],
    ['restore latest --as-of 2026-01-01', '--as-of goes with --to'],
    ['undo it', 'undo does not take "it"'],
    ['restore latest --to', "option '--to <dir>' argument missing; see b2-backup help restore"],
    ['restore latest --to --dry-run', "option '--to <dir>' argument missing"],
    ['restore a b --to /x', 'restore does not take "b"'],
    ['diff', 'diff needs a snapshot'],
    ['diff live', 'diff takes the snapshot first'],
    ['diff a b c', 'diff does not take "c"'],
    ['diff a --path=', '--path needs a value'],
    ['diff a --to /x', 'diff has no option --to'],
    ['verify --read-data=1', '--read-data takes no value'],
    ['verify --sample 0', "option '--sample <percent>' argument '0' is invalid. It needs a percentage"],
    [
      'verify --sample 5% --read-data',
      "option '--sample <percent>' cannot be used with option '--read-data'",
    ],
    ['list --as-of 2026-02-31', "option '--as-of <time>' argument '2026-02-31' is invalid. It needs a time"],
    ['push --dry-run --new-bucket', "option '--new-bucket' cannot be used with option '--dry-run'"],
    ['status --state-dir=', '--state-dir needs a value'],
  ])('refuses "%s" with exit status 2', async (line, message) => {
    const { exit, out, err } = await run(line);
    expect(exit).toBe(2);
    expect(out).toBe('');
    expect(err).toMatch(/^b2-backup: .* \(B2_USAGE\)\n$/);
    expect(err).toContain(message);
    const { exit: alsoExit, document } = await json(line);
    expect(alsoExit).toBe(2);
    expect(document).toMatchObject({ ok: false, code: 'B2_USAGE' });
  });

  it('explains every command on one screen', async () => {
    const listed = (await run('help')).out.split('\nCommands:\n')[1]?.split('\n\n', 1)[0] ?? '';
    const commands = [...listed.matchAll(/^ {2}(\S+) {2,}/gm)].map(([, name]) => name);
    expect(commands.length).toBeGreaterThan(17);
    for (const line of [
      '',
      'help',
      '--help',
      ...commands.flatMap((name) => [`help ${name}`, `${name} --help`]),
    ]) {
      const { exit, out } = await run(line);
      expect(exit).toBe(0);
      expect(out).toContain('Usage: b2-backup');
      const lines = out.split('\n');
      expect(lines.length).toBeLessThanOrEqual(40);
      expect(Math.max(...lines.map((text) => text.length))).toBeLessThanOrEqual(80);
    }
  });

  it('tells its version', async () => {
    expect(await run('--version')).toMatchObject({ exit: 0, out: '1.2.3\n' });
    expect((await json('--version')).document).toEqual({ ok: true, version: '1.2.3' });
  });
});

describe('settings', () => {
  it('reach the engine', async () => {
    const push = vi.fn<Engine['push']>(async () => PUSHED);
    await run('push --state-dir state', { push });
    expect(push).toHaveBeenCalledWith(
      expect.objectContaining({ stateDir: '/work/state', bucket: 'my-bucket' }),
      { reason: 'manual', waitMs: 600_000 },
      expect.anything(),
    );
  });

  it('that are missing are one line', async () => {
    const unset = (deps: World): World => ({ ...deps, env: {} });
    const { exit, err } = await run('status', {}, unset);
    expect(exit).toBe(1);
    expect(err).toMatch(
      /^b2-backup: configuration: bucket, keyId and applicationKey: not set; [^\n]*\(B2_CONFIG\)\n$/,
    );
  });

  it('with a warning say so, on stderr or in the document', async () => {
    const engine: Partial<Engine> = {
      list: async () => ({ snapshots: [], warnings: ['two'] }),
      readHostConfig: async () => ({ config: { buckt: 1 }, warning: null }),
    };
    const withFile = (deps: World): World => ({ ...deps, fileExists: () => true });
    const { err } = await run('list', engine, withFile);
    expect(err).toBe(
      'warning: plugins.entries["b2-backup"].config.buckt: there is no such setting; it is ignored\nwarning: two\n',
    );
    const { out, err: quietErr } = await run('list --json', engine, withFile);
    expect(JSON.parse(out).warnings).toHaveLength(2);
    expect(quietErr).toBe('');
    expect((await run('list --quiet', engine, withFile)).err).toBe('');
  });
});

describe('push', () => {
  it('tells what it did', async () => {
    const { exit, out, err } = await run('push', { push: async () => PUSHED });
    expect(exit).toBe(0);
    expect(err).toBe('');
    expect(out).toBe(`Snapshot 2026-02-19T00-00-00Z-1f2e3d4c
  state     1,234 files, 30.1 MB
  uploaded  2.3 MB in 4 requests
  took      1.2 s
`);
  });

  it('tells that nothing changed', async () => {
    const { exit, out } = await run('push', { push: async () => UNCHANGED });
    expect(exit).toBe(0);
    expect(out).toMatch(/^Nothing has changed since the last snapshot\n/);
    const { document } = await json('push', { push: async () => UNCHANGED });
    expect(document).toMatchObject({ ok: true, snapshot: null, changed: false });
  });

  it('has the promised fields', async () => {
    const { document } = await json('push', { push: async () => PUSHED });
    expect(document).toMatchObject({ ok: true, ...PUSHED });
  });

  it('is silent with --quiet', async () => {
    expect(await run('push -q', { push: async () => PUSHED })).toMatchObject({ exit: 0, out: '', err: '' });
  });

  it('ends with 3 and lists what could not be backed up, also with --quiet', async () => {
    const push: Engine['push'] = async () => ({ ...PUSHED, incomplete: true, skipped: [PROBLEM] });
    const { exit, err } = await run('push --quiet', { push });
    expect(exit).toBe(3);
    expect(err).toBe(
      'The snapshot is incomplete. Missing or unusable:\n  workspace/a\\x0ab: no permission to read it (B2_PERMISSION)\n',
    );
    expect(await json('push', { push })).toMatchObject({
      exit: 3,
      document: { ok: true, incomplete: true, skipped: [PROBLEM] },
    });
    expect((await run('push', { push })).out).toMatch(/^Snapshot 2026\S+, which is incomplete\n/);
  });

  it('does not say of what is left out on purpose that it is in the snapshot', async () => {
    const message = 'is left out: it may hold secrets, and nothing is encrypted';
    const left = {
      path: 'workspace/.env',
      code: 'B2_SKIPPED_SECRET',
      message,
      missing: false,
      failure: false,
    };
    const push: Engine['push'] = async () => ({ ...PUSHED, skipped: [left] });
    const { err } = await run('push', { push });
    expect(err).toContain(`Left out on purpose:\n  workspace/.env: ${message}`);
    expect(err).not.toContain('In the snapshot');
  });

  it('only plans with --dry-run', async () => {
    const plan: Engine['plan'] = async () => ({
      files: 2,
      bytes: 2000,
      changedFiles: 1,
      changedBytes: 1000,
      entries: [
        { path: 'a', included: true, bytes: 1000, changed: true },
        { path: 'b', included: true, bytes: 1000, changed: false },
        { path: 'media', included: false, reason: 'regenerable', bytes: 5_000_000, changed: false },
      ],
      skipped: [],
      warnings: [],
    });
    const { exit, out } = await run('push --dry-run --list', { plan });
    expect(exit).toBe(0);
    expect(out).toBe(`        SIZE  PATH
new   1.0 kB  a
same  1.0 kB  b
out   5.0 MB  media  (regenerable)

A push would back up
  state           2 files, 2.0 kB
  new or changed  1 file, 1.0 kB before compression
What you wrote into the configuration and workspaces is in it, encrypted, with the keys and tokens there; \
this plugin's own keys never are, logins only with includeSecrets.
`);
    const plain = await run(
      'push --dry-run',
      {
        plan,
        readHostConfig: async () => ({ config: { encrypt: false }, warning: null }),
      },
      (deps) => ({ ...deps, fileExists: () => true }),
    );
    expect(plain.out).toContain('Nothing is encrypted: known files of keys');
    expect((await run('push --dry-run', { plan })).out).toContain('--list');
    expect((await json('push --dry-run', { plan })).document).not.toHaveProperty('entries');
    const { document } = await json('push --dry-run --list', { plan });
    expect(document['entries']).toEqual([
      { path: 'a', included: true, reason: null, bytes: 1000, changed: true },
      { path: 'b', included: true, reason: null, bytes: 1000, changed: false },
      { path: 'media', included: false, reason: 'regenerable', bytes: 5_000_000, changed: false },
    ]);
  });
});

describe('list', () => {
  const { reason: __, ...unknownReason } = SNAPSHOT;
  const changes = { added: 1, changed: 2, removed: 3, storedBytes: 4, most: [{ path: 'a', bytes: 5 }] };
  const snapshots = [
    { ...SNAPSHOT, authenticated: false, changes },
    { ...unknownReason, kind: 'safety', machine: 'aaaaaaaa\u001b', thisMachine: false },
    { ...unknownReason, problem: 'none of the secrets opens it' },
  ];

  it('shows a table', async () => {
    const { exit, out } = await run('list', { list: async () => ({ snapshots, warnings: [] }) });
    expect(exit).toBe(0);
    const plain = out.replace(/ +/g, ' ');
    expect(plain).toContain('SNAPSHOT TAKEN WHY MACHINE FILES SIZE\n');
    expect(plain).toContain(
      '-1f2e3d4c 2026-02-19 00:00 manual 1f2e3d4c (this) 1,234 30.1 MB not authenticated\n',
    );
    expect(plain).toContain(' safety aaaaaaaa\\x1b 1,234 30.1 MB\n');
    expect(plain).toContain(' - 1f2e3d4c (this) - - none of the secrets opens it\n');
  });

  it('says when there are none', async () => {
    const { out } = await run('list', { list: async () => ({ snapshots: [], warnings: [] }) });
    expect(out).toContain('no snapshots yet');
  });

  it('has null where a reason is unknown', async () => {
    const { document } = await json('list', { list: async () => ({ snapshots, warnings: [] }) });
    expect(document['snapshots']).toMatchObject([
      {
        id: SNAPSHOT.id,
        kind: 'regular',
        reason: 'manual',
        format: 2,
        authenticated: false,
        problem: null,
        changes,
      },
      { kind: 'safety', reason: null, changes: null },
      { reason: null, problem: 'none of the secrets opens it' },
    ]);
  });
});

describe('a snapshot that lacks something', () => {
  const lacking = { incomplete: true, remarks: [PROBLEM] };
  const named = '  workspace/a\\x0ab: no permission to read it (B2_PERMISSION)\n';

  it('is marked in the list', async () => {
    const snapshots = [{ ...SNAPSHOT, ...lacking, moreRemarks: 2 }];
    const list: Engine['list'] = async () => ({ snapshots, warnings: [] });
    expect((await run('list', { list })).out).toContain('incomplete: lacks workspace/a\\x0ab and 2 more\n');
    expect((await json('list', { list })).document).toMatchObject({
      snapshots: [{ ...lacking, moreRemarks: 2 }],
    });
  });

  it('is restored with exit status 3, and what it lacks is named', async () => {
    const restore: Engine['restore'] = async () => ({ ...RESTORED, ...lacking });
    const { exit, err } = await run('restore latest --to /x', { restore });
    expect(exit).toBe(3);
    expect(err).toBe(`The snapshot is incomplete. Missing or unusable:\n${named}`);
    expect((await json('restore latest --to /x', { restore })).document).toMatchObject(lacking);
    // What was saved, though torn, is no lack.
    const torn = { ...PROBLEM, code: 'B2_CHANGED_WHILE_READ', missing: false };
    const saved = { ...RESTORED, remarks: [torn] };
    expect(await run('restore latest --to /x', { restore: async () => saved })).toMatchObject({
      exit: 0,
      err: expect.stringContaining('Backed up, with a warning:\n'),
    });
  });

  it('names only so many on a terminal', async () => {
    const remarks = Array.from({ length: 203 }, (_, at) => ({ ...PROBLEM, path: `${at}` }));
    const restore: Engine['restore'] = async () => ({ ...RESTORED, incomplete: true, remarks });
    const { err } = await run('restore latest --to /x', { restore });
    expect(err).toMatch(/\n {2}199: .*\n {2}and 3 more; --json names all\n$/);
  });
});

describe('restore', () => {
  it('passes everything on', async () => {
    const restore = vi.fn<Engine['restore']>(async () => RESTORED);
    await run('restore latest --to out --path a --path b/c --allow-unauthenticated', { restore });
    expect(restore.mock.calls[0]?.[1]).toEqual({
      snapshot: 'latest',
      to: '/work/out',
      paths: ['a', 'b/c'],
      allowUnauthenticated: true,
    });
    await run('restore latest --to /out', { restore });
    expect(restore.mock.calls[1]?.[1]).toEqual({ snapshot: 'latest', to: '/out' });
  });

  it('tells what it did, and what could not be', async () => {
    const restore: Engine['restore'] = async () => ({ ...RESTORED, failed: [PROBLEM, PROBLEM] });
    const { exit, out, err } = await run('restore latest --to /out', { restore });
    expect(exit).toBe(3);
    expect(out).toContain(`Restored ${SNAPSHOT.id} to /out\n`);
    expect(err).toMatch(/^2 files could not be restored:\n/);
    expect(await json('restore latest --to /out', { restore })).toMatchObject({
      exit: 3,
      document: {
        ok: true,
        snapshot: SNAPSHOT.id,
        files: 10,
        bytes: 1000,
        downloadedBytes: 500,
        requests: 3,
      },
    });
  });
});

describe('failures', () => {
  it('are one line with the code, and exit status 1', async () => {
    const list: Engine['list'] = () =>
      Promise.reject(new BackupError('cannot reach x:\nreset', { code: 'B2_NETWORK' }));
    expect(await run('list', { list })).toMatchObject({
      exit: 1,
      out: '',
      err: 'b2-backup: cannot reach x:\\x0areset (B2_NETWORK)\n',
    });
    expect(await json('list', { list })).toEqual({
      exit: 1,
      document: { ok: false, code: 'B2_NETWORK', message: 'cannot reach x:\nreset' },
    });
  });

  it('include defects', async () => {
    const list: Engine['list'] = () => Promise.reject(new TypeError('x is undefined'));
    expect((await run('list', { list })).err).toContain('(B2_INTERNAL)');
  });
});
