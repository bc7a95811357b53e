/** After an update of OpenClaw: what is missing is found, told with what to do, and forgotten once it is there again. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import type { Engine } from '../ts/engine.ts';
import { BackupError } from '../ts/errors.ts';
import { formatList, formatStatus, standingFailure } from '../ts/plugin/format.ts';
import { EMPTY, type Record } from '../ts/plugin/record.ts';
import type { Reporter } from '../ts/plugin/report.ts';
import { dueAt } from '../ts/plugin/schedule.ts';
import { remembered } from '../ts/plugin/status.ts';
import { noteVersion, type UpdateCheckDeps, updateChecker } from '../ts/plugin/update-check.ts';
import { checkPolicy } from '../ts/policy.ts';
import type { UpdateCheck } from '../ts/updates/check.ts';
import { parseUpdate, readCheckedUpdate, recordPath } from '../ts/updates/checked.ts';
import { ARCHIVED, missingSince, type Survey } from '../ts/updates/survey.ts';
import { addon } from './addon-support.ts';
import { json, run, SNAPSHOT } from './cli-support.ts';
import { Machine } from './page-outcomes-support.ts';
import { REPORT, TestClock, temporaryState } from './plugin-support.ts';
import { DAY, HOUR, MINUTE } from './service-support.ts';
import { PATIENT } from './support.ts';

const OLD = '2026.9.5';
const NEW = '2026.9.6';
const LOST = { id: 'job j', text: 'the job "tell the news"' };

const BEFORE: Survey = {
  agents: ['main', 'work'],
  sessions: [
    { agent: 'main', key: 'agent:main:main', conversation: 'c1' },
    { agent: 'main', key: 'agent:main:telegram:7', conversation: 'c2' },
    { agent: 'work', key: 'agent:work:main', conversation: 'c3' },
  ],
  messages: { 'main/c1': 12, 'main/c2': 1, 'work/c3': 3 },
  jobs: [{ id: 'j', name: 'tell the news' }],
  memoryFiles: ['workspace/MEMORY.md'],
  unread: {},
};
const MAIN = 'agents/main/agent/openclaw-agent.sqlite';

describe('what is missing', () => {
  it.each<[string, Partial<Survey>, string[], Partial<Survey>?]>([
    ['nothing', {}, []],
    [
      'more than before',
      { messages: { ...BEFORE.messages, 'main/c1': 20 }, agents: ['main', 'new', 'work'] },
      [],
    ],
    ['an agent', { agents: ['main'], sessions: BEFORE.sessions.slice(0, 2) }, ['the agent work']],
    ['a session', { sessions: BEFORE.sessions.slice(1) }, ['the session agent:main:main (12 messages)']],
    [
      'a session that somebody deleted',
      { sessions: BEFORE.sessions.slice(1), messages: { ...BEFORE.messages, 'main/c1': ARCHIVED } },
      [],
    ],
    [
      'messages',
      { messages: { ...BEFORE.messages, 'main/c1': 4 } },
      ['8 of the 12 messages of the session agent:main:main'],
    ],
    [
      'all messages',
      { messages: {} },
      [
        '12 of the 12 messages of the session agent:main:main',
        '1 of the 1 message of the session agent:main:telegram:7',
        '3 of the 3 messages of the session agent:work:main',
      ],
    ],
    [
      'a conversation, whose session has begun another',
      {
        sessions: BEFORE.sessions.map((one) =>
          one.key === 'agent:main:main' ? { ...one, conversation: 'c9' } : one,
        ),
        messages: { ...BEFORE.messages, 'main/c9': 1 },
      },
      [],
    ],
    ['a job', { jobs: [] }, ['the job "tell the news"']],
    ['a memory', { memoryFiles: [] }, ['the memory file workspace/MEMORY.md']],
    [
      'a database that cannot be read',
      { unread: { [MAIN]: 'file is not a database' } },
      ['the database of the agent main, which cannot be read: file is not a database'],
    ],
    ['what could not be counted before either', { unread: { [MAIN]: 'x' } }, [], { unread: { [MAIN]: 'x' } }],
    [
      'the shared database',
      { jobs: [], unread: { 'state/openclaw.sqlite': 'malformed' } },
      ['the database of all agents, which cannot be read: malformed'],
    ],
  ])('%s', (_what, changed, said, before = {}) => {
    expect(missingSince({ ...BEFORE, ...before }, { ...BEFORE, ...changed }).map(({ text }) => text)).toEqual(
      said,
    );
  });
});

describe('the snapshot from before an update', () => {
  const on = (day: string, hostVersion: string) => ({
    ...SNAPSHOT,
    id: `${day}T00-00-00Z-1f2e3d4c`,
    createdAt: `${day}T00:00:00Z`,
    hostVersion,
    hostInstall: 'npm',
    hostSchemas: [
      { path: 'agents/main/agent/openclaw-agent.sqlite', version: 41 },
      { path: 'agents/work/agent/openclaw-agent.sqlite', version: 42 },
      { path: 'state/openclaw.sqlite', version: 23 },
    ],
  });
  const madeBy = `OpenClaw ${OLD}, installed by npm, with the schemas 23 (state), 41 to 42 (agents)`;
  const [before, after] = [on('2026-02-18', OLD), on('2026-02-19', NEW)];
  const said = `before the update ${OLD} to ${NEW}`;
  const shown = { createdAt: '', entries: [], incomplete: false, remarks: [], warnings: [] };
  const engine: Partial<Engine> = {
    list: async () => ({ snapshots: [before, after], warnings: [] }),
    show: async (_settings, { snapshot }) => ({ ...shown, snapshot }),
  };

  it('is named by show', async () => {
    expect((await run(`show ${before.id}`, engine)).out).toContain(said);
    expect((await run(`show ${after.id}`, engine)).out).not.toContain(said);
    expect((await run(`show ${before.id}`, engine)).out).toContain(`\nMade by ${madeBy}.\n`);
    expect((await json(`show ${before.id}`, engine)).document).toMatchObject({
      beforeUpdate: NEW,
      hostInstall: 'npm',
      hostSchemas: before.hostSchemas,
    });
  });

  it('is named by the status, with what is missing', async () => {
    const stateDir = await temporaryState();
    const asked = {
      stateDir,
      bucket: 'b',
      prefix: 'p',
      encrypt: true,
      snapshots: 2,
      storedBytes: 0,
      damagedPacks: 0,
    };
    const status = {
      ...asked,
      machines: [],
      pending: false,
      opensWith: [],
      incomplete: false,
      remarks: [],
      warnings: [],
    };
    const all: Partial<Engine> = { ...engine, status: async () => status };
    const told = await run('status', all);
    expect(told.out).toContain(`${before.id} is from ${said}`);
    expect(told.out).toContain(madeBy);
    expect(told.err).not.toContain('missing');
    mkdirSync(join(stateDir, 'b2-backup'));
    const at = '2026-02-19T01:00:00.000Z';
    const checked = { from: OLD, to: NEW, snapshot: before.id, at, since: at, missing: [LOST], more: 0 };
    writeFileSync(recordPath(stateDir), JSON.stringify({ ...EMPTY, update: { version: NEW, checked } }));
    expect((await run('status', all)).err).toMatch(
      /this is missing: the job "tell the news".*b2-backup undo-update/,
    );
    expect((await json('status', all)).document).toMatchObject({
      update: { from: OLD, to: NEW, snapshot: before.id },
      missingSinceUpdate: [LOST.text],
    });
  });

  it('is named by the chat', () => {
    const text = formatList(
      { snapshots: [before, after], warnings: [] },
      { limit: 9, now: new Date('2026-02-20T00:00:00Z'), timeZone: 'UTC' },
    );
    expect(text.split('\n').filter((line) => line.includes(said))).toEqual([
      expect.stringContaining('2026-02-18 00:00'),
    ]);
  });
});

/** A gateway that remembers, and what it tells. */
class Remembering {
  readonly clock = new TestClock();
  record: Record = EMPTY;
  readonly told: string[] = [];
  answer: UpdateCheck | undefined | BackupError;
  /** When the version that is checked was first started, as it is told. */
  readonly started: (number | undefined)[] = [];
  /** Since when nothing of the version before was saved, as it is told. */
  readonly unsaved: (string | undefined)[] = [];

  deps(version: string | undefined): UpdateCheckDeps {
    const tell = (text: string): void => {
      this.told.push(text);
    };
    const all = this;
    const reporter = {
      get record() {
        return all.record;
      },
      keepUpdate: (update) => {
        // Over the file, as a restart does.
        this.record = { ...this.record, update: parseUpdate(JSON.parse(JSON.stringify(update))) } as Record;
      },
      rests: (atRest) => {
        this.record = { ...this.record, atRest };
      },
      say: tell,
      warn: tell,
      tell,
      alarm: (text) => tell(`! ${text}`),
    } satisfies UpdateCheckDeps['reporter'] as unknown as Reporter;
    const check: UpdateCheckDeps['check'] = async (_operation, { startedMs, unsavedSince }) => {
      this.started.push(startedMs);
      this.unsaved.push(unsavedSince);
      return undefined;
    };
    return { clock: this.clock, reporter, version, check };
  }

  start(version: string | undefined): void {
    noteVersion(this.deps(version));
  }

  /** A push of the gateway ends, and what follows it. Whether it was checked. */
  push(reason: 'scheduled' | 'manual' = 'scheduled', version = NEW): boolean {
    const chore = updateChecker(this.deps(version));
    const due = chore.due({ reason, outcome: REPORT });
    if (due) {
      void chore.work({});
      chore.ended(this.answer);
    }
    return due;
  }
}

const FOUND: UpdateCheck = {
  ...{ from: OLD, to: NEW, snapshot: '2026-11-22T23-00-00Z-aaaaaaaa', missing: [], notes: [] },
  counted: { agents: 2, sessions: 3, messages: 16, jobs: 1, memoryFiles: 1 },
};

describe('the check', () => {
  const updated = (): Remembering => {
    const gateway = new Remembering();
    gateway.start(OLD);
    gateway.start(NEW);
    return gateway;
  };

  it('does not follow a first start, the same version, or one that does not say', () => {
    const gateway = new Remembering();
    for (const version of [OLD, OLD, undefined]) gateway.start(version);
    expect(gateway.record.update).toEqual({ version: OLD });
    gateway.clock.sleep(DAY);
    expect(gateway.push('scheduled', OLD)).toBe(false);
  });

  it('does not follow the way back, and follows when the new version comes again', () => {
    const gateway = updated();
    gateway.clock.sleep(HOUR);
    gateway.answer = { ...FOUND, missing: [LOST] };
    expect(gateway.push()).toBe(true);
    expect(standingFailure(gateway.record)).toBeDefined();
    gateway.start(OLD);
    expect(gateway.told.at(-1)).toBe(`OpenClaw is ${OLD} now, and was ${NEW}`);
    expect(gateway.record.update).toEqual({ version: OLD });
    expect(standingFailure(gateway.record)).toBeUndefined();
    gateway.clock.sleep(DAY);
    expect(gateway.push('scheduled', OLD)).toBe(false);
    gateway.start(NEW);
    const started = gateway.clock.now().getTime();
    gateway.clock.sleep(3 * MINUTE);
    gateway.answer = FOUND;
    expect(gateway.push()).toBe(true);
    expect(gateway.started.at(-1)).toBe(started);
    expect(standingFailure(gateway.record)).toBeUndefined();
  });

  it('says that the snapshot is older where the old version ended without a backup', () => {
    const gateway = new Remembering();
    gateway.start(OLD);
    const lastSuccessAt = new Date(gateway.clock.now().getTime() - HOUR).toISOString();
    gateway.record = { ...gateway.record, lastSuccessAt };
    gateway.start(NEW);
    expect(gateway.told.at(-1)).toContain(`after ${lastSuccessAt} is in no snapshot from before the update`);
    expect(formatStatus(remembered(gateway.record, undefined), { now: gateway.clock.now() })).toContain(
      `OpenClaw is ${NEW} now, and was ${OLD}.`,
    );
    gateway.clock.sleep(HOUR);
    gateway.answer = { ...FOUND, unsavedSince: lastSuccessAt };
    expect(gateway.push()).toBe(true);
    expect(gateway.unsaved).toEqual([lastSuccessAt]);
    expect(gateway.told.at(-1)).toContain('nothing is missing of what was backed up:');
    // It is remembered, for lists.
    expect(gateway.record.update).toMatchObject({ version: NEW, unsavedSince: lastSuccessAt });
    const status = formatStatus(remembered(gateway.record, undefined), { now: gateway.clock.now() });
    expect(status).toMatch(
      /It is older than the update: OpenClaw 2026\.9\.5 ended without a backup, and what was said and done after .* is not in it\./,
    );
  });

  it('knows that the old version had backed up when it stopped', () => {
    const gateway = new Remembering();
    gateway.start(OLD);
    const lastSuccessAt = gateway.clock.now().toISOString();
    gateway.record = { ...gateway.record, lastSuccessAt, atRest: true };
    gateway.start(NEW);
    expect(gateway.told).toHaveLength(1);
    expect(gateway.record.update).not.toHaveProperty('unsavedSince');
    // From now on there is something that is not saved.
    expect(gateway.record.atRest).toBe(false);
  });

  it('has a push made some minutes after the start, and no second one', () => {
    const gateway = updated();
    const policy = checkPolicy({});
    const now = gateway.clock.now();
    const ran = (ago: number): Record => ({
      ...gateway.record,
      lastRunAt: new Date(now.getTime() - ago).toISOString(),
    });
    expect(dueAt(policy, ran(HOUR), now).getTime() - now.getTime()).toBe(3 * MINUTE);
    expect(dueAt(policy, ran(-4 * MINUTE), new Date(now.getTime() + 5 * MINUTE)).getTime()).toBeGreaterThan(
      now.getTime() + HOUR,
    );
  });

  it('comes once, after the first push from then on', () => {
    const gateway = updated();
    gateway.answer = FOUND;
    expect(gateway.push()).toBe(false);
    gateway.clock.sleep(3 * MINUTE);
    expect(gateway.push('manual')).toBe(true);
    expect(gateway.told.at(-1)).toBe(
      `after the update of OpenClaw ${OLD} to ${NEW} nothing is missing: 2 agents, 3 sessions with 16 messages, 1 job, 1 memory file`,
    );
    gateway.clock.sleep(DAY);
    expect(gateway.push()).toBe(false);
    expect(standingFailure(gateway.record)).toBeUndefined();
  });

  it('tells what is missing, until it is there again', () => {
    const gateway = updated();
    gateway.clock.sleep(HOUR);
    gateway.answer = { ...FOUND, missing: [LOST, { id: 'agent work', text: 'the agent work' }] };
    expect(gateway.push()).toBe(true);
    expect(gateway.told.at(-1)).toMatch(
      /^! Since the update .* this is missing: the job "tell the news"; the agent work\. .*-aaaaaaaa\. If nobody .*undo-update --dry-run/,
    );
    expect(standingFailure(gateway.record)).toMatchObject({ code: 'B2_UPDATE_LOST' });
    const told = gateway.told.length;
    expect(gateway.push()).toBe(false);
    gateway.clock.sleep(DAY);
    // What goes later goes because somebody wants it.
    gateway.answer = { ...FOUND, missing: [LOST, { id: 'job k', text: 'the job "k"' }] };
    expect(gateway.push()).toBe(true);
    expect(gateway.record.update?.checked?.missing).toEqual([LOST]);
    expect(gateway.told).toHaveLength(told);
    gateway.clock.sleep(DAY);
    gateway.answer = FOUND;
    expect(gateway.push()).toBe(true);
    expect(gateway.told.at(-1)).toMatch(/is there again\.$/);
    expect(standingFailure(gateway.record)).toBeUndefined();
  });

  it('gives up after two weeks, and is over with the next version', () => {
    const gateway = updated();
    gateway.clock.sleep(HOUR);
    gateway.answer = { ...FOUND, missing: [LOST] };
    expect(gateway.push()).toBe(true);
    const other = Object.assign(new Remembering(), { record: gateway.record });
    other.start(OLD);
    expect(standingFailure(other.record)).toBeUndefined();
    gateway.clock.sleep(15 * DAY);
    const told = gateway.told.length;
    expect(gateway.push()).toBe(true);
    expect(standingFailure(gateway.record)).toBeUndefined();
    expect(gateway.told).toHaveLength(told);
  });

  it.each([
    ['tries again what may pass', true],
    ['does not try again what will not', false],
  ])('%s', (_what, retryable) => {
    const gateway = updated();
    gateway.clock.sleep(HOUR);
    gateway.answer = new BackupError('the bucket is away', { code: 'B2_NETWORK', retryable });
    expect(gateway.push()).toBe(true);
    expect(gateway.record.update?.problem).toBe('the bucket is away');
    gateway.answer = FOUND;
    expect(gateway.push()).toBe(retryable);
    expect(gateway.record.update?.problem).toBe(retryable ? undefined : 'the bucket is away');
  });

  it('is over where there is no snapshot from before', () => {
    const gateway = updated();
    gateway.clock.sleep(HOUR);
    expect(gateway.push()).toBe(true);
    expect(gateway.record.update).toEqual({ version: NEW });
  });

  it('is not told of by a record that somebody wrote into', () => {
    const odd = [
      undefined,
      7,
      {},
      { version: 1 },
      { version: NEW, checked: { from: OLD } },
      { version: NEW, checkAt: 'soon' },
    ];
    expect(odd.map((value) => parseUpdate(value))).toEqual([
      ...Array(4).fill(undefined),
      ...Array(2).fill({ version: NEW }),
    ]);
  });
});

describe.skipIf(addon === undefined)('in a gateway (needs the built addon)', { timeout: 60_000 }, () => {
  it('is told by chat, health, page and status, with how to undo it', async () => {
    const machine = new Machine();
    machine.version = OLD;
    await machine.start();
    await machine.stop();
    await machine.nextSecond();
    rmSync(join(machine.stateDir, 'workspace', 'MEMORY.md'));
    machine.version = NEW;
    await machine.begin();
    await machine.clock.advance(5 * MINUTE);
    // It is written down last.
    const checked = await vi.waitUntil(() => readCheckedUpdate(machine.stateDir), PATIENT);
    expect(checked).toMatchObject({
      from: OLD,
      to: NEW,
      missing: [{ text: 'the memory file workspace/MEMORY.md' }],
    });
    expect((await machine.backup.status({ bucket: false })).update).toEqual(checked);
    const said = /this is missing: the memory file workspace\/MEMORY\.md\..*b2-backup undo-update/;
    expect(machine.host?.events.at(-1)?.text).toMatch(said);
    expect(machine.host?.health.at(-1)).toMatch(said);
    const { verdict, days } = await machine.model();
    expect(verdict).toMatchObject({ standing: 'attention', problem: { code: 'B2_UPDATE_LOST' } });
    expect(verdict.todo).toContain('b2-backup undo-update');
    expect(days.flatMap(({ snapshots }) => snapshots).map(({ made }) => made)).toEqual([
      'By the schedule',
      // This machine stops without a last backup, as one that is killed.
      `By the schedule, before the update ${OLD} to ${NEW}, but older than it`,
    ]);
    const reader = { now: machine.clock.now(), timeZone: 'UTC' };
    expect(formatStatus(await machine.backup.status({ bucket: false }), reader)).toContain('this is missing');
  });
});
