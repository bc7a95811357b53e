/** Answers that cost requests: when they are asked for again, and who waits for them. */
import { describe, expect, it } from 'vitest';
import { BackupError } from '../ts/errors.ts';
import { Kept } from '../ts/plugin/page/kept.ts';
import { rest, TestClock } from './plugin-support.ts';

const PATIENCE = { freshMs: 60_000, waitMs: 150 };

/** A bucket that answers when the test says so. */
class Asked {
  readonly waiting: { answer: (value: string) => void; fail: (error: Error) => void }[] = [];
  readonly ask = (): Promise<string> =>
    new Promise((answer, fail) => {
      this.waiting.push({ answer, fail });
    });

  async answer(value: string): Promise<void> {
    this.waiting.shift()?.answer(value);
    await rest();
  }
}

function kept(most = 8) {
  const clock = new TestClock();
  const news: string[] = [];
  const all = new Kept(clock, most, () => news.push('new'));
  const asked = new Asked();
  const look = (key = 'a') => all.look(key, PATIENCE, asked.ask);
  return { clock, news, all, asked, look };
}

describe('an answer', () => {
  it('is waited for when it is the first, for a moment', async () => {
    const { clock, asked, look } = kept();
    const first = look();
    await clock.advance(149);
    await asked.answer('one');
    expect(await first).toEqual({ value: 'one', at: '2026-11-23T12:00:00.000Z', asking: false });

    const late = kept();
    const nothing = late.look();
    await late.clock.advance(150);
    expect(await nothing).toEqual({ asking: true });
  });

  it('is shown while a newer one is asked for, which is then there', async () => {
    const { clock, news, asked, look } = kept();
    const first = look();
    await asked.answer('one');
    await first;
    await clock.advance(59_000);
    expect(await look()).toMatchObject({ value: 'one', asking: false });
    await clock.advance(1_000);
    expect(await look()).toMatchObject({ value: 'one', asking: true });
    // Nobody asks twice at a time.
    expect(await look()).toMatchObject({ value: 'one', asking: true });
    expect(asked.waiting).toHaveLength(1);
    await asked.answer('two');
    expect(await look()).toMatchObject({ value: 'two', at: '2026-11-23T12:01:00.000Z', asking: false });
    expect(news).toEqual(['new', 'new']);
  });

  it('that counts no more is waited for like the first', async () => {
    const { all, asked, look } = kept();
    const first = look();
    await asked.answer('one');
    await first;
    all.forget('a');
    const second = look();
    await asked.answer('two');
    expect(await second).toMatchObject({ value: 'two', asking: false });
  });

  it('stays beside the reason why there is no newer one, which is asked for soon', async () => {
    const { clock, asked, look } = kept();
    const first = look();
    await asked.answer('one');
    await first;
    await clock.advance(60_000);
    await look();
    asked.waiting.shift()?.fail(new BackupError('no route', { code: 'B2_NETWORK' }));
    await rest();
    expect(await look()).toMatchObject({
      value: 'one',
      problem: { code: 'B2_NETWORK', message: 'no route' },
    });
    await clock.advance(10_000);
    await look();
    await asked.answer('two');
    const after = await look();
    expect(after.value).toBe('two');
    expect(after.problem).toBeUndefined();
  });

  it('that took long to fail is not asked for at once again', async () => {
    const { clock, asked, look } = kept();
    const first = look();
    await clock.advance(30_000);
    await first;
    asked.waiting.shift()?.fail(new BackupError('no route', { code: 'B2_NETWORK' }));
    await rest();
    expect(await look()).toMatchObject({ problem: { message: 'no route' }, asking: false });
  });

  it('is asked for again after the clock was set back', async () => {
    const { clock, asked, look } = kept();
    const first = look();
    await asked.answer('one');
    await first;
    clock.sleep(-3_600_000);
    expect(await look()).toMatchObject({ value: 'one', asking: true });
  });

  it('is forgotten where there are too many, the one that was not looked at for longest first', async () => {
    const { asked, look } = kept(2);
    for (const key of ['a', 'b', 'a', 'c']) {
      const looking = look(key);
      await asked.answer(key);
      await looking;
    }
    expect(await look('a')).toMatchObject({ value: 'a', asking: false });
    const again = look('b');
    await asked.answer('anew');
    expect(await again).toMatchObject({ value: 'anew' });
  });

  it('is asked of nobody after the end', async () => {
    const { all, asked, look } = kept();
    all.stop();
    expect(await look()).toEqual({ asking: false });
    expect(asked.waiting).toEqual([]);
  });
});
