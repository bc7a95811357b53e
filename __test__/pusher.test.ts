import { describe, expect, it } from 'vitest';
import { BackupError } from '../ts/errors.ts';
import { type Joins, Pusher, type PushReason } from '../ts/plugin/pusher.ts';
import { HeldEngine, REPORT, rest } from './plugin-support.ts';

function pusher() {
  const held = new HeldEngine();
  const engine = held.engine();
  const ended: string[] = [];
  const subject = new Pusher({
    push: (reason, operation) => engine.push({ stateDir: '/s' }, { reason }, operation),
    ended: (reason, outcome) => ended.push(`${reason} ${outcome instanceof Error ? outcome.code : 'ok'}`),
  });
  const request = (reason: PushReason, joins: Joins = 'any') => subject.request(reason, joins);
  return { held, subject, request, ended };
}

describe('one push at a time', () => {
  it('gives all who join the same report', async () => {
    const { held, request, ended } = pusher();
    const first = request('scheduled');
    const second = request('manual');
    await rest();
    expect(held.pushes).toHaveLength(1);
    expect([first.joined, second.joined]).toEqual([false, true]);
    await held.last.succeed();
    expect(await first.done).toBe(await second.done);
    expect(ended).toEqual(['scheduled ok']);
  });

  it.each<{ joins: Joins; phase: string; joined: boolean }>([
    { joins: 'any', phase: 'upload', joined: true },
    { joins: 'uncaptured', phase: 'capture', joined: true },
    { joins: 'uncaptured', phase: 'captured', joined: false },
    { joins: 'unseen', phase: 'open', joined: true },
    { joins: 'unseen', phase: 'wait', joined: true },
    { joins: 'unseen', phase: 'scan', joined: false },
    { joins: 'unseen', phase: 'capture', joined: false },
  ])('$joins in phase $phase: joined $joined', async ({ joins, phase, joined }) => {
    const { held, request } = pusher();
    request('scheduled');
    await rest();
    held.last.phase(phase);
    const run = request('manual', joins);
    expect(run.joined).toBe(joined);
    await held.last.succeed();
    expect(held.pushes).toHaveLength(joined ? 1 : 2);
    if (!joined) await held.last.succeed();
    await run.done;
  });

  it('makes one of all that have to follow, after the running one, whatever becomes of it', async () => {
    const { held, request, ended } = pusher();
    const first = request('scheduled');
    await rest();
    held.last.phase('upload');
    const followers = [request('compaction', 'uncaptured'), request('manual', 'unseen')];
    await rest();
    expect(held.pushes).toHaveLength(1);
    await held.last.fail(new BackupError('no', { code: 'B2_NETWORK' }));
    await expect(first.done).rejects.toThrow('no');
    expect(held.pushes).toHaveLength(2);
    // Asked in the very moment between the two: it joins, too.
    const late = request('manual', 'unseen');
    expect(late.joined).toBe(true);
    await held.last.succeed();
    for (const run of [...followers, late]) expect((await run.done).snapshot).toBe(REPORT.snapshot);
    expect(ended).toEqual(['scheduled B2_NETWORK', 'compaction ok']);
    expect(held.peak).toBe(1);
  });

  it('never runs two at once, even when asked in the callbacks of an end', async () => {
    const { held, request } = pusher();
    const first = request('scheduled');
    await rest();
    held.last.phase('upload');
    const second = request('manual', 'unseen');
    const third = first.done.then(() => request('manual', 'unseen').done);
    await held.last.succeed();
    await held.last.succeed();
    await Promise.all([second.done, third]);
    expect(held.peak).toBe(1);
  });

  it('tells when the content is fixed, before the upload is done', async () => {
    const { held, request } = pusher();
    const run = request('compaction', 'uncaptured');
    let captured = false;
    const waiting = run.captured.then(() => {
      captured = true;
    });
    await rest();
    held.last.phase('capture');
    await rest();
    expect(captured).toBe(false);
    held.last.phase('captured');
    await waiting;
    await held.last.succeed();
  });

  it('does not keep those waiting for the capture whose push fails', async () => {
    const { held, request } = pusher();
    const run = request('compaction', 'uncaptured');
    await rest();
    await held.last.fail(new BackupError('no', { code: 'B2_DISK_FULL' }));
    await run.captured;
    await expect(run.done).rejects.toThrow('no');
  });

  it('stops the running push and those that follow', async () => {
    const { held, request, subject, ended } = pusher();
    const first = request('scheduled');
    await rest();
    held.last.phase('upload');
    const second = request('manual', 'unseen');
    subject.stop();
    await expect(first.done).rejects.toMatchObject({ code: 'B2_CANCELLED' });
    await expect(second.done).rejects.toMatchObject({ code: 'B2_CANCELLED' });
    expect(ended).toHaveLength(2);
  });

  it('makes way for something else, and goes on after that', async () => {
    const { held, request, subject, ended } = pusher();
    const first = request('scheduled');
    await rest();
    held.last.phase('upload');
    const second = request('manual', 'unseen');
    await subject.interrupt();
    await expect(first.done).rejects.toMatchObject({ code: 'B2_CANCELLED' });
    await expect(second.done).rejects.toMatchObject({ code: 'B2_CANCELLED' });
    expect(ended).toEqual(['scheduled B2_CANCELLED', 'manual B2_CANCELLED']);
    const third = request('shutdown', 'unseen');
    await rest();
    await held.last.succeed();
    expect((await third.done).snapshot).toBe(REPORT.snapshot);
    await subject.interrupt();
  });
});
