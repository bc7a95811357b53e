/** The page as the host serves it: what comes back, under which policy, and without waiting for the bucket. */
import { describe, expect, it, onTestFinished } from 'vitest';
import type { DiffReport, HistoryReport, ShowReport } from '../index.js';
import { BackupError } from '../ts/errors.ts';
import type { HttpRoute, PluginApi } from '../ts/plugin/api.ts';
import { registerPage } from '../ts/plugin/page/route.ts';
import { createService } from '../ts/plugin/service.ts';
import { bucketOf, snapshot } from './page-support.ts';
import { CONFIG, FakeHost, HeldEngine, TestClock, temporaryState } from './plugin-support.ts';

/** A name as nobody would give it who means well: markup, an end of a line, a bell, an override of direction. */
const EVIL = `"'><script>alert(1)</script><img src=x>\n\u0007\u202egnp.md`;

/** The page and the tab that a plugin registers. */
function registered(api: PluginApi) {
  let route: HttpRoute | undefined;
  const tabs: object[] = [];
  Object.assign(api, {
    registerHttpRoute: (given: HttpRoute) => {
      route = given;
    },
    session: { controls: { registerControlUiDescriptor: (tab: object) => tabs.push(tab) } },
  });
  registerPage(api);
  const get = async (query = '', method = 'GET') => {
    const headers = new Map<string, string>();
    let body = '';
    const response = {
      statusCode: 0,
      setHeader: (name: string, value: string) => headers.set(name.toLowerCase(), value),
      end: (text = '') => {
        body = text;
      },
    };
    await route?.handler({ method, url: `${route.path}${query}` }, response);
    return { status: response.statusCode, headers, body };
  };
  return { get, tabs, route };
}

type Parts = Parameters<HeldEngine['engine']>[0];

/** A gateway with the page in it, which has backed up before; the bucket answers what `parts` say. */
async function serving(parts: Parts = {}) {
  const clock = new TestClock();
  const host = new FakeHost(await temporaryState(), CONFIG);
  const page = registered(host.api);
  const { status, list } = bucketOf([snapshot(60_000)]);
  const engine = new HeldEngine().engine({ status: async () => status, list: async () => list, ...parts });
  const service = createService(host.api, { engine, clock });
  await service.start(host.context);
  onTestFinished(() => service.stop(host.context));
  return { ...page, clock };
}

describe('the page', () => {
  it('is a tab that shows a route of its own to whoever may read', () => {
    const { tabs, route } = registered(new FakeHost('/s', CONFIG).api);
    expect(route).toMatchObject({ path: '/plugins/b2-backup/page', auth: 'gateway', match: 'exact' });
    expect(tabs).toEqual([
      expect.objectContaining({
        surface: 'tab',
        id: 'backups',
        slug: 'backups',
        path: route?.path,
        requiredScopes: ['operator.read'],
      }),
    ]);
  });

  it('runs and shows only what has the nonce of this one document', async () => {
    const { get } = await serving();
    const nonces = [await get(), await get()].map(({ status, headers, body }) => {
      const policy = headers.get('content-security-policy') ?? '';
      const nonce = /script-src 'nonce-([^']+)'/.exec(policy)?.[1] ?? '';
      expect(status).toBe(200);
      expect(policy).toContain("default-src 'none'");
      expect(policy).not.toMatch(/unsafe|https?:|\*|data:/);
      expect(headers.get('cache-control')).toBe('no-store');
      expect(body.match(/<(?:script|style)\b[^>]*>/g)).toEqual([
        `<style nonce="${nonce}">`,
        `<script nonce="${nonce}">`,
      ]);
      return nonce;
    });
    expect(new Set(nonces).size).toBe(2);
    expect(nonces[0]?.length).toBeGreaterThan(20);
  });

  it('has nothing in it that would be asked for elsewhere', async () => {
    const { body } = await (await serving()).get();
    expect(body).not.toMatch(/\b(?:src|action|background|poster|data)\s*=|url\(|@import|https?:\/\//i);
    expect([...body.matchAll(/href="([^"]*)"/g)].map(([, to = '']) => to[0])).not.toContain('/');
  });

  it('stays a small document with 500 snapshots, and is read without its one script', async () => {
    const documentWith = async (count: number): Promise<string> => {
      const all = Array.from({ length: count }, (_, at) => snapshot((count - at) * 60 * 60_000));
      const { status, list } = bucketOf(all);
      return (await (await serving({ status: async () => status, list: async () => list })).get()).body;
    };
    const [some, many] = [await documentWith(300), await documentWith(500)];
    // Figures of a browser are in docs/page.md; they follow from these.
    expect(many.length).toBeLessThan(220_000);
    expect(many.match(/<[a-z]/g)?.length).toBeLessThan(5_000);
    expect((many.length - some.length) / 200).toBeLessThan(400);
    const [script = '', ...more] = many.match(/<script[^>]*>[\s\S]*?<\/script>/g) ?? [];
    expect(more).toEqual([]);
    expect(script.length).toBeLessThan(3_000);
    const read = many.replace(script, '');
    expect(read.match(/<a href="\?snapshot=/g)).toHaveLength(500);
    const timeline = read.slice(read.indexOf('id="timeline"'), read.indexOf('</main>'));
    expect(timeline).not.toMatch(/needs-script|<button|\son[a-z]+=/);
  });

  it('takes no other methods, and sends no body to who asks for none', async () => {
    const { get } = await serving();
    expect(await get('', 'POST')).toMatchObject({ status: 405, body: '' });
    expect(await get('', 'HEAD')).toMatchObject({ status: 200, body: '' });
  });

  it('says so where the service does not run', async () => {
    const { body } = await registered(new FakeHost('/s', CONFIG).api).get();
    expect(body).toContain('The backup service does not run');
  });

  it('opens although the bucket does not answer, and shows it once it has', async () => {
    let answer = (): void => {};
    const answers = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const { status, list } = bucketOf([snapshot(60_000)]);
    const { get, clock } = await serving({
      status: async () => {
        await answers;
        return status;
      },
      list: async () => list,
    });
    const opening = get();
    await clock.advance(150);
    expect((await opening).body).toContain('The bucket is being asked for them.');
    // Nobody waits a second time.
    answer();
    await clock.advance(0);
    expect((await get()).body).toContain('By the schedule');
  });

  it('shows what it knew while the bucket is away', async () => {
    let isAway = false;
    const { status, list } = bucketOf([snapshot(60_000)]);
    const { get, clock } = await serving({
      status: async () => {
        if (isAway) throw new BackupError('no route to the server', { code: 'B2_NETWORK', retryable: true });
        return status;
      },
      list: async () => list,
    });
    expect((await get()).body).toContain('By the schedule');
    isAway = true;
    await clock.advance(61_000);
    await get();
    await clock.advance(0);
    const { body } = await get();
    expect(body).toContain('By the schedule');
    expect(body).toContain('no route to the server');
  });

  it('asks for lines of the main agent alone, and shows none that looks like a key', async () => {
    const key = 'sk-live-0123456789abcdefghij';
    const asked: unknown[] = [];
    const entry = {
      path: 'workspace/MEMORY.md',
      change: 'changed',
      what: ['content'],
      kind: 'file',
      bytesBefore: 1,
      bytesAfter: 2,
      database: false,
      text: `@@ -1 +1 @@\n-tea\n+the key is ${key}\n`,
    };
    const [one, two] = [snapshot(120_000), snapshot(60_000)];
    const { status, list } = bucketOf([one, two]);
    const { get } = await serving({
      status: async () => status,
      list: async () => list,
      show: async () => ({ entries: [], warnings: [] }) as unknown as ShowReport,
      diff: async (_settings, options) => {
        asked.push(options);
        return {
          added: 0,
          changed: 1,
          removed: 0,
          entries: [entry],
          skipped: [],
          warnings: [],
        } as unknown as DiffReport;
      },
      history: async (_settings, options) => {
        asked.push(options);
        const version = {
          ...entry,
          snapshot: two.id,
          createdAt: two.createdAt,
          snapshots: 1,
          machine: 'a',
          bytes: 2,
        };
        return { versions: [version], snapshots: 2, warnings: [] } as unknown as HistoryReport;
      },
    });
    for (const query of [
      `?snapshot=${two.id}`,
      `?snapshot=${two.id}&with=live`,
      '?file=workspace/MEMORY.md',
    ]) {
      const { body } = await get(query);
      expect(body).toContain('[hidden: looks like a key]');
      expect(body).not.toContain(key);
    }
    const lines = { text: true, agentWorkspace: '/ws' };
    expect(asked).toEqual([
      { from: one.id, to: two.id, ...lines },
      { from: two.id, to: 'live', ...lines },
      { path: 'workspace/MEMORY.md', ...lines },
    ]);
  });

  it('shows no name, and nothing else from a bucket, as anything but text', async () => {
    const remark = { path: EVIL, code: EVIL, message: EVIL, failure: false, missing: true };
    const changes = { added: 1, changed: 0, removed: 0, storedBytes: 1, most: [{ path: EVIL, bytes: 1 }] };
    const evil = snapshot(60_000, {
      machine: EVIL,
      thisMachine: false,
      doubt: EVIL,
      remarks: [remark],
      changes,
    });
    const closed = snapshot(90_000, { problem: EVIL, problemCode: EVIL, machine: EVIL });
    const machine = { machine: EVIL, thisMachine: false, snapshots: 1, storedBytes: 1, silent: true };
    const { status, list } = bucketOf(
      [closed, evil],
      { warnings: [EVIL], bucket: EVIL, remarks: [remark], machines: [machine, machine], opensWith: [EVIL] },
      { warnings: [EVIL] },
    );
    const entry = {
      path: EVIL,
      change: EVIL,
      what: [EVIL],
      kind: 'file',
      bytesBefore: 1,
      bytesAfter: 2,
      text: EVIL,
    };
    const { get } = await serving({
      status: async () => status,
      list: async () => list,
      show: async () => ({ entries: [{ path: EVIL, kind: 'file', bytes: 1 }] }) as unknown as ShowReport,
      diff: async () =>
        ({
          entries: [entry, { ...entry, text: undefined, textOmitted: EVIL }],
          skipped: [],
          warnings: [EVIL],
        }) as unknown as DiffReport,
      history: async () => {
        const version = { ...entry, snapshot: EVIL, createdAt: EVIL, machine: EVIL, snapshots: 1, bytes: 1 };
        return { versions: [version], snapshots: 1, warnings: [EVIL] } as unknown as HistoryReport;
      },
    });
    const name = encodeURIComponent(EVIL);
    for (const query of ['', `?snapshot=${evil.id}&with=live`, `?snapshot=${name}`, `?file=${name}`]) {
      const { body } = await get(query);
      expect(body).toContain('&lt;script&gt;alert(1)');
      expect(body.match(/<script/g)).toHaveLength(1);
      expect(body).not.toContain('<img');
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
      expect(body).not.toMatch(/[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]/);
    }
  });

  it.each([
    '?snapshot=no-such',
    '?snapshot=',
    '?file=',
    '?with=live',
    `?file=${'x'.repeat(5_000)}`,
    '?%',
    '?snapshot=a&snapshot=b',
  ])('is a page whatever is asked for: %s', async (query) => {
    const gone = async (): Promise<never> => {
      throw new BackupError('there is no snapshot of that name', { code: 'B2_SNAPSHOT_NOT_FOUND' });
    };
    const { get } = await serving({ show: gone, diff: gone, history: gone });
    const { status, body } = await get(query);
    expect(status).toBe(200);
    expect(body).toMatch(/<h1>/);
  });
});
