/** Commands that run at the same time: on one state directory, and on two machines that share a prefix. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { SnapshotInfo } from '../index.js';
import { cases, Random, report, seed } from './campaign-support.ts';
import {
  type Document,
  type Ended,
  keepNewest,
  Person,
  processesCanRun,
  Server,
  states,
} from './process-support.ts';

const ROUNDS = cases(1, 10);
const PATIENCE_MS = cases(10, 60) * 60_000;

/** What a command answered with `--json`, whatever it was. */
function answer({ out, err }: Ended): Document & { code?: string; message?: string } {
  expect(err).toBe('');
  return JSON.parse(out) as Document;
}

describe.skipIf(!processesCanRun)('at the same time (needs Linux, the addon and the tools)', () => {
  let folder: string;
  let server: Server;
  let number = 0;
  const counted: Record<string, number> = {};
  const count = (name: string, by = 1): void => {
    counted[name] = (counted[name] ?? 0) + by;
  };

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'b2-together-'));
    server = await Server.start(join(folder, 'buckets'));
  });
  afterEach(() => {
    number += 1;
  });
  afterAll(async () => {
    report('together', 'all', counted);
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  /** Somebody with a state of their own, under the prefix of this test. */
  async function person(name: string, from = 1): Promise<Person> {
    const who = blank(name);
    await states.generate(who.state, { seed: seed * 100 + from, mb: 2 });
    return who;
  }

  function blank(name: string): Person {
    return new Person(join(folder, `${number}-${name}`), server, { B2_PREFIX: `test-${number}` });
  }

  async function list(who: Person): Promise<SnapshotInfo[]> {
    return (await who.json<{ snapshots: SnapshotInfo[] }>('list')).snapshots;
  }

  /** Everything that is listed restores, as the states that are known; and what is stored is whole. */
  async function allIsWell(known: ReadonlyMap<string, string>, held: readonly string[] = []): Promise<void> {
    const reader = blank(`reader-${counted['restored'] ?? 0}`);
    const snapshots = await list(reader);
    for (const { id, authenticated } of snapshots) {
      expect(authenticated).toBe(true);
      const to = join(reader.folder, 'to');
      expect(await reader.json('restore', id, '--to', to)).toMatchObject({ ok: true, failed: [] });
      const digest = await states.digest(to);
      const expected = known.get(id);
      if (expected === undefined) expect(held, `what ${id} holds`).toContain(digest);
      else expect(digest, `what ${id} holds`).toBe(expected);
      rmSync(to, { recursive: true });
      count('restored');
    }
    expect(await reader.json('verify', '--read-data')).toMatchObject({
      problems: [],
      snapshots: snapshots.length,
    });
    rmSync(reader.folder, { recursive: true });
  }

  it(
    'two pushes of one state: one does it, the other waits and finds it done',
    async () => {
      const me = await person('me');
      const held: string[] = [];
      for (let round = 1; round <= ROUNDS; round += 1) {
        if (round > 1) await states.day(me.state, { seed: round, scale: 0.05 });
        held.push(await states.digest(me.state));
        const before = round === 1 ? 0 : (await list(me)).length;
        const running = [me.start('push', '--json'), me.start('push', '--json'), me.start('push', '--json')];
        const answers = (await Promise.all(running.map(({ ended }) => ended))).map(answer);
        for (const one of answers) expect(one).toMatchObject({ ok: true, skipped: [] });
        expect(answers.filter((one) => one['changed'] === true)).toHaveLength(1);
        const snapshots = await list(me);
        expect(snapshots).toHaveLength(before + 1);
        expect(new Set(snapshots.map(({ machine }) => machine)).size, 'nobody is taken for a copy').toBe(1);
        await me.alone();
        count('pushes of one state', 3);
      }
      await allIsWell(new Map(), held);
    },
    PATIENCE_MS,
  );

  it(
    'a restore and a rollback beside a push: each is whole, or says that it has to wait',
    async () => {
      const me = await person('me');
      const random = new Random(seed, 2);
      const then = await states.digest(me.state);
      const { snapshot } = await me.json<{ snapshot: string }>('push');
      const known = [then];
      for (let round = 1; round <= ROUNDS; round += 1) {
        await states.day(me.state, { seed: round, scale: 0.05 });
        const now = await states.digest(me.state);
        known.push(now);
        const to = join(me.folder, 'to');
        const [first, second] = random.chance(0.5) ? ['push', 'restore'] : ['restore', 'push'];
        const lines: Record<string, readonly string[]> = {
          push: ['push', '--json'],
          restore: ['restore', snapshot, '--exact', '--yes', '--json'],
        };
        const beside = me.start('restore', snapshot, '--to', to, '--json');
        const running = { [first as string]: me.start(...(lines[first as string] ?? [])) };
        running[second as string] = me.start(...(lines[second as string] ?? []));
        expect(answer(await beside.ended)).toMatchObject({ ok: true, snapshot, failed: [] });
        expect(await states.digest(to)).toBe(then);
        rmSync(to, { recursive: true });
        const pushed = await running['push']?.ended;
        const rolled = await running['restore']?.ended;
        if (pushed === undefined || rolled === undefined) throw new Error('both ran');
        // A push waits; a rollback of which the plan was agreed to may find that another one works here.
        expect(answer(pushed), pushed.out).toMatchObject({ ok: true });
        const said = answer(rolled);
        count(`rollback ${said.ok ? 'done' : said.code}`);
        if (!said.ok) {
          expect(said.code, rolled.out).toMatch(/^B2_(LOCKED|PLAN_CHANGED)$/);
          expect(said.message).toMatch(/running|look at the plan again/);
        }
        expect(await states.digest(me.state)).toBe(said.ok ? then : now);
        await me.json('push');
        await me.alone();
      }
      await allIsWell(new Map([[snapshot, then]]), known);
    },
    PATIENCE_MS,
  );

  it(
    'pruning on one machine beside restore, verify and push on another',
    async () => {
      const mine = await person('mine');
      const theirs = await person('theirs', 2);
      const known = new Map<string, string>();
      const pushed = async (who: Person, day: number): Promise<void> => {
        await states.day(who.state, { seed: day, scale: 0.05 });
        const digest = await states.digest(who.state);
        const { snapshot } = await who.json<{ snapshot: string }>('push');
        known.set(snapshot, digest);
      };
      const config = keepNewest(join(folder, `${number}-keep`), 2);
      for (let day = 1; day <= 3; day += 1) {
        await pushed(mine, day);
        await pushed(theirs, day);
      }
      for (let round = 1; round <= ROUNDS; round += 1) {
        const machine = (await list(mine)).filter(({ thisMachine }) => !thisMachine);
        const wanted = new Random(seed, round).pick(machine).id;
        const to = join(theirs.folder, 'to');
        const [pruned, verified, restored] = await Promise.all([
          mine.run('prune', '--config', config, '--more-than-half', '--json'),
          theirs.run('verify', '--read-data', '--json'),
          theirs.run('restore', wanted, '--to', to, '--json'),
          pushed(theirs, 10 + round),
        ]);
        expect(answer(pruned), pruned.out).toMatchObject({ ok: true });
        expect(answer(restored)).toMatchObject({ ok: true, failed: [] });
        expect(await states.digest(to)).toBe(known.get(wanted));
        rmSync(to, { recursive: true });
        // A snapshot that goes while it is looked at is no damage.
        expect(answer(verified), verified.out).toMatchObject({ ok: true, problems: [] });
        const left = await list(mine);
        for (const id of known.keys()) {
          const here = left.find((one) => one.id === id);
          if (here === undefined) known.delete(id);
        }
        expect(left.filter(({ thisMachine }) => thisMachine)).toHaveLength(2);
        expect(left.filter(({ thisMachine }) => !thisMachine).length, 'theirs are not touched').toBe(
          machine.length + 1,
        );
        await pushed(mine, 10 + round);
        count('prunes beside others');
      }
      await allIsWell(known);
    },
    PATIENCE_MS,
  );

  it(
    'a key that is added while a push runs',
    async () => {
      const me = await person('me');
      const held: string[] = [];
      let code = '';
      // The first round is the first push, which makes the repository that there is a key to.
      for (let round = 1; round <= ROUNDS + 1; round += 1) {
        if (round > 1) await states.day(me.state, { seed: round, scale: 0.05 });
        held.push(await states.digest(me.state));
        const [pushed, made] = await Promise.all([
          me.run('push', '--json'),
          round === 1 ? undefined : me.run('key', 'recovery', '--show-code', '--json'),
        ]);
        expect(answer(pushed), pushed.out).toMatchObject({ ok: true, skipped: [] });
        if (made === undefined) continue;
        expect(answer(made), made.out).toMatchObject({ ok: true });
        code = (JSON.parse(made.out) as { recoveryCode: string }).recoveryCode;
        count('keys beside a push');
      }
      await allIsWell(new Map(), held);
      const { snapshots } = await me.json<{ snapshots: SnapshotInfo[] }>('list');
      const reader = new Person(join(folder, `${number}-code`), server, {
        B2_PREFIX: `test-${number}`,
        B2_APPLICATION_KEY: server.keys.applicationKey,
        B2_BACKUP_PASSPHRASE: '',
        B2_BACKUP_RECOVERY_CODE: code,
      });
      const to = join(reader.folder, 'to');
      expect(await reader.json('restore', snapshots.at(-1)?.id ?? '', '--to', to)).toMatchObject({
        ok: true,
      });
      expect(await states.digest(to)).toBe(held.at(-1));
    },
    PATIENCE_MS,
  );

  it(
    'two first pushes into one empty prefix',
    async () => {
      for (let round = 1; round <= ROUNDS; round += 1) {
        const all = [await person(`a-${round}`), await person(`b-${round}`, 2)];
        const ended = await Promise.all(all.map((who) => who.run('push', '--json')));
        const known = new Map<string, string>();
        for (const [at, who] of all.entries()) {
          const said = answer(ended[at] as Ended);
          expect(said).toMatchObject({ ok: true, changed: true, skipped: [] });
          known.set(String(said['snapshot']), await states.digest(who.state));
        }
        // Where neither saw the other's there are two repositories, each with its own key, and the same secret opens both.
        for (const who of all) {
          await states.day(who.state, { seed: 1, scale: 0.05 });
          const { snapshot } = await who.json<{ snapshot: string }>('push');
          known.set(snapshot, await states.digest(who.state));
        }
        const keys = await all[0]?.json<{ slots: { repository: string; opens: boolean }[] }>('key', 'list');
        const repositories = new Set(keys?.slots.map(({ repository }) => repository)).size;
        expect([1, 2]).toContain(repositories);
        expect(keys?.slots.filter(({ opens }) => opens !== true)).toEqual([]);
        count(`repositories ${repositories}`);
        const listed = await list(all[0] as Person);
        expect(listed.map(({ id }) => id).sort()).toEqual([...known.keys()].sort());
        expect(new Set(listed.map(({ machine }) => machine)).size).toBe(2);
        await allIsWell(known);
        number += 1;
      }
    },
    PATIENCE_MS,
  );
});
