/** What a plan costs in messages and jobs: said where it was counted, and never waited for long. */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import type { RollbackEntry, Settings } from '../index.js';
import type { Engine } from '../ts/engine.ts';
import type { Operation } from '../ts/operation.ts';
import { summary } from '../ts/plugin/format-rollback.ts';
import { type CountedPlan, PlanCounter } from '../ts/plugin/plan-count.ts';
import type { PlanCount } from '../ts/updates/difference.ts';
import { rest, TestClock, temporaryState } from './plugin-support.ts';
import { entry, PLAN } from './rollback-support.ts';

const MAIN = 'agents/main/agent/openclaw-agent.sqlite';
const WORK = 'agents/work/agent/openclaw-agent.sqlite';
const SHARED = 'state/openclaw.sqlite';
const READER = { now: new Date('2026-11-23T12:00:00Z'), timeZone: 'UTC', undo: false };

describe('the summary of a plan', () => {
  const said = (entries: RollbackEntry[], counted?: PlanCount, room?: number): string => {
    const plan: CountedPlan = { ...PLAN, entries, ...(counted === undefined ? {} : { counted }) };
    const told = summary(plan, { ...READER, ...(room === undefined ? {} : { room }) });
    return told
      .replace('Goes back to yesterday, 00:00: ', '')
      .replace(' No restart is needed. You can undo it.', '');
  };

  it('says how many messages and jobs it is about', () => {
    const entries = [entry(MAIN), entry(SHARED), entry('workspace/MEMORY.md')];
    expect(said(entries, { agents: { main: { gone: 38, back: 0 } }, jobs: 2 })).toBe(
      'conversations of main since then (38 messages), 2 jobs and MEMORY.md.',
    );
  });

  it.each([
    [{ gone: 1_234, back: 1 }, 'conversations of main since then (1,234 messages; 1 comes back).'],
    [{ gone: 1, back: 2 }, 'conversations of main since then (1 message; 2 come back).'],
    [{ gone: 0, back: 2 }, 'conversations of main (2 messages come back).'],
    [{ gone: 0, back: 0 }, 'conversations of main (no message since then).'],
  ])('%j', (messages, text) => {
    expect(said([entry(MAIN)], { agents: { main: messages } })).toBe(text);
  });

  it('says of an agent that goes how much goes with it', () => {
    const agents = { work: { gone: 3, back: 0 } };
    expect(said([entry(WORK, { action: 'delete' })], { agents })).toContain(
      'Removed: conversations of work (3 messages).',
    );
  });

  it('says no number that was not counted', () => {
    const entries = [entry(MAIN), entry(WORK), entry(SHARED)];
    for (const counted of [undefined, { agents: {} }])
      expect(said(entries, counted)).toBe(
        'conversations of main since then, conversations of work since then and jobs and what OpenClaw remembers.',
      );
    expect(said(entries, { agents: { work: { gone: 5, back: 0 } }, jobs: 0 })).toBe(
      'conversations of main since then, conversations of work since then (5 messages) and what OpenClaw remembers.',
    );
  });

  it('leaves out things rather than that it can be undone', () => {
    const many = Array.from({ length: 9 }, (_, at) => entry(`workspace/${at}${'x'.repeat(60)}`));
    const gone = many.map((one) => ({ ...one, action: 'delete' }));
    const text = summary(
      { ...PLAN, entries: [...many, ...gone], needsRestart: true },
      { ...READER, room: 420 },
    );
    expect(text.length).toBeLessThanOrEqual(420);
    expect(text).toMatch(/and 7 more files\. Removed: .*You can undo it\./);
  });
});

describe('the count', () => {
  const setUp = async (restore: (operation: Operation) => Promise<never>) => {
    const stateDir = await temporaryState();
    for (const path of [MAIN, SHARED]) {
      mkdirSync(dirname(join(stateDir, path)), { recursive: true });
      writeFileSync(join(stateDir, path), '');
    }
    const clock = new TestClock();
    const fetched = vi.fn((_settings: Settings, _options: object, operation: Operation = {}) =>
      restore(operation),
    );
    const counter = new PlanCounter({
      engine: { restore: fetched } as unknown as Pick<Engine, 'restore'>,
      clock,
      settings: () => ({ stateDir }) as Settings,
    });
    return { counter, fetched, clock, stateDir };
  };
  const fails = () => Promise.reject(new Error('no network'));
  const plan = { ...PLAN, entries: [entry(MAIN), entry(SHARED), entry('workspace/MEMORY.md')] };

  it('fetches nothing for files, and not what is large', async () => {
    const { counter, fetched } = await setUp(fails);
    const large = { ...plan, entries: [entry(MAIN, { bytes: 70_000_000 })] };
    const stays = { ...plan, entries: [entry(MAIN, { action: 'keep-live' })] };
    for (const one of [PLAN, large, stays]) expect(await counter.count(one)).toBe(one);
    expect(fetched).not.toHaveBeenCalled();
  });

  it('gives no number where it cannot be done, and leaves nothing behind', async () => {
    const { counter, fetched, stateDir } = await setUp(fails);
    expect(await counter.count(plan)).toBe(plan);
    expect(fetched).toHaveBeenCalledWith(
      expect.anything(),
      expect.objectContaining({ snapshot: plan.snapshot, paths: [MAIN, SHARED] }),
      expect.anything(),
    );
    expect(readdirSync(join(stateDir, 'b2-backup'))).toEqual([]);
  });

  it('keeps no answer waiting, and goes on with the next', async () => {
    const { counter, fetched, clock } = await setUp(
      ({ signal }) =>
        new Promise((_resolve, reject) => {
          signal?.addEventListener('abort', () => reject(signal.reason));
        }),
    );
    for (const times of [1, 2]) {
      const counting = counter.count(plan);
      await rest();
      expect(fetched).toHaveBeenCalledTimes(times);
      await clock.advance(5_000);
      expect(await counting).toBe(plan);
    }
  });

  it('counts for one plan at a time: both use the same folder', async () => {
    let end = (_error: Error): void => {};
    const { counter, fetched } = await setUp(
      () =>
        new Promise((_resolve, reject) => {
          end = reject;
        }),
    );
    const both = [counter.count(plan), counter.count(plan)];
    await rest();
    expect(fetched).toHaveBeenCalledTimes(1);
    end(new Error('no network'));
    await rest();
    expect(fetched).toHaveBeenCalledTimes(2);
    end(new Error('no network'));
    expect(await Promise.all(both)).toEqual([plan, plan]);
  });
});
