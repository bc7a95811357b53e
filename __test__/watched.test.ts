/** What others hear who watch over backups: a watchdog that is pinged, and Prometheus. */
import { createServer, type IncomingMessage, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { describe, expect, it, onTestFinished } from 'vitest';
import { BackupError } from '../ts/errors.ts';
import type { HttpResponse, HttpRoute } from '../ts/plugin/api.ts';
import { METRICS_ROUTE, metricsOf } from '../ts/plugin/metrics.ts';
import { Ping } from '../ts/plugin/ping.ts';
import plugin from '../ts/plugin.ts';
import { checkPolicy } from '../ts/policy.ts';
import { ago, bucketOf, facts, remembering, snapshot } from './page-support.ts';
import { CONFIG, FakeHost, rest } from './plugin-support.ts';
import { gateway } from './service-support.ts';
import { PATIENT } from './support.ts';

interface Heard {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly body: string;
}

type Answer = readonly [status: number, location?: string];

/** A watchdog on this machine, which answers as the test says. */
async function watchdog(answer: (request: IncomingMessage) => Answer = () => [200]) {
  const heard: Heard[] = [];
  const server: Server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      heard.push({ method: request.method, url: request.url, body: Buffer.concat(parts).toString() });
      const [status, location] = answer(request);
      if (status === 0) return;
      response.writeHead(status, location === undefined ? {} : { location });
      response.end('OK');
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { heard, origin: `http://127.0.0.1:${port}`, port };
}

function ping(url: string) {
  const lines: string[] = [];
  const logger = { info: (line: string) => lines.push(line), warn: (line: string) => lines.push(line) };
  return { subject: new Ping(url, { logger }), lines };
}

const NETWORK = new BackupError('no route to secret.example', { code: 'B2_NETWORK', retryable: true });

describe('a watchdog', () => {
  it('hears of success and of failure, as healthchecks.io takes it', async () => {
    const { heard, origin } = await watchdog();
    const { subject, lines } = ping(`${origin}/ping/token/?a=1`);
    await subject.tell(undefined);
    await subject.tell(NETWORK);
    expect(heard).toEqual([
      { method: 'GET', url: '/ping/token/?a=1', body: '' },
      { method: 'POST', url: '/ping/token/fail?a=1', body: 'The bucket cannot be reached (B2_NETWORK)' },
    ]);
    expect(lines).toEqual([]);
  });

  it('hears it as Uptime Kuma takes it', async () => {
    const { heard, origin } = await watchdog();
    const { subject } = ping(`${origin}/api/push/token?status=up&msg=OK&ping=`);
    await subject.tell(undefined);
    await subject.tell(NETWORK);
    expect(heard).toEqual([
      { method: 'GET', url: '/api/push/token?status=up&msg=OK&ping=', body: '' },
      {
        method: 'GET',
        url: '/api/push/token?status=down&msg=The+bucket+cannot+be+reached+%28B2_NETWORK%29&ping=',
        body: '',
      },
    ]);
  });

  it('is followed where it redirects on its own host, and never to another', async () => {
    const elsewhere = await watchdog();
    const to = new Map<string | undefined, string>([
      ['/a', '/b'],
      ['/out', `http://localhost:${elsewhere.port}/x`],
      ['/round', '/round'],
    ]);
    const { heard, origin } = await watchdog(({ url }) => {
      const location = to.get(url);
      return location === undefined ? [200] : [302, location];
    });
    const inside = ping(`${origin}/a`);
    await inside.subject.tell(undefined);
    expect(heard.map(({ url }) => url)).toEqual(['/a', '/b']);
    expect(inside.lines).toEqual([]);
    const outside = ping(`${origin}/out`);
    await outside.subject.tell(undefined);
    expect(elsewhere.heard).toEqual([]);
    expect(outside.lines.join()).toContain('it redirects to another host');
    const round = ping(`${origin}/round`);
    await round.subject.tell(undefined);
    expect(round.lines.join()).toContain('it redirects too often');
  });

  it('that does not answer is in the log once for each reason, without the address', async () => {
    let status = 500;
    const { origin } = await watchdog(() => [status]);
    const { subject, lines } = ping(`${origin}/token`);
    for (const next of [500, 500, 404, 404, 200, 200, 500]) {
      status = next;
      await subject.tell(undefined);
    }
    expect(lines).toEqual([
      'healthcheckUrl: the watchdog could not be told how the backup went: it answers with status 500',
      'healthcheckUrl: the watchdog could not be told how the backup went: it answers with status 404',
      'healthcheckUrl answers again',
      'healthcheckUrl: the watchdog could not be told how the backup went: it answers with status 500',
    ]);
    const nobody = ping('http://127.0.0.1:1/secret-token');
    await nobody.subject.tell(NETWORK);
    expect(nobody.lines.join()).toMatch(/no connection/);
    expect(nobody.lines.join()).not.toContain('secret-token');
  });

  it('is told by the gateway, which waits for it with nothing', async () => {
    // It takes its time: this one does not answer at all.
    const { heard, origin } = await watchdog(() => [0]);
    const { host, held } = await gateway({ config: { ...CONFIG, healthcheckUrl: `${origin}/ping` } });
    const again = async () => {
      void host.fire('before_reset', {});
      await rest();
    };
    await held.last.succeed();
    await expect.poll(() => heard.length, PATIENT).toBe(1);
    // What backups lack is no success.
    const failing = { path: 'a', code: 'B2_ROOT_GONE', message: 'gone', failure: true, missing: true };
    await again();
    await held.last.succeed({ skipped: [failing] });
    await expect.poll(() => heard.length, PATIENT).toBe(2);
    await again();
    await held.last.fail(new BackupError('cut', { code: 'B2_CANCELLED' }));
    await rest();
    expect(heard.map(({ url }) => url)).toEqual(['/ping', '/ping/fail']);
  });

  it('is named by a web address', () => {
    expect(checkPolicy({}).healthcheckUrl).toBeUndefined();
    expect(checkPolicy({ healthcheckUrl: '' }).healthcheckUrl).toBeUndefined();
    expect(checkPolicy({ healthcheckUrl: ' https://hc-ping.com/x ' }).healthcheckUrl).toBe(
      'https://hc-ping.com/x',
    );
    for (const wrong of ['token', 'file:///etc/passwd', 'javascript:1', 7, {}, true]) {
      expect(() => checkPolicy({ healthcheckUrl: wrong }), String(wrong)).toThrow(/healthcheckUrl/);
    }
    expect(() => checkPolicy({ healthcheckUrl: 'ftp://my-token@x' })).not.toThrow(/my-token/);
  });
});

describe('Prometheus', () => {
  const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/;

  /** Reads the text format 0.0.4 strictly, as far as gauges without labels go. */
  function read(text: string): Map<string, number> {
    expect(text.endsWith('\n')).toBe(true);
    const found = new Map<string, number>();
    const lines = text.trimEnd().split('\n');
    expect(lines.length % 3).toBe(0);
    for (let at = 0; at < lines.length; at += 3) {
      const [help = '', type = '', sample = ''] = lines.slice(at, at + 3);
      const [name = '', value = '', rest] = sample.split(' ');
      expect(name).toMatch(NAME);
      expect(help).toMatch(new RegExp(`^# HELP ${name} [^\\\\]+$`));
      expect(type).toBe(`# TYPE ${name} gauge`);
      expect(rest).toBeUndefined();
      expect(Number.isFinite(Number(value)) && value !== '', sample).toBe(true);
      expect(found.has(name)).toBe(false);
      found.set(name, Number(value));
    }
    return found;
  }

  it('reads how old, how large and how well backups are', () => {
    const found = read(metricsOf(facts()));
    expect(found.get('b2_backup_healthy')).toBe(1);
    expect(found.get('b2_backup_age_seconds')).toBe(11 * 3600);
    expect(found.get('b2_backup_last_success_timestamp_seconds')).toBe(
      Date.parse(ago(11 * 3_600_000)) / 1000,
    );
    expect(found.get('b2_backup_snapshots')).toBe(3);
    expect(found.get('b2_backup_stored_bytes')).toBe(127_000_000);
    expect(found.get('b2_backup_last_snapshot_bytes')).toBe(52_400_000);
    expect(found.get('b2_backup_incomplete')).toBe(0);
    expect(found.get('b2_backup_failures')).toBe(0);
  });

  it('reads what is wrong, and no figure that nobody knows', () => {
    const lastFailure = { at: ago(1000), code: 'B2_CREDENTIALS', message: 'no', retryable: false };
    const failing = read(metricsOf(remembering({ failures: 4, lastFailure })));
    expect([failing.get('b2_backup_healthy'), failing.get('b2_backup_failures')]).toEqual([0, 4]);
    const remark = { path: 'a', code: 'B2_SKIPPED_UNREADABLE', message: '', failure: false, missing: true };
    const lacking = { incomplete: true, remarks: [remark] };
    const bucket = bucketOf([snapshot(1000)], lacking);
    expect(read(metricsOf(facts({ bucket }))).get('b2_backup_incomplete')).toBe(1);
    const { bucket: _none, ...unknown } = facts();
    const never = read(metricsOf({ ...unknown, gateway: { failures: 0 } }));
    for (const name of ['age_seconds', 'snapshots', 'stored_bytes', 'next_timestamp_seconds'])
      expect(never.has(`b2_backup_${name}`)).toBe(false);
  });

  it('asks below the authentication of the gateway', async () => {
    const made = await gateway();
    const routes: HttpRoute[] = [];
    const host = new FakeHost(made.stateDir, CONFIG, {
      registerHttpRoute: (route) => void routes.push(route),
    });
    plugin.register(host.api);
    const route = routes.find(({ path }) => path === METRICS_ROUTE);
    expect(route).toMatchObject({ auth: 'gateway', match: 'exact' });
    const ask = async (method: string) => {
      const headers = new Map<string, string>();
      let body = '';
      const response = {
        statusCode: 0,
        setHeader: (name: string, value: string) => void headers.set(name, value),
        end: (text?: string) => {
          body = text ?? '';
        },
      };
      await route?.handler({ method }, response as unknown as HttpResponse);
      return { status: response.statusCode, type: headers.get('Content-Type'), body };
    };
    const answered = await ask('GET');
    expect(answered).toMatchObject({ status: 200, type: 'text/plain; version=0.0.4; charset=utf-8' });
    expect(read(answered.body).get('b2_backup_running')).toBe(1);
    expect(await ask('HEAD')).toMatchObject({ status: 200, body: '' });
    expect(await ask('POST')).toMatchObject({ status: 405, body: '' });
    await made.host.service?.stop(made.host.context);
    expect(await ask('GET')).toMatchObject({ status: 503, body: '' });
  });
});
