/** A machine whose commands are killed at any moment, and everything that must be true after each kill. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { expect } from 'vitest';
import type { SnapshotInfo } from '../index.js';
import type { Random } from './campaign-support.ts';
import { type Document, keepNewest, Person, Running, type Server, states } from './process-support.ts';

export const OPERATIONS = ['push', 'rollback', 'undo', 'prune', 'restore', 'key'] as const;
export type Kind = (typeof OPERATIONS)[number];
/** Whom SIGKILL hits: the command alone, its worker alone, or both. */
export const VICTIMS = ['command', 'worker', 'group'] as const;
export type Victim = (typeof VICTIMS)[number];

/** How often each operation comes. */
const OFTEN: Readonly<Record<Kind, number>> = { push: 8, rollback: 6, undo: 3, prune: 3, restore: 3, key: 2 };
/** What these do, they do in the command's own process. */
const WITHOUT_WORKER: ReadonlySet<Kind> = new Set(['push', 'restore', 'key']);
/** What an operation is thought to take before it was measured, in milliseconds. */
const FIRST_GUESS_MS = 800;
/** What applying a rollback that is staged takes at most, on an idle machine, in milliseconds. */
const APPLY_MS = 120;
/** How much of a new measurement counts. */
const SHARE = 0.5;

/**
 * What our folder holds between operations: everything else was left behind by something that was killed. `.new` is a
 * file that was not whole yet; its name is always the same, so that there is one at most, and the next writing takes it.
 */
const OURS = [
  /^(lock|machine|arrived)(\.new)?$/,
  /^(tmp|repositories|restore)$/,
  /^repositories\/[0-9a-f]{16}$/,
  /^repositories\/[0-9a-f]{16}\/(key|repository|newest|files|pruning|proof|spool|footers|known|rows)(\.new)?$/,
  /^repositories\/[0-9a-f]{16}\/footers\/[0-9a-f]{32}$/,
  /^restore\/last(\.new)?$/,
];

/** An operation that can be killed. */
interface Act {
  readonly args: readonly string[];
  /** What the state may be afterwards, as digests. */
  readonly outcomes: readonly string[];
  /** Snapshots that may be gone afterwards. */
  readonly mayGo?: readonly string[];
  /** A directory that it makes, which must be whole when it says so. */
  readonly to?: { readonly folder: string; readonly digest: string };
}

export class Season {
  readonly #random: Random;
  readonly #person: Person;
  readonly #server: Server;
  readonly #folder: string;
  readonly #keepConfig: string;
  /** What each operation takes when nobody kills it, in milliseconds. */
  readonly #takes: Record<string, number> = {};
  /** Each snapshot that was listed, and the state that it holds. */
  readonly #snapshots = new Map<string, string>();
  /** What was seen, for telling the difference. */
  readonly #states = new Map<string, readonly string[]>();
  /** What the live state is. */
  #now = '';
  /** What it was before the rollback that can be undone. */
  #before: string | undefined;
  #day = 0;
  #count = 0;
  #machine = '';
  /** What happened, for failures. */
  readonly log: string[] = [];

  constructor(folder: string, server: Server, random: Random, number: number) {
    this.#folder = folder;
    this.#server = server;
    this.#random = random;
    this.#person = new Person(join(folder, 'machine'), server, { B2_PREFIX: `season-${number}` });
    this.#keepConfig = keepNewest(folder, 4);
  }

  /** A state, and its first two snapshots. */
  async begin(seed: number): Promise<void> {
    const { state } = this.#person;
    await states.generate(state, { seed, mb: 5 });
    for (let first = 0; first < 2; first += 1) {
      if (first > 0) await this.#workADay();
      this.#now = await this.#digest(state);
      await this.#person.json('push');
      await this.#look();
    }
  }

  /** Kills one operation, and looks whether all is well. Undefined when it was over before it could be killed. */
  async kill(): Promise<{ kind: Kind; victim: Victim; staged: boolean } | undefined> {
    const kind = this.#random.weighted(OFTEN);
    const victim = WITHOUT_WORKER.has(kind) ? 'command' : this.#random.pick(VICTIMS);
    const moment = this.#random.next();
    // The state is changed at the very end: half of these come when that begins.
    const late = (kind === 'rollback' || kind === 'undo') && this.#random.chance(0.5);
    const next = this.#random.pick(['push', 'list', 'status', 'resume', 'verify'] as const);
    const act = await this.#prepare(kind);
    const stagedBefore = this.#rollbacks();
    const running = this.#person.start(...act.args, '--json');
    const staged = late ? await this.#staged(running, stagedBefore) : false;
    const killed = staged
      ? await this.#strikeNow(running, victim, APPLY_MS * moment)
      : await this.#strike(running, kind, victim, moment);
    this.log.push(
      `${kind} ${act.args.join(' ')}: ${victim} at ${moment.toFixed(3)}${staged ? ' of applying' : ''}, ${killed ? 'killed' : 'over'}; ${next}`,
    );
    const { exit, signal, out, err } = await running.ended;
    if (!killed || signal === null) this.#checkAnswer(exit, out + err, killed);
    const finished = !killed && exit === 0;

    await this.#goOn(next);
    await this.#person.json('push');
    await this.#person.alone();
    const now = await this.#digest(this.#person.state);
    const outcomes = finished ? act.outcomes.slice(-1) : act.outcomes;
    this.#expectState(now, outcomes, 'the live state');
    this.#rememberUndo(kind, act, now);
    const before = this.#now;
    this.#now = now;
    await this.#look({ before, mayGo: act.mayGo });
    this.#checkLeftovers();
    if (act.to !== undefined) await this.#checkRestored(act.to, finished);
    return killed ? { kind, victim, staged } : undefined;
  }

  /** Restores every snapshot, or some of them, on a machine that has nothing; and reads all that is stored. */
  async audit({ all }: { all: boolean }): Promise<number> {
    this.#count += 1;
    const blank = new Person(join(this.#folder, `blank-${this.#count}`), this.#server, {
      B2_PREFIX: this.#person.env['B2_PREFIX'],
    });
    const listed = [...this.#snapshots].filter(() => all || this.#random.chance(0.2));
    for (const [id, digest] of listed) {
      const to = join(blank.folder, 'to');
      expect(await blank.json('restore', id, '--to', to)).toMatchObject({
        ok: true,
        snapshot: id,
        failed: [],
      });
      this.#expectState(await this.#digest(to), [digest], `what ${id} holds`);
      rmSync(to, { recursive: true });
    }
    const verified = await blank.json('verify', '--read-data');
    expect(verified).toMatchObject({ ok: true, problems: [], snapshots: this.#snapshots.size });
    expect(blank.processes()).toEqual([]);
    rmSync(blank.folder, { recursive: true });
    return listed.length;
  }

  async #digest(folder: string): Promise<string> {
    const entries = await states.entries(folder);
    const digest = createHash('sha256').update(entries.join('\n')).digest('hex');
    this.#states.set(digest, entries);
    return digest;
  }

  #expectState(digest: string, allowed: readonly string[], what: string): void {
    if (allowed.includes(digest)) return;
    const found = this.#states.get(digest) ?? [];
    const difference = (expected: readonly string[]): string[] => [
      ...expected.filter((entry) => !found.includes(entry)).map((entry) => `- ${entry}`),
      ...found.filter((entry) => !expected.includes(entry)).map((entry) => `+ ${entry}`),
    ];
    const shown = allowed.map((state) =>
      difference(this.#states.get(state) ?? [])
        .slice(0, 20)
        .join('\n'),
    );
    throw new Error(`${what} is none of what it may be:\n${shown.join('\n\n')}`);
  }

  async #workADay(): Promise<void> {
    this.#day += 1;
    await states.day(this.#person.state, { seed: this.#day, scale: 0.05 });
    this.#before = undefined;
  }

  async #prepare(kind: Kind): Promise<Act> {
    const { state } = this.#person;
    const other = (): [string, string] => {
      const others = [...this.#snapshots].filter(([, digest]) => digest !== this.#now);
      return others.length > 0 ? this.#random.pick(others) : this.#random.pick([...this.#snapshots]);
    };
    switch (kind) {
      case 'push': {
        await this.#workADay();
        this.#now = await this.#digest(state);
        return { args: ['push'], outcomes: [this.#now] };
      }
      case 'rollback': {
        const [id, digest] = other();
        return { args: ['restore', id, '--exact', '--yes'], outcomes: [this.#now, digest] };
      }
      case 'undo': {
        if (this.#before === undefined) {
          const [id, digest] = other();
          const then = this.#now;
          await this.#person.json('restore', id, '--exact', '--yes');
          this.#now = await this.#digest(state);
          this.#expectState(this.#now, [digest], `rolled back to ${id}`);
          await this.#look({ before: then });
          this.#before = then;
        }
        return { args: ['undo', '--yes'], outcomes: [this.#now, this.#before] };
      }
      case 'prune': {
        const args = ['prune', '--config', this.#keepConfig, '--more-than-half'];
        const plan = await this.#person.json<Document & { snapshots: { id: string; reasons: string[] }[] }>(
          ...args,
          '--dry-run',
        );
        const mayGo = plan.snapshots.filter(({ reasons }) => reasons.length === 0).map(({ id }) => id);
        return { args, outcomes: [this.#now], mayGo };
      }
      case 'restore': {
        const [id, digest] = this.#random.pick([...this.#snapshots]);
        this.#count += 1;
        const to = { folder: join(this.#folder, `to-${this.#count}`), digest };
        return { args: ['restore', id, '--to', to.folder], outcomes: [this.#now], to };
      }
      case 'key': {
        const { slots } = await this.#person.json<Document & { slots: { id: string; kind: string }[] }>(
          'key',
          'list',
        );
        const codes = slots.filter((slot) => slot.kind === 'recovery-code');
        const [first] = codes;
        const args =
          first === undefined || codes.length < 2
            ? ['key', 'recovery', '--show-code']
            : ['key', 'remove', first.id, '--yes'];
        return { args, outcomes: [this.#now] };
      }
    }
  }

  /** Kills at a moment between the beginning (0) and the end (1). Gives whether there was something to kill. */
  async #strike(running: Running, kind: Kind, victim: Victim, moment: number): Promise<boolean> {
    const started = performance.now();
    const takes = this.#takes[kind] ?? FIRST_GUESS_MS;
    if (victim === 'worker') {
      if ((await running.whenWorking()) === undefined) return false;
      // Its own time is what is left of the operation's.
      await Promise.race([pause((takes - (performance.now() - started)) * moment), running.ended]);
    } else {
      await Promise.race([pause(takes * moment), running.ended]);
    }
    if (running.over) {
      const took = performance.now() - started;
      this.#takes[kind] = takes * (1 - SHARE) + took * SHARE;
      return false;
    }
    return this.#hit(running, victim);
  }

  /** Kills so many milliseconds from now, if it still runs then. */
  async #strikeNow(running: Running, victim: Victim, ms: number): Promise<boolean> {
    await Promise.race([pause(ms), running.ended]);
    return !running.over && this.#hit(running, victim);
  }

  #hit(running: Running, victim: Victim): boolean {
    const worker = running.worker();
    if (victim === 'worker') return worker !== undefined && Running.signal(worker, 'SIGKILL');
    return Running.signal(victim === 'group' ? -running.pid : running.pid, 'SIGKILL');
  }

  /** Folders of rollbacks that have got as far as being staged. */
  #rollbacks(): ReadonlySet<string> {
    const folder = join(this.#person.state, 'b2-backup', 'restore');
    const names = existsSync(folder) ? readdirSync(folder) : [];
    return new Set(names.filter((name) => existsSync(join(folder, name, 'phase'))));
  }

  /** Waits until a rollback is staged; false when the command ends without. */
  async #staged(running: Running, before: ReadonlySet<string>): Promise<boolean> {
    while (!running.over) {
      if ([...this.#rollbacks()].some((name) => !before.has(name))) return true;
      await pause(1);
    }
    return false;
  }

  #checkAnswer(exit: number | null, said: string, killed: boolean): void {
    if (exit === 0) return;
    expect(killed, said).toBe(true);
    expect(JSON.parse(said), said).toMatchObject({ ok: false, code: 'B2_WORKER_DIED' });
  }

  /** The next command works, whatever it is and however soon it comes. */
  async #goOn(next: 'push' | 'list' | 'status' | 'resume' | 'verify'): Promise<void> {
    if (next !== 'resume') {
      await this.#person.json(next);
      return;
    }
    // It does not wait for others, and a worker whose command was killed takes a moment to end.
    await this.#person.alone();
    await this.#person.json('restore', '--resume');
  }

  #rememberUndo(kind: Kind, { outcomes }: Act, now: string): void {
    const [then, would] = outcomes;
    if (kind !== 'rollback' && kind !== 'undo') return;
    // Undone, or rolled back: it can be undone from there. Otherwise the last one that was applied is not the one here.
    this.#before = now === would && then !== would ? then : undefined;
  }

  /** What is listed is what was there, but for what may go; what is new holds the state as it was. */
  async #look({ before = this.#now, mayGo = [] as readonly string[] | undefined } = {}): Promise<void> {
    const { snapshots } = await this.#person.json<Document & { snapshots: SnapshotInfo[] }>('list');
    const ids = new Set(snapshots.map(({ id }) => id));
    for (const id of this.#snapshots.keys()) {
      if (ids.has(id)) continue;
      expect(mayGo, `${id} is gone`).toContain(id);
      this.#snapshots.delete(id);
    }
    for (const { id, machine, reason, authenticated, problem } of snapshots as (SnapshotInfo & {
      problem: unknown;
    })[]) {
      if (this.#machine === '') this.#machine = machine;
      // A machine that believes to be a copy of itself takes another id.
      expect({ id, machine, authenticated, problem }).toEqual({
        id,
        machine: this.#machine,
        authenticated: true,
        problem: null,
      });
      if (!this.#snapshots.has(id)) this.#snapshots.set(id, reason === 'safety' ? before : this.#now);
    }
    expect([...this.#snapshots.values()], 'the last push stored what is there').toContain(this.#now);
  }

  /** Nothing of what was killed piles up. */
  #checkLeftovers(): void {
    const ours = join(this.#person.state, 'b2-backup');
    const found = readdirSync(ours, { recursive: true, encoding: 'utf8' });
    const rest = found.filter(
      (path) => !OURS.some((known) => known.test(path)) && !/^restore\/[^/]+(\/|$)/.test(path),
    );
    expect(rest, 'what is left behind in b2-backup').toEqual([]);
    const rollbacks = found.filter((path) => /^restore\/[^/]+$/.test(path) && path !== 'restore/last');
    expect(rollbacks.length, 'folders of rollbacks').toBeLessThanOrEqual(1);
    expect(readdirSync(this.#person.tmp), 'what is left behind in TMPDIR').toEqual([]);
  }

  /** What was cut off is only a part, and the next restore, to another directory, is whole. */
  async #checkRestored(
    { folder, digest }: { folder: string; digest: string },
    finished: boolean,
  ): Promise<void> {
    if (finished) this.#expectState(await this.#digest(folder), [digest], folder);
    if (existsSync(folder)) rmSync(folder, { recursive: true });
    mkdirSync(join(folder, '..'), { recursive: true });
  }
}
