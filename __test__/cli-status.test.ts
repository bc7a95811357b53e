import { describe, expect, it, vi } from 'vitest';
import type { Engine } from '../ts/engine.ts';
import { json, PROBLEM, run, SNAPSHOT } from './cli-support.ts';

describe('status', () => {
  const report = {
    stateDir: '/s',
    bucket: 'b',
    prefix: 'p',
    encrypt: true,
    snapshots: 0,
    machines: [],
    storedBytes: 0,
    damagedPacks: 0,
    pending: true,
    opensWith: [],
    incomplete: false,
    remarks: [],
    warnings: [],
  };

  it('shows what is there, and what is not yet', async () => {
    const { exit, out } = await run('status', { status: async () => report });
    expect(exit).toBe(0);
    expect(out).toContain('none yet');
    expect(out).toContain('the next push finishes it');
    expect((await json('status', { status: async () => report })).document).toMatchObject({
      ok: true,
      machine: null,
      lastSnapshot: null,
      pending: true,
      opensWith: [],
      warnings: [],
    });
  });

  it('names what the newest snapshot lacks', async () => {
    const lacking = { ...report, lastSnapshot: SNAPSHOT.id, incomplete: true, remarks: [PROBLEM] };
    const { exit, out, err } = await run('status', { status: async () => lacking });
    expect(exit).toBe(0);
    expect(out).toContain(`last snapshot  ${SNAPSHOT.id}, incomplete\n`);
    expect(err).toContain('The snapshot is incomplete. Missing or unusable:\n  workspace/a\\x0ab: ');
    const { document } = await json('status', { status: async () => lacking });
    expect(document).toMatchObject({ incomplete: true, remarks: [PROBLEM] });
  });

  it('warns while one lost key would be the end', async () => {
    const only = { ...report, opensWith: ['application-key'] };
    const { exit, out, err } = await run('status', { status: async () => only });
    expect(exit).toBe(0);
    expect(out).toContain('opens with     application key\n');
    expect(err).toMatch(/^warning: only the B2 application key opens .*"b2-backup key recovery"/);
    for (const opensWith of [[], ['passphrase'], ['application-key', 'recovery-code']]) {
      expect((await run('status', { status: async () => ({ ...report, opensWith }) })).err).toBe('');
    }
    const { document } = await json('status', { status: async () => only });
    expect(document).toMatchObject({ opensWith: ['application-key'], warnings: [expect.any(String)] });
  });
});

describe('settings', () => {
  it('are told with where they came from, by status and doctor, and never with a secret', async () => {
    const engine: Partial<Engine> = {
      status: async () => ({
        stateDir: '/s',
        bucket: 'b',
        prefix: 'p',
        encrypt: true,
        snapshots: 0,
        machines: [],
        storedBytes: 0,
        damagedPacks: 0,
        pending: false,
        opensWith: [],
        incomplete: false,
        remarks: [],
        warnings: [],
      }),
      doctor: async () => ({ findings: [], problems: 0, requests: 1, durationMs: 1 }),
    };
    for (const command of ['status', 'doctor']) {
      const { out } = await run(`${command} --state-dir /s`, engine, (deps) => ({
        ...deps,
        env: { ...deps.env, B2_APPLICATION_KEY: 'K004secret' },
      }));
      expect(out).toContain(`Settings
  stateDir        flag --state-dir
  keyId           environment B2_APPLICATION_KEY_ID
  applicationKey  environment B2_APPLICATION_KEY
  bucket          environment B2_BUCKET
  prefix          default
`);
      expect(out).not.toContain('K004secret');
      const { document } = await json(command, engine);
      expect(document['settings']).toContainEqual({
        setting: 'bucket',
        source: 'environment',
        name: 'B2_BUCKET',
      });
      expect(document['settings']).toContainEqual({ setting: 'encrypt', source: 'default', name: null });
    }
  });
});

describe('several machines', () => {
  const machine = (id: string, parts: object = {}) => ({
    machine: id,
    thisMachine: false,
    snapshots: 3,
    lastSnapshot: '2026-02-19T00-00-00Z-1f2e3d4c',
    lastSnapshotAt: 'then',
    storedBytes: 1_000_000,
    silent: false,
    ...parts,
  });

  it('are told apart by status', async () => {
    const machines = [machine('aaaaaaaa', { thisMachine: true }), machine('bbbbbbbb', { silent: true })];
    const status = {
      stateDir: '/s',
      bucket: 'b',
      prefix: 'p',
      encrypt: true,
      snapshots: 6,
      machines,
      storedBytes: 0,
      damagedPacks: 0,
      pending: false,
      opensWith: [],
      incomplete: false,
      remarks: [],
      warnings: [],
    };
    const older = { ...SNAPSHOT, machine: 'bbbbbbbb', machineName: 'annas-old-name' };
    const snapshots = [older, { ...older, machineName: 'anna-laptop' }, { ...SNAPSHOT, machine: 'aaaaaaaa' }];
    const engine = { status: async () => status, list: async () => ({ snapshots, warnings: [] }) };
    const { out } = await run('status', engine);
    expect(out).toContain(`MACHINE                 SNAPSHOTS  STORED  NEWEST
aaaaaaaa (this)                 3  1.0 MB  then
anna-laptop (bbbbbbbb)          3  1.0 MB  then    silent
`);
    const { document } = await json('status', engine);
    expect(document).toMatchObject({
      machines: [
        { ...machines[0], machineName: null },
        { ...machines[1], machineName: 'anna-laptop' },
      ],
    });
  });

  it('can be listed one by one', async () => {
    const list = async () => ({
      snapshots: [SNAPSHOT, { ...SNAPSHOT, id: 'other', machine: 'ffffffff' }],
      warnings: [],
    });
    const { document } = await json('list --machine ffffffff', { list });
    expect(document['snapshots']).toMatchObject([{ id: 'other' }]);
    expect((await run('list --machine 00000000', { list })).out).toContain(
      'no snapshots of machine 00000000',
    );
  });

  it('are adopted when that is confirmed', async () => {
    const report = {
      machine: '1f2e3d4c',
      before: 'aaaaaaaa',
      snapshots: 3,
      lastSnapshot: SNAPSHOT.id,
      lastSnapshotAt: 'then',
      warnings: [],
    };
    const adopt = vi.fn<Engine['adopt']>(async () => report);
    expect((await run('adopt 1f2e3d4c', { adopt })).err).toContain('--yes');
    const answering = (answer: boolean) =>
      run('adopt 1f2e3d4c', { adopt }, (deps) => ({ ...deps, confirm: async () => answer }));
    expect((await answering(false)).err).toContain('nothing was changed (B2_CANCELLED)');
    expect(adopt).not.toHaveBeenCalled();
    expect((await answering(true)).out).toContain('This is machine 1f2e3d4c now');
    expect(adopt.mock.calls[0]?.[1]).toBe('1f2e3d4c');
    expect((await json('adopt 1f2e3d4c --yes', { adopt })).document).toMatchObject({ ok: true, ...report });
    expect((await run('adopt')).exit).toBe(2);
  });
});
