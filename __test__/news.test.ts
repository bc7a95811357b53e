/** News that the user must not miss: told again until a turn has carried them. */
import { describe, expect, it, vi } from 'vitest';
import type { TranscriptUpdate } from '../ts/plugin/api.ts';
import { News } from '../ts/plugin/news.ts';
import { rest } from './plugin-support.ts';

const TO = { sessionKey: 'agent:main:chat', agentId: 'main' };

/** A host with one session, and a queue of what stands before its next turn. */
function host({ speaks = true, peeks = true } = {}) {
  let queue: string[] = [];
  let listener: ((update: TranscriptUpdate) => void) | undefined;
  const told: string[] = [];
  let takes = true;
  const news = new News({
    tell: (text) => {
      if (!takes || queue.includes(text)) return false;
      queue.push(text);
      told.push(text);
      return true;
    },
    waits: async (text) => (peeks ? queue.includes(text) : undefined),
    updates: (heard) => {
      if (!speaks) return undefined;
      listener = heard;
      return () => {
        listener = undefined;
      };
    },
  });
  return {
    news,
    told,
    refuse: (refuses: boolean) => {
      takes = !refuses;
    },
    listens: () => listener !== undefined,
    /** A turn that takes what stands in the queue, or one that does not ask for it. */
    turn: async (stopReason: string, { takesQueue = true, sessionKey = TO.sessionKey } = {}) => {
      if (takesQueue) queue = [];
      listener?.({ sessionKey, message: { role: 'user', content: 'hello' } });
      listener?.({ sessionKey, message: { role: 'assistant', stopReason: 'toolUse' } });
      listener?.({ sessionKey, message: { role: 'assistant', stopReason } });
      await rest();
    },
  };
}

describe('news', () => {
  it('count as told once a turn had them before it and ended well', async () => {
    const { news, told, turn } = host();
    const carried = vi.fn();
    news.tell('done', TO, carried);
    expect(carried).not.toHaveBeenCalled();
    await turn('stop', { takesQueue: false });
    await turn('stop', { sessionKey: 'agent:main:other', takesQueue: false });
    expect(carried).not.toHaveBeenCalled();
    await turn('stop');
    await turn('stop');
    expect(carried).toHaveBeenCalledOnce();
    expect(told).toEqual(['done']);
  });

  it('are told again when the turn that took them failed', async () => {
    const { news, told, turn } = host();
    const carried = vi.fn();
    news.tell('done', TO, carried);
    await turn('error');
    expect(carried).not.toHaveBeenCalled();
    expect(told).toEqual(['done', 'done']);
    await turn('aborted');
    await turn('stop');
    expect(carried).toHaveBeenCalledOnce();
    expect(told).toHaveLength(3);
  });

  it('are tried again when the host did not take them', async () => {
    const { news, told, turn, refuse } = host();
    const carried = vi.fn();
    refuse(true);
    news.tell('done', TO, carried);
    await turn('stop');
    expect([told, carried.mock.calls]).toEqual([[], []]);
    refuse(false);
    news.again();
    news.again();
    expect(told).toEqual(['done']);
    await turn('stop');
    expect(carried).toHaveBeenCalledOnce();
  });

  it('are carried by a turn where the host does not say what waits, and told at once where it says nothing of turns', async () => {
    const without = host({ peeks: false });
    const carried = vi.fn();
    without.news.tell('done', TO, carried);
    await without.turn('stop');
    expect(carried).toHaveBeenCalledOnce();
    const silent = host({ speaks: false });
    silent.refuse(true);
    silent.news.tell('done', TO, carried);
    expect(carried).toHaveBeenCalledOnce();
    silent.refuse(false);
    silent.news.again();
    expect(carried).toHaveBeenCalledTimes(2);
  });

  it('that stand before the next turn already, as after a reload, are not told once more', async () => {
    for (const speaks of [true, false]) {
      const { news, told, turn } = host({ speaks });
      news.tell('done', TO, vi.fn());
      news.stop();
      const carried = vi.fn();
      news.tell('done', TO, carried);
      await rest();
      expect(carried).toHaveBeenCalledTimes(speaks ? 0 : 1);
      await turn('stop');
      news.again();
      expect(carried).toHaveBeenCalledOnce();
      expect(told).toEqual(['done']);
    }
  });

  it('wait for the next start when the gateway stops', async () => {
    const { news, turn, listens } = host();
    const carried = vi.fn();
    news.tell('done', TO, carried);
    news.stop();
    expect(listens()).toBe(false);
    await turn('stop');
    expect(carried).not.toHaveBeenCalled();
  });
});
