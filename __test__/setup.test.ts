/** From nothing to a proven backup: with the real engine, against a B2 that keeps what it is told. */
import { existsSync, lstatSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { contentOf } from '../ts/setup/json5-edit.ts';
import { addon } from './addon-support.ts';
import { EVERYTHING, KEY } from './fake-b2.ts';
import { type Answers, askedGroup, Place, STOP } from './setup-support.ts';

const WORDS = 'tulip granite orbit velvet mango';
const GROUPS: Answers = [
  ['group', askedGroup],
  ['group', askedGroup],
];
const AT_B2: Answers = [
  ['Key id', KEY.id],
  ['Application key', KEY.secret],
];

let place: Place;
beforeEach(async () => {
  place = await Place.make();
});
afterEach(() => place.remove());

interface Settings {
  readonly [field: string]: unknown;
}
const settings = (): Settings => {
  const { plugins } = contentOf(place.text()) as {
    plugins?: { entries: { 'b2-backup': { enabled: boolean; config: Settings } } };
  };
  return plugins?.entries['b2-backup'].config ?? {};
};
const keys = () => [...place.b2.keys.values()].filter(({ id }) => id !== KEY.id);

describe.skipIf(addon === undefined)('setup, asked at a terminal', () => {
  it('makes bucket, key, rule and passphrase, proves the backup, and writes the settings', async () => {
    const { exit, out, err, shown, left } = await place.setup('', {
      answers: [...AT_B2, ['Its name', 'claw-of-the-kitchen'], ...GROUPS],
    });
    expect({ exit, err, left }).toEqual({ exit: 0, err: '', left: 0 });
    expect(out.trimEnd().split('\n').at(-1)).toBe('Proven: your backup restores.');
    const bucket = place.b2.bucket('claw-of-the-kitchen');
    expect(bucket).toMatchObject({
      bucketType: 'allPrivate',
      lifecycleRules: [
        { fileNamePrefix: 'openclaw-backup/', daysFromHidingToDeleting: 30, daysFromUploadingToHiding: null },
      ],
    });
    expect(keys()).toEqual([
      {
        id: expect.any(String),
        secret: expect.any(String),
        capabilities: ['listBuckets', 'listFiles', 'readFiles', 'writeFiles'],
        buckets: [bucket?.bucketId],
        namePrefix: 'openclaw-backup/',
      },
    ]);
    const passphrase = String(settings()['passphrase']);
    expect(settings()).toEqual({
      bucket: 'claw-of-the-kitchen',
      keyId: keys()[0]?.id,
      applicationKey: keys()[0]?.secret,
      passphrase,
    });
    expect(passphrase.split(' ')).toHaveLength(6);
    expect(shown.split(passphrase)).toHaveLength(2);
    expect(place.text()).toContain('  // mine\n  gateway: { port: 18789 },\n');
    expect(lstatSync(place.config).mode & 0o777).toBe(0o600);
    // What was given is nowhere, and nothing secret is printed.
    expect(place.text()).not.toContain(KEY.secret);
    expect(out).not.toContain(passphrase);
    expect(shown).toContain('▀');
  });

  it('opens with the recovery code that was typed back, and not with another', async () => {
    const { exit, shown, problems } = await place.setup(`--bucket ${place.folder('disk')}`, {
      answers: [
        ['group', 'XXXXX'],
        ['group', 'XXXXX'],
        ['group', 'XXXXX'],
        ['group', (text) => askedGroup(text).toLowerCase()],
        ['group', askedGroup],
      ],
    });
    expect(exit).toBe(0);
    expect(problems).toHaveLength(3);
    expect(problems[0]).toMatch(/^That is not group \d\./);
    const code = /^([0-9A-Z]{5}(?:-[0-9A-Z]{5}){6})$/m.exec(shown)?.[1] ?? '';
    // Once more after three wrong answers.
    expect(shown.split(`\n${code}\n`)).toHaveLength(3);
    const bare = {
      stateDir: join(place.directory, 'blank'),
      bucket: place.folder('disk'),
      recoveryCode: code,
    };
    const { snapshots } = await place.engine().list(bare);
    expect(snapshots).toMatchObject([{ authenticated: true }]);
  });

  it('answers with what to do, and asks again', async () => {
    place.b2.taken.add('my-bucket');
    place.b2.addBucket('open-to-all', { bucketType: 'allPublic' });
    const { exit, problems, left } = await place.setup('', {
      answers: [
        ['Key id', '004aa9865d6f0000000000009'],
        ['Application key', KEY.secret],
        ['Key id', KEY.secret],
        ['Application key', KEY.id],
        ...AT_B2,
        ['Which bucket', 'open-to-all'],
        ['Which bucket', ' new'],
        ['Its name', 'my-bucket'],
        ['Which bucket', ' new'],
        ['Its name', 'no spaces'],
        ['Which bucket', ' new'],
        ['Its name', 'mine-alone'],
        ['What encrypts', 'own'],
        ['Passphrase', 'Sommer2026!'],
        ['Once more', 'Sommer2026'],
        ['Passphrase', 'Sommer2026!'],
        ['Once more', 'Sommer2026!'],
        ['What encrypts', 'own'],
        ['Passphrase', WORDS],
        ['Once more', WORDS],
        ...GROUPS,
      ],
    });
    expect({ exit, left }).toEqual({ exit: 0, left: 0 });
    expect(problems).toEqual([
      expect.stringMatching(/does not know this pair.*make a new one.*\(B2_CREDENTIALS\)$/),
      expect.stringMatching(/looks like a key: they may be the wrong way round/),
      expect.stringMatching(/open-to-all is public.*Take another one/),
      expect.stringMatching(/name is taken.*longer one \(B2_BUCKET\)$/),
      expect.stringMatching(/"no spaces" cannot be the name.*6 to 63/),
      'The two are not the same.',
      expect.stringMatching(/\(B2_WEAK_PASSPHRASE\)$/),
    ]);
    expect(settings()).toMatchObject({ bucket: 'mine-alone', passphrase: WORDS });
  });

  it('uses a key as it is, where that is wanted', async () => {
    place.b2.addBucket('backups');
    const { exit, shown } = await place.setup('', {
      answers: [
        ...AT_B2,
        ['Make a key for this machine', false],
        ['Which bucket', 'backups'],
        ['What encrypts', 'key'],
        ...GROUPS,
      ],
    });
    expect(exit).toBe(0);
    expect(shown).toContain('Backblaze knows it, too');
    expect(keys()).toEqual([]);
    expect(settings()).toEqual({ bucket: 'backups', keyId: KEY.id, applicationKey: KEY.secret });
  });

  it('takes the prefix that a key is for', async () => {
    const { bucketId } = place.b2.addBucket('shared');
    const capabilities = ['listBuckets', 'listFiles', 'readFiles', 'writeFiles'];
    const key = place.b2.addKey({ capabilities, buckets: [bucketId], namePrefix: 'kitchen/' });
    const { exit, err } = await place.setup('', {
      answers: [['Key id', key.id], ['Application key', key.secret], ...GROUPS],
    });
    expect(exit).toBe(0);
    expect(err).toContain('no lifecycle rule');
    expect(settings()).toMatchObject({ bucket: 'shared', prefix: 'kitchen', keyId: key.id });
  });

  it('opens backups that are there with their passphrase, and asks what a second machine wants', async () => {
    const first = await place.setup(`--yes --json --secrets - --bucket ${place.folder('disk')}`, {
      input: JSON.stringify({ passphrase: WORDS }),
    });
    expect(JSON.parse(first.out)).toMatchObject({ ok: true, proven: true });
    const second = await Place.make();
    try {
      const answers: Answers = [
        ['Their passphrase', 'copper lantern walrus pebble quartz'],
        ['Their passphrase', WORDS],
        ['backups of another machine', 'fetch'],
      ];
      const { exit, problems, out } = await second.setup(`--bucket ${place.folder('disk')}`, { answers });
      expect(exit).toBe(0);
      expect(problems).toEqual(['this passphrase does not open them (B2_WRONG_KEY)']);
      expect(out).toContain('a new machine then takes the newest snapshot');
      expect(contentOf(second.text())).toMatchObject({
        plugins: { entries: { 'b2-backup': { enabled: true, config: { passphrase: WORDS } } } },
      });
      // Nothing of this machine is there: it is still a new one (docs/plugin.md).
      expect(existsSync(join(second.state, 'b2-backup', 'machine'))).toBe(false);
      const { snapshots } = await second.engine().list({
        stateDir: second.state,
        bucket: place.folder('disk'),
        passphrase: WORDS,
      });
      expect(snapshots).toHaveLength(1);
    } finally {
      second.remove();
    }
  });

  it.each([
    'Where do the',
    'Key id',
    'Application key',
    'Make a key',
    'Its name',
    'Free the space',
    'What encrypts',
    'stored away',
    'Where are the key',
  ])('leaves nothing behind after Ctrl-C at "%s"', async (question) => {
    const before = place.text();
    const answers: Answers = [[question, STOP], ...AT_B2, ['Its name', 'not-for-long']];
    const { exit, err } = await place.setup('', { answers });
    expect({ exit, err }).toEqual({ exit: 1, err: 'b2-backup: cancelled (B2_CANCELLED)\n' });
    expect(place.text()).toBe(before);
    expect(keys()).toEqual([]);
    expect(place.b2.buckets.size).toBe(0);
  });

  it('configures nothing after Ctrl-C at the recovery code, and says that a snapshot is there', async () => {
    const before = place.text();
    const answers: Answers = [...AT_B2, ['Its name', 'has-a-snapshot'], ['group', STOP]];
    const { exit, err } = await place.setup('', { answers });
    expect(exit).toBe(1);
    expect(err).toContain(
      'cancelled; no setting was changed, but this was made and is still there: bucket has-a-snapshot',
    );
    expect(place.text()).toBe(before);
    expect(keys()).toEqual([]);
    expect(place.files('has-a-snapshot')).toBeGreaterThan(0);
  });

  it('names what it could not take back', async () => {
    const capabilities = EVERYTHING.filter((name) => name !== 'deleteKeys' && name !== 'deleteBuckets');
    const key = place.b2.addKey({ capabilities });
    const { err } = await place.setup('', {
      answers: [
        ['Key id', key.id],
        ['Application key', key.secret],
        ['Its name', 'left-behind'],
        ['What encrypts', STOP],
      ],
    });
    const made = [...place.b2.keys.keys()].at(-1);
    expect(err).toMatch(
      new RegExp(
        `cancelled; no setting was changed, but this was made and is still there: key ${made}, bucket left-behind`,
      ),
    );
  });
});

describe.skipIf(addon === undefined)('setup, by options', () => {
  const scripted = async (line: string, secrets: object, env: NodeJS.ProcessEnv = {}) => {
    const { exit, out, err } = await place.setup(`--json --secrets - ${line}`, {
      input: JSON.stringify(secrets),
      env,
    });
    expect(err).toBe('');
    return { exit, document: JSON.parse(out) as Record<string, unknown> };
  };
  const GIVEN = { keyId: KEY.id, applicationKey: KEY.secret };

  it('tells everything in one document, and secrets only where they are wanted', async () => {
    const line = '--bucket new-bucket --create-bucket';
    const { exit, document } = await scripted(`${line} --show-code`, GIVEN);
    expect(exit).toBe(0);
    expect(document).toEqual({
      ok: true,
      proven: true,
      kind: 'b2',
      bucket: 'new-bucket',
      prefix: null,
      endpoint: null,
      keyId: keys()[0]?.id,
      keyMade: true,
      bucketMade: true,
      lifecycleRule: 'added',
      encryption: 'passphrase',
      passphrase: settings()['passphrase'],
      recoveryCode: expect.stringMatching(/^[0-9A-Z]{5}(-[0-9A-Z]{5}){6}$/),
      config: place.config,
      variables: {},
      snapshot: expect.any(String),
      files: expect.any(Number),
      bytes: expect.any(Number),
      databases: 0,
      incomplete: false,
      skipped: [],
      warnings: [],
    });
    const again = await scripted(`${line} --replace --keep-key`, {
      ...GIVEN,
      passphrase: settings()['passphrase'],
    });
    expect(again.document).toMatchObject({
      ok: true,
      keyMade: false,
      bucketMade: false,
      lifecycleRule: 'there',
      passphrase: null,
      recoveryCode: null,
      warnings: [expect.stringContaining('b2-backup key recovery')],
    });
  });

  it('keeps other settings, and what opens what is there', async () => {
    await scripted(`--bucket ${place.folder('disk')}`, { passphrase: WORDS });
    writeFileSync(place.config, place.text().replace('"bucket"', '"keepDaily": 3, // days\n "bucket"'));
    const { document } = await scripted(`--bucket ${place.folder('disk')} --replace`, { passphrase: WORDS });
    expect(document).toMatchObject({ ok: true, proven: true });
    expect(settings()).toEqual({ keepDaily: 3, bucket: place.folder('disk'), passphrase: WORDS });
    expect(place.text()).toContain('// days');
  });

  it('takes the master key for making a key of its own, and not for more', async () => {
    const master = { ...KEY, id: 'aa9865d6f000' };
    place.b2.keys.set(master.id, master);
    place.b2.addBucket('backups');
    const given = { keyId: master.id, applicationKey: master.secret, passphrase: WORDS };
    const refused = await scripted('--bucket backups --keep-key', given);
    expect(refused.document).toMatchObject({ ok: false, code: 'B2_CREDENTIALS' });
    expect(refused.document['message']).toMatch(/master key.*without --keep-key/);
    expect((await scripted('--bucket backups', given)).document).toMatchObject({ ok: true, keyMade: true });
    expect(settings()['keyId']).toBe(keys().at(-1)?.id);
  });

  it('goes on with backups that the key of before made, and that nobody had a passphrase for', async () => {
    place.b2.addBucket('backups');
    const line = '--bucket backups --no-passphrase --no-recovery-code';
    const first = await scripted(`${line} --keep-key`, GIVEN);
    expect(first.document).toMatchObject({
      ok: true,
      proven: true,
      encryption: 'application-key',
      keyMade: false,
    });
    const second = await scripted(`${line} --replace`, GIVEN);
    expect(second.document).toMatchObject({
      ok: true,
      proven: true,
      encryption: 'application-key',
      keyMade: true,
    });
    const { keyId, applicationKey } = settings();
    expect(applicationKey).not.toBe(KEY.secret);
    // The new key alone opens all of it.
    const blank = { stateDir: join(place.directory, 'blank'), bucket: 'backups', prefix: 'openclaw-backup' };
    const { snapshots } = await place
      .engine()
      .list({ ...blank, keyId: String(keyId), applicationKey: String(applicationKey) });
    expect(snapshots.map(({ authenticated }) => authenticated)).toEqual(snapshots.map(() => true));
    expect(snapshots.length).toBeGreaterThan(0);
    // With a passphrase the application key is not trusted: who has it may have put a repository there.
    const third = await scripted('--bucket backups --replace', { ...GIVEN, passphrase: WORDS });
    expect(third.document).toMatchObject({ ok: false, code: 'B2_WRONG_KEY' });
  });

  it('waits as long as B2 says, and no longer', async () => {
    place.b2.busy = 2;
    place.b2.addBucket('backups');
    expect((await scripted('--bucket backups', { ...GIVEN, passphrase: WORDS })).document).toMatchObject({
      ok: true,
    });
    expect(place.slept).toEqual([7000, 7000]);
    place.b2.busy = 100;
    const { document } = await scripted('--bucket backups --replace', { ...GIVEN, passphrase: WORDS });
    expect(document).toMatchObject({
      code: 'B2_NETWORK',
      message: expect.stringMatching(/busy.*try again in a minute/),
    });
    expect(place.slept).toHaveLength(5);
  });

  it('keeps secrets in the environment, or in a file, with references', async () => {
    place.b2.addBucket('backups');
    const env = await scripted('--bucket backups --secret-refs env --show-code --no-recovery-code', {
      ...GIVEN,
      passphrase: WORDS,
    });
    const [made] = keys();
    expect(env.document['variables']).toEqual({
      B2_APPLICATION_KEY: made?.secret,
      B2_BACKUP_PASSPHRASE: null,
    });
    expect(settings()).toEqual({
      bucket: 'backups',
      keyId: made?.id,
      applicationKey: { source: 'env', provider: 'default', id: 'B2_APPLICATION_KEY' },
      passphrase: { source: 'env', provider: 'default', id: 'B2_BACKUP_PASSPHRASE' },
    });
    const file = place.write('secrets.json', { other: 'kept' });
    const { document } = await scripted(`--bucket backups --replace --keep-key --secret-refs ${file}`, {
      keyId: made?.id,
      applicationKey: made?.secret,
      passphrase: WORDS,
    });
    expect(document).toMatchObject({ ok: true });
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({
      other: 'kept',
      applicationKey: made?.secret,
      passphrase: WORDS,
    });
    expect(lstatSync(file).mode & 0o777).toBe(0o600);
    expect(settings()['applicationKey']).toEqual({
      source: 'file',
      provider: 'b2-backup',
      id: '/applicationKey',
    });
    expect(contentOf(place.text())).toMatchObject({
      secrets: { providers: { 'b2-backup': { source: 'file', path: file, mode: 'json' } } },
    });
    expect(place.text()).not.toContain(WORDS);
  });

  it('takes secrets from the environment outside OpenClaw, and never inside', async () => {
    const env = { B2_BACKUP_PASSPHRASE: WORDS };
    const line = `--json --bucket ${place.folder('disk')}`;
    const inside = await place.setup(line, { env, adapt: (deps) => ({ ...deps, inOpenClaw: true }) });
    expect(JSON.parse(inside.out)).toMatchObject({ ok: false, code: 'B2_USAGE' });
    expect(JSON.parse((await place.setup(line, { env })).out)).toMatchObject({ ok: true, passphrase: null });
  });

  it('stops in the middle of a push, and takes back what was made', async () => {
    const before = place.text();
    place.b2.addBucket('backups');
    const { exit, out, err } = await place.setup('--json --secrets - --bucket backups', {
      input: JSON.stringify({ ...GIVEN, passphrase: WORDS }),
      adapt: (deps) => {
        const push: typeof deps.engine.push = (given, options, operation) => {
          deps.signals.send('SIGINT');
          return deps.engine.push(given, options, operation);
        };
        return { ...deps, engine: { ...deps.engine, push } };
      },
    });
    expect({ exit, err }).toEqual({ exit: 130, err: '' });
    expect(JSON.parse(out)).toMatchObject({ ok: false, code: 'B2_CANCELLED' });
    expect(place.text()).toBe(before);
    expect(keys()).toEqual([]);
    expect(place.b2.bucket('backups')?.lifecycleRules).toEqual([]);
  });

  it('writes nothing where the backup is not proven', async () => {
    const before = place.text();
    const failed = [
      {
        path: 'workspace/MEMORY.md',
        code: 'B2_DAMAGED',
        message: 'other bytes',
        failure: true,
        missing: true,
      },
    ];
    const { out } = await place.setup(`--json --secrets - --bucket ${place.folder('disk')}`, {
      input: JSON.stringify({ passphrase: WORDS }),
      adapt: (deps) => {
        const engine = {
          ...deps.engine,
          drill: async (...args: Parameters<typeof deps.engine.drill>) => ({
            ...(await deps.engine.drill(...args)),
            failed,
          }),
        };
        return { ...deps, engine };
      },
    });
    expect(JSON.parse(out)).toMatchObject({
      ok: false,
      code: 'B2_DAMAGED',
      message: expect.stringContaining('MEMORY.md'),
    });
    expect(place.text()).toBe(before);
  });

  it('writes openclaw.json through a link, and leaves nothing beside it', async () => {
    const real = place.write('real.json', '{ }');
    const link = join(place.directory, 'link.json');
    symlinkSync(real, link);
    const { out } = await place.setup(
      `--json --config ${link} --secrets - --bucket ${place.folder('disk')}`,
      {
        input: JSON.stringify({ passphrase: WORDS }),
        adapt: (deps) => ({ ...deps, fileExists: () => true }),
      },
    );
    expect(JSON.parse(out)).toMatchObject({ ok: true, config: link });
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(readFileSync(real, 'utf8')).toContain('b2-backup');
    expect(readdirSync(place.directory).filter((name) => name.startsWith('.'))).toEqual([]);
  });
});
