/** The page's verdict over what really happens: the addon, its worker and a bucket, and what people do to them. */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { BackupError } from '../ts/errors.ts';
import { addon } from './addon-support.ts';
import { Machine, type Outcome, PASSPHRASE, verdicts } from './page-outcomes-support.ts';
import { processesCanRun, Server } from './process-support.ts';
import { DAY, MINUTE } from './service-support.ts';
import { PATIENT } from './support.ts';

const OTHER_WORDS = 'copper meadow lantern violin harbor';

/** A second workspace, elsewhere on the machine. */
function workspace(machine: Machine): string {
  const path = join(machine.folder, 'notes');
  mkdirSync(path);
  for (const name of ['a', 'b', 'c', 'd', 'e']) writeFileSync(join(path, name), name);
  machine.write('openclaw.json', JSON.stringify({ agents: { defaults: { workspace: path } } }));
  return path;
}

/**
 * The machine sleeps for days and wakes; until the push that it slept through and what follows it have ended. Were it
 * awake, the next midnight would come within milliseconds, and its push would cut off what follows the first one.
 */
async function sleepThrough(
  machine: Machine,
  follows: 'lastVerifyAt' | 'lastDrillAt',
  days = 1,
): Promise<void> {
  const { clock } = machine;
  const before = (await machine.backup.status({ bucket: false }))[follows];
  clock.sleep(days * DAY);
  await clock.advance(MINUTE);
  await vi.waitUntil(async () => {
    const status = await machine.backup.status({ bucket: false });
    const failed = follows === 'lastDrillAt' ? status.drillProblem : status.verifyProblem;
    return status[follows] !== before || failed !== undefined;
  }, PATIENT);
}

/** An S3 server that refuses everything. */
async function refusing(status: number, code: string, message: string): Promise<Record<string, unknown>> {
  const server = createServer((_asked, answer) => {
    answer.statusCode = status;
    answer.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return {
    bucket: 'backups',
    keyId: 'test-key-id',
    applicationKey: 'test-application-key',
    endpoint: `http://127.0.0.1:${port}`,
    region: 'us-east-1',
    autoRestore: false,
  };
}

function refused(status: number, code: string, message = 'no'): (machine: Machine) => Promise<unknown> {
  return async (machine) => {
    machine.config = await refusing(status, code, message);
    return machine.start();
  };
}

/** Windows has none. */
const NAMED_PIPE: Outcome = [
  'something has no content that could be saved',
  async (m) => {
    execFileSync('mkfifo', [join(m.stateDir, 'workspace', 'pipe')]);
    await m.start();
  },
  'attention',
  /^Your backups lack something$/,
  'B2_SKIPPED_SPECIAL',
];

const OUTCOMES: readonly Outcome[] = [
  ...(process.platform === 'win32' ? [] : [NAMED_PIPE]),
  [
    'the first backup has just begun',
    async (m) => {
      m.holdsPushes = true;
      await m.begin();
    },
    'waiting',
    /^The first backup is running$/,
  ],
  ['it went well', (m) => m.start(), 'made', /no trial restore has proven one yet/],
  [
    'and the trial restore, too',
    async (m) => sleepThrough(await m.start(), 'lastDrillAt'),
    'works',
    /^Your backups work$/,
  ],
  [
    'proven long ago, and the trial restores were turned off',
    async (m) => {
      await sleepThrough(await m.start(), 'lastDrillAt');
      await m.stop();
      m.config['drill'] = false;
      m.clock.sleep(50 * DAY);
      await m.start();
    },
    'made',
    /last trial restore is old/,
  ],
  [
    'nothing is set up yet',
    async (m) => {
      m.config = {};
      await m.begin();
    },
    'attention',
    /^Backups are not set up yet$/,
    'B2_NOT_SET_UP',
  ],
  [
    'a setting is missing',
    async (m) => {
      m.config = { applicationKey: 'x' };
      await m.begin();
    },
    'broken',
    /^A setting is wrong or missing$/,
    'B2_CONFIG',
  ],
  [
    'the passphrase is too easy',
    async (m) => {
      m.config['passphrase'] = 'secret';
      await m.start();
    },
    'broken',
    /too easy to guess/,
    'B2_WEAK_PASSPHRASE',
  ],
  [
    'the folder of the bucket is gone, and no backup has noticed',
    async (m) => {
      await m.start();
      rmSync(m.bucket, { recursive: true });
    },
    'broken',
    /bucket is empty, although/,
    'B2_BUCKET_EMPTY',
  ],
  [
    'the bucket was emptied, and a backup has noticed',
    async (m) => {
      await m.start();
      for (const path of m.objects('')) rmSync(path);
      await m.push();
    },
    'broken',
    /bucket is empty, although/,
    'B2_BUCKET_EMPTY',
  ],
  [
    'only packs are left in it',
    async (m) => {
      await m.start();
      for (const path of m.objects('manifest')) rmSync(path);
    },
    'broken',
    /bucket is empty, although/,
    'B2_BUCKET_EMPTY',
  ],
  [
    'somebody deleted the newest of two',
    async (m) => {
      await sleepThrough(await m.start(), 'lastDrillAt');
      m.write('workspace/MEMORY.md', 'The user likes coffee.\n');
      await m.nextSecond();
      await m.push();
      rmSync(m.objects('manifest').at(-1) ?? '');
    },
    'broken',
    /snapshot is gone from the bucket/,
    'B2_SNAPSHOT_NOT_FOUND',
  ],
  [
    'what is stored rots',
    async (m) => {
      await m.start();
      for (const path of m.objects('packs')) {
        const bytes = readFileSync(path);
        const at = bytes.length >> 1;
        bytes[at] = 255 - (bytes[at] ?? 0);
        writeFileSync(path, bytes);
      }
      await sleepThrough(m, 'lastVerifyAt', 9);
    },
    'broken',
    /^Not everything that was stored can be restored$/,
    'B2_DAMAGED',
  ],
  [
    'a lifecycle rule has deleted what snapshots need',
    async (m) => {
      await m.start();
      for (const path of m.objects('packs')) rmSync(path);
      await sleepThrough(m, 'lastVerifyAt', 9);
    },
    'broken',
    /^Not everything that was stored can be restored$/,
    'B2_OBJECT_MISSING',
  ],
  [
    'the newest manifest is damaged',
    async (m) => {
      await m.start();
      const path = m.objects('manifest').at(-1) ?? '';
      const bytes = readFileSync(path);
      bytes[bytes.length - 20] = 255 - (bytes[bytes.length - 20] ?? 0);
      writeFileSync(path, bytes);
    },
    'broken',
    /damaged/,
    'B2_DAMAGED',
  ],
  [
    'a workspace is gone',
    async (m) => {
      const path = workspace(m);
      await m.start();
      rmSync(path, { recursive: true });
      await m.push();
    },
    'attention',
    /^A directory that was backed up is gone$/,
    'B2_INCOMPLETE',
  ],
  [
    'a disk is not mounted',
    async (m) => {
      const path = workspace(m);
      await m.start();
      rmSync(path, { recursive: true });
      mkdirSync(path);
      await m.push();
    },
    'attention',
    /^A directory that was backed up is empty$/,
    'B2_INCOMPLETE',
  ],
  [
    'a database of OpenClaw is broken',
    async (m) => {
      m.write('state/openclaw.sqlite', `SQLite format 3\0${'x'.repeat(5_000)}`);
      await m.start();
    },
    'attention',
    /^A database of OpenClaw is broken$/,
    'B2_INCOMPLETE',
  ],
  [
    'the gateway was off for a week, and nothing is made up yet',
    async (m) => {
      await m.start();
      await m.stop();
      m.clock.sleep(7 * DAY);
      m.holdsPushes = true;
      await m.begin();
    },
    'broken',
    /^The last backup is too old$/,
  ],
  [
    'the clock was set back',
    async (m) => {
      const tomorrow = new Date(m.clock.now().getTime() + DAY).toISOString();
      m.remember({ lastRunAt: tomorrow, lastSuccessAt: tomorrow, since: tomorrow, failures: 0, told: [] });
      m.holdsPushes = true;
      await m.begin();
    },
    'attention',
    /clock of this machine was set back/,
  ],
  [
    'the disk of the bucket is another kind of thing',
    async (m) => {
      rmSync(m.bucket, { recursive: true });
      writeFileSync(m.bucket, '');
      await m.start();
    },
    'broken',
    /disk of this machine reports an error/,
    'B2_IO',
  ],
  [
    'the key was deleted',
    refused(403, 'InvalidAccessKeyId'),
    'broken',
    /^The key is refused$/,
    'B2_CREDENTIALS',
  ],
  [
    'the key is mistyped',
    refused(403, 'SignatureDoesNotMatch'),
    'broken',
    /^The key is refused$/,
    'B2_CREDENTIALS',
  ],
  ['the key may do too little', refused(403, 'AccessDenied'), 'broken', /may not do/, 'B2_CAPABILITY'],
  ['the bucket was deleted', refused(404, 'NoSuchBucket'), 'broken', /no such bucket/, 'B2_BUCKET'],
  [
    'the clock is wrong',
    refused(403, 'RequestTimeTooSkewed'),
    'broken',
    /clock of this machine is wrong/,
    'B2_CLOCK',
  ],
  [
    'the account is full',
    refused(403, 'AccessDenied', 'Cannot upload files, storage cap exceeded.'),
    'broken',
    /limit of your Backblaze account/,
    'B2_CAP_EXCEEDED',
  ],
  ['a proxy answers', refused(418, ''), 'broken', /answers that cannot be used/, 'B2_STORE'],
  [
    'the worker is killed',
    async (m) => {
      const push = async (): Promise<never> => {
        throw new BackupError('the backup process ended with SIGKILL', {
          code: 'B2_WORKER_DIED',
          retryable: true,
        });
      };
      await new Machine({ push }).start();
      return m;
    },
    'broken',
    /has ended too early/,
    'B2_WORKER_DIED',
  ],
  [
    'the addon does not load',
    async (m) => {
      const load = async (): Promise<never> => {
        throw new BackupError('no addon for this machine', { code: 'B2_NATIVE_UNAVAILABLE' });
      };
      await new Machine({ load }).begin();
      return m;
    },
    'broken',
    /does not run on this machine/,
    'B2_NATIVE_UNAVAILABLE',
  ],
];

describe.skipIf(addon === undefined)('the verdict (needs the built addon)', { timeout: 60_000 }, () => {
  verdicts(OUTCOMES);

  it('of a copy of a machine is its own, and it sees the other', async () => {
    const machine = await new Machine().start();
    // What a push leaves to do is done, or cut off.
    await machine.stop();
    const copy = join(machine.folder, 'copy');
    cpSync(machine.stateDir, copy, { recursive: true });
    const memory = join('workspace', 'MEMORY.md');
    machine.write(memory, 'The user likes coffee.\n');
    await machine.start();
    await machine.push();
    await machine.stop();
    const other = new Machine();
    rmSync(other.stateDir, { recursive: true });
    cpSync(copy, other.stateDir, { recursive: true });
    other.config = machine.config;
    other.write(memory, 'The user likes water.\n');
    await other.start();
    await other.push();
    const model = await other.model();
    expect(model.verdict).toMatchObject({ standing: 'made' });
    expect(model.machines.map(({ thisMachine }) => thisMachine)).toEqual([true, false]);
  });

  it('of a passphrase that was forgotten names what does not open', async () => {
    const machine = await new Machine().start();
    await machine.stop();
    rmSync(join(machine.stateDir, 'b2-backup'), { recursive: true });
    machine.config['passphrase'] = OTHER_WORDS;
    await machine.start();
    const { verdict, notes, days } = await machine.model();
    expect(verdict.standing).toBe('made');
    expect(notes.join()).toMatch(/1 snapshot in this bucket cannot be opened with what is set here/);
    expect(days.flatMap(({ snapshots }) => snapshots).filter(({ usable }) => usable)).toHaveLength(1);
  });

  it.skipIf(!processesCanRun)(
    'of a push that was cut off is that of the one before, and says who finishes it (needs the S3 server)',
    async () => {
      const machine = new Machine();
      const server = await Server.start(join(machine.folder, 's3'));
      onTestFinished(() => server.stop());
      machine.config = {
        ...server.keys,
        bucket: 'backups',
        endpoint: `http://${server.address}`,
        region: 'us-east-1',
        passphrase: PASSPHRASE,
        autoRestore: false,
      };
      await machine.start();
      await machine.stop();
      // It takes a minute to send: there is time to cut it off.
      machine.config['uploadLimit'] = 10_000;
      await machine.begin();
      machine.write('workspace/photo.jpg', randomBytes(500_000).toString('latin1'));
      const pushed = machine.backup.push({
        onProgress: ({ phase }) => {
          if (phase === 'captured') void machine.backup.cancelPush();
        },
      });
      await expect(pushed).rejects.toMatchObject({ code: 'B2_CANCELLED' });
      const { verdict, cutOff } = await machine.model();
      expect({ standing: verdict.standing, cutOff }).toEqual({ standing: 'made', cutOff: true });
    },
  );
});
