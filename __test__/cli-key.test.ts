import { describe, expect, it, vi } from 'vitest';
import type { KeyInfo, ListReport, NewRecoveryCode } from '../index.js';
import type { Ask } from '../ts/cli/deps.ts';
import type { Engine } from '../ts/engine.ts';
import { BackupError } from '../ts/errors.ts';
import { json, PUSHED, run, SNAPSHOT } from './cli-support.ts';
import { coded, type World } from './support.ts';

const CODE = '01230-4567M-89AB9-CDEFS-GHJKJ-MNPQ6-RSTVV';
const SLOT: KeyInfo = {
  id: '1a2b3c4d5e6f708192a3b4c5d6e7f809',
  kind: 'application-key',
  createdAt: '2026-02-19T00:00:00Z',
  repository: '565d365a',
  thisMachine: true,
  opens: true,
  inUse: true,
  prefix: 'openclaw-backup',
};
const OTHER: KeyInfo = {
  ...SLOT,
  id: 'ffffffff5e6f708192a3b4c5d6e7f809',
  kind: 'recovery-code',
  repository: '\u001bevil',
  thisMachine: false,
  inUse: false,
};
const { opens: _, prefix: _prefix, ...UNTRIED } = OTHER;
const MADE: NewRecoveryCode = {
  code: CODE,
  slots: [{ ...SLOT, kind: 'recovery-code' }],
  locked: ['aaaaaaaa'],
  warnings: [],
};
const WRONG = new BackupError('nothing opens it', { code: 'B2_WRONG_KEY' });

/** A world in which questions are answered in turn, and are kept. */
function answering(...answers: (string | undefined)[]) {
  const asked: { question: string; hidden: boolean }[] = [];
  const ask: Ask = async (question, { hidden }) => {
    asked.push({ question, hidden });
    return answers.shift();
  };
  return { asked, world: (deps: World): World => ({ ...deps, ask }) };
}

function confirming(answer: boolean) {
  const shown: string[] = [];
  const confirm = async (lines: readonly string[]): Promise<boolean> => {
    shown.push(lines.join('\n'));
    return answer;
  };
  return { shown, world: (deps: World): World => ({ ...deps, confirm }) };
}

describe('usage', () => {
  it.each([
    ['key', 'key needs one of list, recovery, add and remove'],
    ['key frobnicate', 'key needs one of'],
    ['key list --force', 'key list has no option --force'],
    ['key recovery --yes', 'key recovery has no option --yes'],
    ['key remove', 'key remove needs a slot'],
    [
      'key add --passphrase --application-key',
      "option '--passphrase' cannot be used with option '--application-key'",
    ],
    ['key list --dry-run', 'key list has no option --dry-run'],
    ['--json key recovery', '--show-code'],
    ['push --force', 'push has no option --force'],
  ])('refuses "%s"', async (line, message) => {
    const { exit, out, err } = await run(line);
    expect(exit).toBe(2);
    expect(out + err).toContain(message);
  });

  it.each([
    'key add swordfish',
    'key swordfish',
    'key add --passphrase=swordfish',
    'key add --recovery-code=swordfish',
    `key recovery ${CODE}`,
    `key list ${CODE}`,
  ])('takes no secret from the command line, and repeats none: %s', async (line) => {
    const { exit, out, err } = await run(line);
    expect(exit).toBe(2);
    expect(out + err).not.toMatch(/swordfish|01230/);
  });
});

describe('key list', () => {
  const keys: Engine['keys'] = async () => ({ slots: [SLOT, UNTRIED], warnings: ['w'] });

  it('shows a table', async () => {
    const { exit, out, err } = await run('key list', { keys });
    expect(exit).toBe(0);
    expect(err).toBe('warning: w\n');
    const plain = out.replace(/ +/g, ' ');
    expect(plain).toContain(
      '1a2b3c4d application key 2026-02-19 00:00 565d365a (this machine) openclaw-backup yes in use\n',
    );
    expect(plain).toContain('ffffffff recovery code 2026-02-19 00:00 \\x1bevil any prefix not tried\n');
    const none: Engine['keys'] = async () => ({ slots: [], warnings: [] });
    expect((await run('key list', { keys: none })).out).toContain('no key slots');
  });

  it('has the whole id in its document', async () => {
    const { document } = await json('key list', { keys });
    expect(document).toEqual({
      ok: true,
      slots: [SLOT, { ...OTHER, opens: null, prefix: null }],
      warnings: ['w'],
    });
  });
});

describe('key recovery', () => {
  it('shows the code once, on stdout, and says what it is for', async () => {
    const newRecoveryCode = vi.fn<Engine['newRecoveryCode']>(async () => MADE);
    const { exit, out, err } = await run('key recovery', { newRecoveryCode });
    expect(exit).toBe(0);
    expect(out.split(CODE)).toHaveLength(2);
    expect(out).toMatch(/Print it or write it down now/);
    expect(out).toContain('Whoever has it');
    expect(err).toContain('not good for 1 repository that nothing given here opens: aaaaaaaa');
    expect(err).not.toContain(CODE);
    expect(newRecoveryCode).toHaveBeenCalledTimes(1);
  });

  it('keeps it out of logs unless told otherwise', async () => {
    const newRecoveryCode = vi.fn<Engine['newRecoveryCode']>(async () => MADE);
    const refused = await json('key recovery', { newRecoveryCode });
    expect(refused).toMatchObject({ exit: 2, document: { ok: false, code: 'B2_USAGE' } });
    expect(newRecoveryCode, 'a code that nobody saw is not made').not.toHaveBeenCalled();
    const { document } = await json('key recovery --show-code', { newRecoveryCode });
    expect(document).toMatchObject({ ok: true, recoveryCode: CODE, locked: ['aaaaaaaa'] });
  });
});

describe('an output that nobody sees', () => {
  const full = (code: string) => (deps: World) => {
    deps.stdout.broken = Object.assign(new Error(code), { code });
    return deps;
  };
  const newRecoveryCode: Engine['newRecoveryCode'] = async () => MADE;

  it.each([
    ['ENOSPC', 'B2_DISK_FULL'],
    ['EPIPE', 'B2_IO'],
    ['EIO', 'B2_IO'],
  ])('takes a recovery code back: %s', async (failure, code) => {
    const removeKey = vi.fn<Engine['removeKey']>(async () => ({ slot: SLOT, warnings: ['w'] }));
    const { exit, err } = await run('key recovery', { newRecoveryCode, removeKey }, full(failure));
    expect(exit).toBe(1);
    expect(err).toContain(`the output could not be written`);
    expect(err).toContain(`(${code})`);
    expect(err).toContain('The recovery code was taken back');
    expect(removeKey.mock.calls.map(([, slot, options]) => [slot, options?.force])).toEqual(
      MADE.slots.map(({ id }) => [id, true]),
    );
  });

  it('says which slot stays where it cannot be taken back', async () => {
    const removeKey: Engine['removeKey'] = () => Promise.reject(coded('B2_CAPABILITY', 'the key may not'));
    const { exit, err } = await run('key recovery', { newRecoveryCode, removeKey }, full('ENOSPC'));
    expect(exit).toBe(1);
    expect(err).toContain('stays (the key may not): b2-backup key remove 1a2b3c4d');
  });

  it('fails where it was asked for, and not where it only says that all was done', async () => {
    expect(await run('list', {}, full('ENOSPC'))).toMatchObject({ exit: 1 });
    expect(await run('list', {}, full('EPIPE'))).toMatchObject({ exit: 141, err: '' });
    expect(await run('--help', {}, full('ENOSPC'))).toMatchObject({ exit: 1 });
    const push: Engine['push'] = async () => PUSHED;
    expect(await run('push', { push }, full('EPIPE'))).toMatchObject({ exit: 0, err: '' });
    expect(await run('push', { push }, full('ENOSPC'))).toMatchObject({ exit: 0 });
    expect(await run('push --json', { push }, full('ENOSPC'))).toMatchObject({ exit: 1 });
  });
});

describe('key add', () => {
  const added = { slots: [SLOT], locked: [], warnings: [] };

  it('takes what is configured', async () => {
    const addKey = vi.fn<Engine['addKey']>(async () => added);
    expect((await run('key add', { addKey })).out).toContain('Key slot 1a2b3c4d added: application key');
    await run('key add --application-key', { addKey });
    expect(addKey.mock.calls.map((call) => call[1])).toEqual([
      { waitMs: 600_000 },
      { waitMs: 600_000, applicationKey: true },
    ]);
    const nothing: Engine['addKey'] = async () => ({ ...added, slots: [] });
    expect((await run('key add', { addKey: nothing })).out).toContain('opens the backups already');
  });

  it('asks for a passphrase, twice, without showing it', async () => {
    const addKey = vi.fn<Engine['addKey']>(async () => added);
    const { asked, world } = answering('sword fish', 'sword fish');
    const { exit, out, err } = await run('key add --passphrase', { addKey }, world);
    expect(exit).toBe(0);
    expect(addKey.mock.calls[0]?.[1]).toEqual({ waitMs: 600_000, passphrase: 'sword fish' });
    expect(asked.map(({ hidden }) => hidden)).toEqual([true, true]);
    expect(out + err + JSON.stringify(asked)).not.toContain('sword');
  });

  it.each([[['one', 'two']], [['one', undefined]], [['']], [[undefined]]])(
    'adds nothing for %j',
    async (answers) => {
      const addKey = vi.fn<Engine['addKey']>(async () => added);
      const { exit } = await run('key add --passphrase', { addKey }, answering(...answers).world);
      expect(exit).toBe(1);
      expect(addKey).not.toHaveBeenCalled();
    },
  );

  it('says what to do where nobody can be asked', async () => {
    const { exit, err } = await run('key add --passphrase');
    expect({ exit, err }).toMatchObject({ exit: 2, err: expect.stringContaining('B2_BACKUP_PASSPHRASE') });
    expect((await run('key add --unlock')).err).toContain('B2_BACKUP_RECOVERY_CODE');
  });

  it('takes a recovery code for what does not open here yet', async () => {
    const addKey = vi.fn<Engine['addKey']>(async () => added);
    const checkRecoveryCode = async (): Promise<void> => {};
    await run('key add --unlock', { addKey, checkRecoveryCode }, answering(CODE).world);
    expect(addKey.mock.calls[0]?.[0]).toMatchObject({ recoveryCode: CODE });
    // One that is given is not asked for.
    const { asked, world } = answering();
    const given = (deps: World): World => {
      const env = { ...deps.env, B2_BACKUP_RECOVERY_CODE: CODE };
      return { ...world(deps), env };
    };
    await run('key add --unlock', { addKey }, given);
    expect(addKey.mock.calls[1]?.[0]).toMatchObject({ recoveryCode: CODE });
    expect(asked).toEqual([]);
  });
});

describe('key remove', () => {
  const keys: Engine['keys'] = async () => ({ slots: [SLOT, OTHER], warnings: [] });
  const removeKey = () => vi.fn<Engine['removeKey']>(async () => ({ slot: OTHER, warnings: [] }));

  it('says what removing does and does not do, and asks', async () => {
    const remove = removeKey();
    const { shown, world } = confirming(true);
    const { exit, out } = await run('key remove FFFF', { keys, removeKey: remove }, world);
    expect(exit).toBe(0);
    expect(shown[0]).toMatch(/ffffffff[\s\S]*recovery code[\s\S]*\\x1bevil/);
    expect(shown[0]).toMatch(/so far keep a copy[\s\S]*new ones too[\s\S]*another\nprefix/);
    expect(remove.mock.calls[0]?.slice(1, 3)).toEqual([OTHER.id, { force: false, waitMs: 600_000 }]);
    expect(out).toBe('Key slot ffffffff removed\n');
  });

  it('changes nothing when the user does not agree, or means none', async () => {
    const remove = removeKey();
    expect((await run('key remove ffff', { keys, removeKey: remove }, confirming(false).world)).exit).toBe(1);
    const { shown, world } = confirming(true);
    for (const slot of ['swordfish', '1', 'f'.repeat(9)]) {
      const twice: Engine['keys'] = async () => ({
        slots: [SLOT, { ...SLOT, id: `1${OTHER.id}` }],
        warnings: [],
      });
      const { exit, err } = await run(`key remove ${slot}`, { keys: twice, removeKey: remove }, world);
      expect({ exit, err }).toEqual({
        exit: 1,
        err: 'b2-backup: no single key slot has that id; see b2-backup key list (B2_KEY_SLOT)\n',
      });
    }
    expect(shown).toEqual([]);
    expect(remove).not.toHaveBeenCalled();
  });

  it('wants --yes where nobody can be asked, and then says it afterwards', async () => {
    const remove = removeKey();
    expect((await run('key remove ffff', { keys, removeKey: remove })).exit).toBe(2);
    const { out } = await run('key remove ffff --yes --force', { removeKey: remove });
    expect(remove.mock.calls[0]?.slice(1, 3)).toEqual(['ffff', { force: true, waitMs: 600_000 }]);
    expect(out).toMatch(/removed\n.*will not carry/);
    expect((await json('key remove ffff --yes', { removeKey: remove })).document).toEqual({
      ok: true,
      slot: OTHER,
      warnings: [],
    });
  });
});

describe('a list', () => {
  it('says by its status whether something in it cannot be read', async () => {
    const other = (problemCode: string) => ({
      ...SNAPSHOT,
      authenticated: false,
      problem: 'no',
      problemCode,
    });
    const status = async (...snapshots: ListReport['snapshots']) =>
      (await run('list', { list: async () => ({ snapshots, warnings: [] }) })).exit;
    expect(await status(SNAPSHOT)).toBe(0);
    expect(await status(SNAPSHOT, other('B2_DAMAGED'))).toBe(3);
    // Of somebody else who backs up to this bucket.
    expect(await status(SNAPSHOT, other('B2_WRONG_KEY'))).toBe(0);
    expect(await status(other('B2_WRONG_KEY'))).toBe(3);
  });
});

describe('a recovery code', () => {
  const LOCKED: ListReport = {
    snapshots: [{ ...SNAPSHOT, authenticated: false, problem: 'no key', problemCode: 'B2_WRONG_KEY' }],
    warnings: [],
  };
  const OPEN: ListReport = { snapshots: [SNAPSHOT], warnings: [] };
  const mistyped = new BackupError('the recovery code is mistyped: group 3 is mistyped', {
    code: 'B2_RECOVERY_CODE',
  });
  const check = async (code: string): Promise<void> => {
    if (code !== CODE) throw mistyped;
  };
  const restored = {
    snapshot: SNAPSHOT.id,
    files: 1,
    bytes: 1,
    downloadedBytes: 1,
    requests: 1,
    failed: [],
    incomplete: false,
    remarks: [],
    roots: [],
    warnings: [],
    durationMs: 1,
  };

  it('is asked for where nothing opens, until it is typed right', async () => {
    const restore = vi.fn<Engine['restore']>(async ({ recoveryCode }) => {
      if (recoveryCode !== CODE) throw WRONG;
      return restored;
    });
    const { asked, world } = answering('K7QX9', ` ${CODE}\n`);
    const engine = { restore, checkRecoveryCode: check };
    const { exit, err, out } = await run('restore latest --to /out', engine, world);
    expect(exit).toBe(0);
    expect(asked).toEqual([
      { question: 'Recovery code: ', hidden: false },
      { question: 'Recovery code: ', hidden: false },
    ]);
    expect(err).toContain('Nothing that is configured here opens these backups');
    expect(err).toContain('group 3 is mistyped; please type it again.\n');
    expect(out + err).not.toMatch(/K7QX9|01230/);
    expect(restore).toHaveBeenCalledTimes(2);
  });

  it('is asked for five times at most', async () => {
    const engine = { restore: () => Promise.reject(WRONG), checkRecoveryCode: check };
    const { asked, world } = answering(...Array<string>(9).fill('wrong'));
    const { exit, err } = await run('restore latest --to /out', engine, world);
    expect({ exit, times: asked.length }).toEqual({ exit: 1, times: 5 });
    expect(err).toContain('B2_RECOVERY_CODE');
  });

  it('may be left out: then it is as if nobody had asked', async () => {
    const engine = { restore: () => Promise.reject(WRONG), list: async () => LOCKED };
    const { err } = await run('restore latest --to /out', engine, answering('').world);
    expect(err).toContain('nothing opens it (B2_WRONG_KEY)');
    const { exit, out } = await run('list', engine, answering(undefined).world);
    expect(exit).toBe(3);
    expect(out).toContain('no key');
  });

  it('is not asked for by a trial restore, which proves what is configured', async () => {
    const drill = vi.fn<Engine['drill']>(() => Promise.reject(WRONG));
    const { asked, world } = answering(CODE);
    const { exit, err } = await run('drill', { drill, checkRecoveryCode: check }, world);
    expect({ exit, asked, times: drill.mock.calls.length }).toEqual({ exit: 1, asked: [], times: 1 });
    expect(err).toContain('B2_WRONG_KEY');
  });

  it('makes a list readable', async () => {
    const list = vi.fn<Engine['list']>(async ({ recoveryCode }) => (recoveryCode === CODE ? OPEN : LOCKED));
    const { out } = await run('list', { list, checkRecoveryCode: check }, answering(CODE).world);
    expect(out).not.toContain('no key');
    // Where some open, the rest are somebody else's.
    const mixed: Engine['list'] = async () => ({
      snapshots: [...LOCKED.snapshots, SNAPSHOT],
      warnings: [],
    });
    const { asked, world } = answering(CODE);
    await run('list', { list: mixed }, world);
    expect(asked).toEqual([]);
  });

  it('is for a rollback, too, for all of it', async () => {
    const planRollback = vi.fn<Engine['planRollback']>(async ({ recoveryCode }) => {
      if (recoveryCode === undefined) throw WRONG;
      return {
        snapshot: SNAPSHOT.id,
        createdAt: '2026-02-19T00:00:00Z',
        entries: [{ path: 'a', action: 'add', bytes: 1, database: false }],
        leftOut: [],
        bytes: 1,
        fetchBytes: 1,
        touches: { configuration: false, hooks: false, skills: false },
        effects: [],
        needsApproval: [],
        needsRestart: false,
        hash: 'h',
        warnings: [],
      };
    });
    const rollBack = vi.fn<Engine['rollBack']>(async () => {
      throw new BackupError('enough', { code: 'B2_CANCELLED' });
    });
    const engine = { planRollback, rollBack, checkRecoveryCode: check };
    await run('restore latest --yes', engine, answering(CODE).world);
    expect(rollBack.mock.calls[0]?.[0]).toMatchObject({ recoveryCode: CODE });
  });

  it.each(['--json restore latest --to /out', '--json list'])('is never asked for in %s', async (line) => {
    const engine = { restore: () => Promise.reject(WRONG), list: async () => LOCKED };
    const { asked, world } = answering(CODE);
    await run(line, engine, world);
    expect(asked).toEqual([]);
  });

  it('comes from the environment, and a folder then needs no passphrase to be read', async () => {
    const list = vi.fn<Engine['list']>(async () => OPEN);
    const folder =
      (env: NodeJS.ProcessEnv) =>
      (deps: World): World => ({
        ...deps,
        env: { B2_BUCKET: 'file:///mnt/b', ...env },
      });
    expect((await run('list', { list }, folder({}))).err).toContain('B2_BACKUP_PASSPHRASE');
    const given = { B2_BACKUP_RECOVERY_CODE: CODE };
    expect((await run('list', { list }, folder(given))).exit).toBe(0);
    expect(list.mock.calls[0]?.[0]).toMatchObject({ recoveryCode: CODE, bucket: 'file:///mnt/b' });
    // Backing up needs a secret of its own.
    expect((await run('push', {}, folder(given))).err).toContain('B2_BACKUP_PASSPHRASE');
    expect((await run('restore latest', {}, folder(given))).err).toContain('B2_BACKUP_PASSPHRASE');
    // Nor where it can be asked for.
    const { world } = answering(undefined);
    expect((await run('list', { list }, (deps) => world(folder({})(deps)))).exit).toBe(0);
  });
});
