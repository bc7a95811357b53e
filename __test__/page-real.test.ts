/** The page's views of snapshots and files that were really made. */
import { describe, expect, it, vi } from 'vitest';
import { LIVE } from '../ts/operations.ts';
import { addon } from './addon-support.ts';
import { Machine } from './page-outcomes-support.ts';
import { PATIENT } from './support.ts';

/** What a lookup gives once it has come. */
async function come<T>(look: () => Promise<{ value?: T; problem?: unknown }>): Promise<T> {
  return vi.waitUntil(async () => {
    const { value, problem } = await look();
    expect(problem).toBeUndefined();
    return value;
  }, PATIENT);
}

/** A machine with two snapshots. In the second one MEMORY.md is another, and a note has come. */
async function twice(): Promise<{ machine: Machine; ids: readonly [string, string] }> {
  const machine = new Machine();
  machine.write('openclaw.json', '{ /* secret */ "channels": {} }');
  machine.write('agents/main/sessions/one.jsonl', '{"text":"hello"}\n');
  machine.write('skills/weather/SKILL.md', 'It rains.\n');
  await machine.start();
  const first = new Date().toISOString().slice(0, 19);
  // The name of a snapshot has seconds.
  await vi.waitUntil(() => new Date().toISOString().slice(0, 19) > first, PATIENT);
  machine.write('workspace/MEMORY.md', 'The user likes coffee.\nkey: sk-live-0123456789abcdefghij\n');
  machine.write('workspace/memory/2026-11-26.md', 'It rained.\n');
  machine.write('openclaw.json', '{ /* other secret */ "channels": {} }');
  await machine.push();
  const { days } = await machine.model();
  const [after, before] = days.flatMap(({ snapshots }) => snapshots);
  return { machine, ids: [before?.id ?? '', after?.id ?? ''] };
}

describe.skipIf(addon === undefined)('the views (needs the built addon)', { timeout: 60_000 }, () => {
  it('tell what is in a snapshot, what was new in it, and the versions of a file', async () => {
    const { machine, ids } = await twice();
    const { view } = machine.backup;
    const { days } = await machine.model();
    const [newest, oldest] = days.flatMap(({ snapshots }) => snapshots);
    expect(newest).toMatchObject({ made: 'By hand', before: oldest?.id, usable: true });
    expect(newest?.what).toContain('MEMORY.md');
    expect(oldest).toMatchObject({ made: 'By the schedule' });
    expect(oldest?.before).toBeUndefined();

    const contents = await come(() => view.snapshot(ids[1]));
    expect(contents.map(({ name, files }) => `${name}: ${files}`)).toEqual([
      'Conversations of main: 1',
      'Memory: 2',
      'Configuration: 1',
      'Skills and hooks: 1',
    ]);

    const workspace = `${machine.stateDir}/workspace`;
    const changes = await come(() => view.diff(ids[0], ids[1], workspace));
    const told = new Map(changes.entries.map((entry) => [entry.path, entry]));
    expect([...told.keys()].sort()).toEqual([
      'openclaw.json',
      'workspace/MEMORY.md',
      'workspace/memory/2026-11-26.md',
    ]);
    expect(told.get('workspace/MEMORY.md')?.text).toContain('-The user likes tea.\n+The user likes coffee.');
    // Confidential files show no lines, and what looks like a key is shown nowhere.
    expect(told.get('openclaw.json')?.text).toBeUndefined();
    expect(told.get('openclaw.json')?.textOmitted).toBeDefined();
    expect(JSON.stringify(changes)).not.toMatch(/sk-live|other secret/);

    const nothing = await come(() => view.diff(ids[1], LIVE, workspace));
    expect(nothing.entries).toEqual([]);
    machine.write('workspace/MEMORY.md', 'Nothing.\n');
    const history = await come(() => view.history('workspace/MEMORY.md', workspace));
    expect(history.versions.map(({ change }) => change)).toEqual(['added', 'changed']);
    expect(JSON.stringify(history)).not.toContain('sk-live');
  });

  it('show no lines at all where it is not known whose workspace it is', async () => {
    const { machine, ids } = await twice();
    const changes = await come(() => machine.backup.view.diff(ids[0], ids[1]));
    expect(changes.entries.length).toBeGreaterThan(1);
    expect(changes.entries.filter(({ text }) => text !== undefined)).toEqual([]);
  });

  it('say what is wrong where a snapshot is gone', async () => {
    const machine = await new Machine().start();
    const looked = await vi.waitUntil(async () => {
      const found = await machine.backup.view.snapshot('2020-01-01T00-00-00Z-00000000');
      return found.asking ? undefined : found;
    }, PATIENT);
    expect(looked).toMatchObject({ problem: { code: 'B2_SNAPSHOT_NOT_FOUND' } });
  });
});
