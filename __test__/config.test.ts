import { describe, expect, it } from 'vitest';
import { loadSettings, type SettingsSource } from '../ts/config.ts';
import { isThere } from '../ts/places.ts';

const FULL = { bucket: 'my-bucket', keyId: 'id', applicationKey: 'key' };

function load(file: unknown, over: Partial<SettingsSource> = {}) {
  return loadSettings({
    env: {},
    home: '/home/me',
    cwd: '/work',
    fileExists: () => true,
    readHostConfig: async () => ({ config: file, warning: null }),
    ...over,
  });
}

describe('where settings come from', () => {
  it('takes defaults for what is not given', async () => {
    const { settings, warnings } = await load(FULL);
    expect(settings).toEqual({
      ...FULL,
      stateDir: '/home/me/.openclaw',
      configPath: '/home/me/.openclaw/openclaw.json',
      prefix: 'openclaw-backup',
      encrypt: true,
      includeSecrets: false,
    });
    expect(warnings).toEqual([]);
  });

  it('works without a file', async () => {
    const env = { B2_BUCKET: 'b-b', B2_APPLICATION_KEY_ID: 'i', B2_APPLICATION_KEY: 'k' };
    const { settings } = await load(undefined, { env, fileExists: () => false });
    expect(settings).toMatchObject({ bucket: 'b-b', keyId: 'i', applicationKey: 'k' });
    expect(settings).not.toHaveProperty('configPath');
  });

  it('puts the environment before the file, and an empty variable behind', async () => {
    const env = {
      B2_BUCKET: 'other-bucket',
      B2_REGION: 'us-west-004',
      B2_ENDPOINT: 'https://s3.example.com',
      B2_PREFIX: 'p',
      B2_BACKUP_PASSPHRASE: ' words ',
      B2_APPLICATION_KEY: '',
    };
    const { settings } = await load({ ...FULL, region: 'eu' }, { env });
    expect(settings).toMatchObject({
      bucket: 'other-bucket',
      region: 'us-west-004',
      endpoint: 'https://s3.example.com',
      prefix: 'p',
      passphrase: ' words ',
      applicationKey: 'key',
    });
  });

  it('takes no line end of a file into the environment for a part of a setting', async () => {
    const env = {
      B2_BUCKET: 'file:///mnt/backup\r',
      B2_PREFIX: ' p\r\n',
      B2_APPLICATION_KEY: 'other\r',
      B2_BACKUP_PASSPHRASE: 'words\r',
    };
    const { settings } = await load(FULL, { env });
    // A passphrase is taken to the letter; the core refuses one that nobody can type.
    expect(settings).toMatchObject({
      bucket: 'file:///mnt/backup',
      prefix: 'p',
      applicationKey: 'other',
      passphrase: 'words\r',
    });
    await expect(load(FULL, { env: { B2_BUCKET: ' \r' } })).rejects.toThrow(/bucket: is empty/);
  });

  it('takes former application keys from the environment alone', async () => {
    const env = { B2_BACKUP_OLD_KEYS: ' K001,K002\n K003, ' };
    expect((await load(FULL, { env })).settings.oldKeys).toEqual(['K001', 'K002', 'K003']);
    expect((await load(FULL, { env: { B2_BACKUP_OLD_KEYS: '' } })).settings).not.toHaveProperty('oldKeys');
    expect((await load({ ...FULL, oldKeys: ['K001'] })).settings).not.toHaveProperty('oldKeys');
    const many = { B2_BACKUP_OLD_KEYS: 'K '.repeat(17) };
    await expect(load(FULL, { env: many })).rejects.toMatchObject({ code: 'B2_CONFIG' });
  });

  it.each([
    [{ stateDir: 'here' }, '/work/here'],
    [{ env: { OPENCLAW_STATE_DIR: '~/state' } }, '/home/me/state'],
    [{ stateDir: '/a', env: { OPENCLAW_STATE_DIR: '/b' } }, '/a'],
  ])('finds the state directory: %j', async (over, expected) => {
    expect((await load(FULL, over)).settings.stateDir).toBe(expected);
  });

  it('finds the configuration: option, environment, state directory', async () => {
    const env = { OPENCLAW_CONFIG_PATH: '/etc/claw.json' };
    expect((await load(FULL, { env })).settings.configPath).toBe('/etc/claw.json');
    expect((await load(FULL, { env, configPath: 'c.json' })).settings.configPath).toBe('/work/c.json');
  });

  it('refuses a named configuration that does not exist', async () => {
    const missing = { configPath: '/nowhere.json', fileExists: () => false };
    await expect(load(FULL, missing)).rejects.toMatchObject({
      code: 'B2_CONFIG',
      message: 'configuration: --config: there is no file /nowhere.json',
    });
  });

  it('passes every setting on', async () => {
    const all = {
      ...FULL,
      include: ['a'],
      exclude: ['b/**'],
      uploadLimit: 1000,
      machineName: "Anna's laptop",
      encrypt: true,
      includeSecrets: true,
    };
    expect((await load(all)).settings).toMatchObject(all);
  });

  it('knows the settings of the gateway and warns about others', async () => {
    const file = { ...FULL, schedule: 'daily', keepSnapshots: 3, autoRestore: false, buckt: 'x' };
    const { warnings } = await load(file);
    expect(warnings).toEqual([
      'plugins.entries["b2-backup"].config.buckt: there is no such setting; it is ignored',
    ]);
  });

  it('takes a recovery code from the environment, and from nowhere else', async () => {
    const env = { B2_BACKUP_RECOVERY_CODE: 'typed code' };
    expect((await load(FULL, { env })).settings).toMatchObject({ recoveryCode: 'typed code' });
    const { settings, warnings } = await load({ ...FULL, recoveryCode: 'in a file' });
    expect(settings).not.toHaveProperty('recoveryCode');
    expect(warnings).toEqual([
      'plugins.entries["b2-backup"].config.recoveryCode: there is no such setting; it is ignored',
    ]);
  });

  it('goes by a file that is half understood only to read backups or to bring them back', async () => {
    const readHostConfig = async () => ({ config: FULL, warning: '$include is missing' });
    const read = await load(FULL, { readHostConfig, fileOptional: true });
    expect(read.warnings).toEqual(['$include is missing']);
    await expect(load(FULL, { readHostConfig })).rejects.toMatchObject({
      code: 'B2_CONFIG',
      message: expect.stringContaining('$include is missing'),
    });
  });
});

describe('inside OpenClaw', () => {
  /** What a `.env` of whatever directory it was started in may have put there. */
  const PLANTED = {
    B2_BUCKET: 'evil-bucket',
    B2_APPLICATION_KEY_ID: 'evil-id',
    B2_APPLICATION_KEY: 'evil-key',
    B2_BACKUP_PASSPHRASE: 'evil words',
    B2_PREFIX: 'evil',
    B2_ENDPOINT: 'https://evil.example.com',
    B2_REGION: 'evil',
    B2_BACKUP_OLD_KEYS: 'K00evil',
    B2_BACKUP_RECOVERY_CODE: 'evil code',
  };

  it('takes settings from the file alone', async () => {
    const inside = await load(FULL, { env: PLANTED, inOpenClaw: true });
    expect(JSON.stringify(inside)).not.toContain('evil');
    expect(inside).toEqual(await load(FULL));
  });

  it('reads a variable that the file names', async () => {
    const applicationKey = { source: 'env', provider: 'default', id: 'B2_APPLICATION_KEY' };
    const env = { B2_APPLICATION_KEY: 'mine' };
    const { settings } = await load({ ...FULL, applicationKey }, { env, inOpenClaw: true });
    expect(settings.applicationKey).toBe('mine');
  });

  it('asks for nothing that it would not read', async () => {
    const folder = { bucket: 'file:///b' };
    for (const file of [undefined, folder]) {
      const loading = load(file, { env: PLANTED, inOpenClaw: true });
      await expect(loading).rejects.toThrow(/not set/);
      await expect(loading).rejects.not.toThrow(/B2_B|B2_A|environment/);
    }
  });
});

describe('where each setting came from', () => {
  const origins = async (...how: Parameters<typeof load>) =>
    Object.fromEntries(
      (await load(...how)).origins.map(({ setting, source, name }) => [
        setting,
        name === undefined ? source : `${source} ${name}`,
      ]),
    );

  it('is told without what it is', async () => {
    const env = {
      B2_APPLICATION_KEY: 'from here',
      B2_BACKUP_OLD_KEYS: 'K1',
      OPENCLAW_CONFIG_PATH: '/c.json',
    };
    const file = { ...FULL, encrypt: true, schedule: 'daily', exclude: ['x'] };
    expect(await origins(file, { env, stateDir: '/s' })).toEqual({
      stateDir: 'flag --state-dir',
      config: 'environment OPENCLAW_CONFIG_PATH',
      bucket: 'file /c.json',
      keyId: 'file /c.json',
      applicationKey: 'environment B2_APPLICATION_KEY',
      prefix: 'default',
      encrypt: 'file /c.json',
      includeSecrets: 'default',
      exclude: 'file /c.json',
      schedule: 'file /c.json',
      oldKeys: 'environment B2_BACKUP_OLD_KEYS',
    });
  });

  it('is the default where nobody said anything', async () => {
    const env = { B2_BUCKET: 'b-b', B2_APPLICATION_KEY_ID: 'i', B2_APPLICATION_KEY: 'k' };
    expect(await origins(undefined, { env, fileExists: () => false })).toEqual({
      stateDir: 'default',
      bucket: 'environment B2_BUCKET',
      keyId: 'environment B2_APPLICATION_KEY_ID',
      applicationKey: 'environment B2_APPLICATION_KEY',
      prefix: 'default',
      encrypt: 'default',
      includeSecrets: 'default',
    });
  });
});

describe('secret references', () => {
  const ref = (source: string) => ({ source, provider: 'default', id: 'MY_KEY' });

  it('resolves those to the environment', async () => {
    const { settings } = await load(
      { ...FULL, applicationKey: ref('env') },
      { env: { MY_KEY: 'from the environment' } },
    );
    expect(settings.applicationKey).toBe('from the environment');
  });

  it('does not look at one that the environment overrides', async () => {
    const env = { B2_APPLICATION_KEY: 'k' };
    expect((await load({ ...FULL, applicationKey: ref('exec') }, { env })).settings.applicationKey).toBe('k');
  });

  it.each([
    [ref('env'), 'applicationKey: refers to the environment variable MY_KEY, which is not set'],
    [ref('exec'), 'set the environment variable B2_APPLICATION_KEY instead'],
    [{ nonsense: 1 }, 'applicationKey: must be a string or a secret reference'],
  ])('refuses %j', async (applicationKey, message) => {
    await expect(load({ ...FULL, applicationKey })).rejects.toMatchObject({
      code: 'B2_CONFIG',
      message: expect.stringContaining(message),
    });
  });
});

describe('wrong settings', () => {
  it.each<[unknown, string]>([
    [[], 'plugins.entries["b2-backup"].config: must be an object, not a list'],
    ['x', 'must be an object, not a string'],
    [{ ...FULL, keyId: 7 }, 'keyId: must be a string or a secret reference, not a number'],
    [{ ...FULL, applicationKey: true }, 'applicationKey: must be'],
    [{ ...FULL, passphrase: 1 }, 'passphrase: must be'],
    [{ ...FULL, passphrase: '' }, 'passphrase: is empty'],
    [{ ...FULL, region: { a: 1 } }, 'region: must be a string, not an object'],
    [{ ...FULL, prefix: ' ' }, 'prefix: is empty'],
    [{ ...FULL, encrypt: 'yes' }, 'encrypt: must be true or false, not a string'],
    [{ ...FULL, includeSecrets: 1 }, 'includeSecrets: must be true or false'],
    [{ ...FULL, include: 'a' }, 'include: must be a list of patterns, not a string'],
    [{ ...FULL, exclude: ['a', 3] }, 'exclude[1]: must be a pattern'],
    [{ ...FULL, uploadLimit: -1 }, 'uploadLimit: must be a whole number'],
    [{ ...FULL, uploadLimit: 0 }, 'uploadLimit:'],
    [{ ...FULL, uploadLimit: 1.5 }, 'uploadLimit:'],
    [{ ...FULL, uploadLimit: '2MB' }, 'uploadLimit:'],
    [{ ...FULL, machineName: 7 }, 'machineName: must be a name, not a number'],
    [{ ...FULL, bucket: 'b2://my-bucket' }, 'bucket: must be the name of a bucket'],
    [{ ...FULL, bucket: '/mnt/backup' }, 'a folder is written as "file:///mnt/backup"'],
    [{ ...FULL, bucket: 'file://mnt' }, 'bucket: a folder is written with its full path'],
    [{ ...FULL, bucket: 'my bucket' }, 'bucket: cannot be a bucket'],
    [
      { ...FULL, keyId: 'K004abcdefghijklmnopqrstuvwxyz/' },
      'keyId: holds what looks like an application key',
    ],
    [
      { ...FULL, prefix: 'K004abcdefghijklmnopqrstuvwxyz1' },
      'prefix: holds what looks like an application key',
    ],
    [
      { ...FULL, applicationKey: '__B2_BACKUP_APPLICATION_KEY__' },
      'applicationKey: still holds the placeholder',
    ],
    [{ ...FULL, endpoint: 's3.example.com' }, 'endpoint: must be a URL'],
    [{ ...FULL, endpoint: 'ftp://x' }, 'endpoint: must be a URL'],
    [{ ...FULL, endpoint: 'https://u:p@x' }, 'endpoint: must not hold a user or password'],
    [{ ...FULL, encrypt: false, includeSecrets: true }, 'includeSecrets: needs encryption'],
    [{ bucket: 'my-bucket', keyId: 'id' }, 'applicationKey: not set; put it into'],
    [null, 'bucket, keyId and applicationKey: not set; put them into'],
    [{ bucket: 'file:///mnt/b' }, 'passphrase: not set; a folder brings no key'],
  ])('%j', async (file, message) => {
    await expect(load(file)).rejects.toMatchObject({
      name: 'BackupError',
      code: 'B2_CONFIG',
      message: expect.stringContaining(message),
    });
  });

  it('never repeats a secret', async () => {
    const file = { ...FULL, applicationKey: ['hunter2'] };
    await expect(load(file)).rejects.toMatchObject({ message: expect.not.stringContaining('hunter2') });
  });
});

describe('folders', () => {
  it.each([
    { bucket: 'file:///mnt/b', passphrase: 'p' },
    { bucket: 'file:///mnt/b', applicationKey: 'k' },
    { bucket: 'file:///mnt/b', encrypt: false },
  ])('need no key: %j', async (file) => {
    expect((await load(file)).settings).toMatchObject(file);
  });
});

describe('all that is wrong', () => {
  it('is said at once, and nothing more of what is wrong', async () => {
    const file = { bucket: '/mnt/x', keyId: 5, encrypt: 'yes', include: 'a', exclude: [1], uploadLimit: -1 };
    const error = (await load(file, { inOpenClaw: true }).catch((thrown: unknown) => thrown)) as Error;
    expect(error).toMatchObject({ code: 'B2_CONFIG' });
    expect(error.message.split(/:? ?;? \(\d\) /)).toEqual([
      'configuration: 7 settings are wrong',
      'encrypt: must be true or false, not a string',
      'keyId: must be a string or a secret reference, not a number',
      expect.stringMatching(/^bucket: must be the name of a bucket; .* "file:\/\/\/mnt\/x"$/),
      'include: must be a list of patterns, not a string',
      'exclude[0]: must be a pattern such as "workspace/**/*.log"',
      'uploadLimit: must be a whole number of bytes per second above 0, such as 2000000',
      expect.stringMatching(/^applicationKey: not set; put it into/),
    ]);
  });

  it('names what a key is called here when it is called as Backblaze calls it', async () => {
    const file = { bucket: 'my-bucket', applicationKeyId: 'id', applicationKey: 'key' };
    await expect(load(file)).rejects.toThrow(
      /keyId: not set.*; what is called applicationKeyId there has to be called keyId/,
    );
    // That is how Backblaze spells it where one copies it from.
    const taken = await load({ bucket: 'my-bucket', keyID: ' 004abc ', applicationKey: 'key' });
    expect(taken.settings).toMatchObject({ keyId: '004abc' });
    expect(taken.warnings).toEqual([expect.stringMatching(/keyID: taken for keyId; write it so$/)]);
    await expect(load({ bucket: 'my-bucket', keyID: 7, applicationKey: 'key' })).rejects.toThrow(
      /keyId: must be/,
    );
    const { warnings } = await load({ ...FULL, keyID: 'id', bucket_name: 'x', constructor: 1 });
    expect(warnings.map((text) => text.replace(/^.*config\./, ''))).toEqual([
      'keyID: there is no such setting; it is ignored; write it as keyId',
      'bucket_name: there is no such setting; it is ignored; write it as bucket',
      'constructor: there is no such setting; it is ignored',
    ]);
  });
});

it('does not take the files of another user for none', () => {
  const looked = (code: string) => () =>
    isThere('/s/openclaw.json', () => {
      throw Object.assign(new Error(code), { code });
    });
  expect(isThere(new URL(import.meta.url).pathname)).toBe(true);
  for (const code of ['ENOENT', 'ENOTDIR']) expect(looked(code)()).toBe(false);
  expect(looked('EACCES')).toThrow(
    expect.objectContaining({
      code: 'B2_PERMISSION',
      message: expect.stringContaining('/s/openclaw.json cannot be looked at'),
    }),
  );
});
