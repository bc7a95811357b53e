import { afterEach, describe, expect, it, vi } from 'vitest';
import { BackupError } from '../ts/errors.ts';
import type { PluginApi } from '../ts/plugin/api.ts';
import { ownArguments } from '../ts/plugin/cli.ts';
import { configure } from '../ts/plugin/settings.ts';
import plugin from '../ts/plugin.ts';
import { run } from './cli-support.ts';
import { CONFIG, FakeHost } from './plugin-support.ts';

describe('what is registered where', () => {
  const registered = (parts: Partial<PluginApi>) => {
    const host = new FakeHost('/s', CONFIG, parts);
    plugin.register(host.api);
    return host;
  };

  it('registers everything in the full instance', () => {
    const host = registered({});
    expect(host.service?.id).toBe('b2-backup');
    expect([...host.hooks.keys()].sort()).toEqual([
      'before_compaction',
      'before_reset',
      'before_tool_call',
      'gateway_start',
      'gateway_stop',
    ]);
    expect(Object.fromEntries(host.scopes)).toEqual({
      'b2-backup.status': 'operator.read',
      'b2-backup.list': 'operator.read',
      'b2-backup.health': 'operator.read',
      'b2-backup.page': 'operator.read',
      'b2-backup.activity': 'operator.read',
      'b2-backup.push': 'operator.write',
      'b2-backup.cancel': 'operator.write',
      'b2-backup.preview': 'operator.write',
      'b2-backup.confirm': 'operator.admin',
    });
    expect(host.command?.name).toBe('b2');
    expect(host.toolOptions).toEqual({ name: 'b2_rollback', optional: true });
    expect(host.cli.map(({ name }) => name)).toEqual(['b2-backup']);
  });

  it('registers tools and hooks, but no service, in the other instance', () => {
    const host = registered({ registrationMode: 'discovery' });
    expect(host.service).toBeUndefined();
    expect(host.hooks.size).toBe(5);
    expect(host.createTool).toBeDefined();
  });

  it('registers the command line alone where there is no runtime', () => {
    const host = registered({
      registrationMode: 'cli-metadata',
      get runtime(): never {
        throw new Error('no runtime here');
      },
    });
    expect(host.cli).toHaveLength(1);
    expect(host.hooks.size).toBe(0);
  });

  it('loads on a host that knows less', () => {
    const bare: PluginApi = { config: {}, logger: new FakeHost('/s', {}).api.logger, on: () => {} };
    expect(() => plugin.register(bare)).not.toThrow();
  });

  it.each([
    [{ senderIsOwner: true }, true],
    [{ senderIsOwner: true, sandboxed: true }, false],
    [{ senderIsOwner: false }, false],
    [{}, false],
  ])('shows the tool to %j: %s', (context, shown) => {
    expect(registered({}).createTool?.(context) !== null).toBe(shown);
  });
});

describe('the command line', () => {
  it.each([
    [
      ['list', '--json'],
      ['list', '--json'],
    ],
    [
      ['list', '--no-color', '--json'],
      ['list', '--json'],
    ],
    [['--profile', 'work', 'status'], ['status']],
    [['--log-level=debug', 'push', '--container', 'c'], ['push']],
    [
      ['restore', 'latest', '--to', '/x', '--', '--dev'],
      ['restore', 'latest', '--to', '/x', '--', '--dev'],
    ],
    [[], []],
  ])('hands on %j as %j', (given, expected) => {
    expect(ownArguments(['node', 'openclaw', 'b2-backup', ...given])).toEqual(expected);
  });
});

describe('a `.env` of the directory that OpenClaw was started in', () => {
  afterEach(() => vi.unstubAllEnvs());

  it('decides nothing of what is stored, where, and with which key', async () => {
    const pluginConfig = { bucket: 'mine', keyId: 'my-id', applicationKey: 'my-key' };
    const api = new FakeHost('/s', CONFIG, { pluginConfig }).api;
    const before = configure(api, '/s').configured;
    for (const name of ['BUCKET', 'APPLICATION_KEY', 'APPLICATION_KEY_ID', 'PREFIX', 'ENDPOINT', 'REGION']) {
      vi.stubEnv(`B2_${name}`, 'https://evil.example.com');
    }
    for (const name of ['PASSPHRASE', 'OLD_KEYS', 'RECOVERY_CODE']) vi.stubEnv(`B2_BACKUP_${name}`, 'evil');
    expect(before).toMatchObject({ settings: pluginConfig });
    expect(configure(api, '/s').configured).toEqual(before);

    const empty = new FakeHost('/s', CONFIG, { pluginConfig: {} }).api;
    const nothing = configure(empty, '/s').configured;
    expect(nothing).toBeInstanceOf(BackupError);
    expect(nothing).toMatchObject({ code: 'B2_NOT_SET_UP' });
  });

  it('decides nothing for the commands of OpenClaw', async () => {
    const evil = { B2_BUCKET: 'file:///evil', B2_BACKUP_PASSPHRASE: 'evil', B2_BACKUP_RECOVERY_CODE: 'evil' };
    const status = vi.fn();
    const { exit, err } = await run('status', { status }, (deps) => ({
      ...deps,
      env: evil,
      inOpenClaw: true,
    }));
    expect(exit).toBe(1);
    expect(err).toContain('bucket, keyId and applicationKey: not set');
    expect(err).not.toContain('environment');
    expect(status).not.toHaveBeenCalled();
  });
});
