/** A gateway in which the service of the plugin runs, with pushes that the test brings to their end. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { registerHooks } from '../ts/plugin/hooks.ts';
import { registerRpc } from '../ts/plugin/rpc.ts';
import { createService } from '../ts/plugin/service.ts';
import { CONFIG, FakeHost, HeldEngine, rest, TestClock, temporaryState } from './plugin-support.ts';

export const MINUTE = 60_000;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;
/** A gateway in which our service has started, and pushes once at the start unless `record` says otherwise. */
export async function gateway({
  config = CONFIG as unknown,
  record,
  clock = new TestClock(),
  held = new HeldEngine(),
  load = async () => {},
}: {
  config?: unknown;
  record?: object;
  clock?: TestClock;
  held?: HeldEngine;
  load?: () => Promise<void>;
} = {}) {
  const stateDir = await temporaryState();
  if (record !== undefined) {
    await mkdir(join(stateDir, 'b2-backup'));
    await writeFile(join(stateDir, 'b2-backup', 'gateway.json'), JSON.stringify(record));
  }
  const host = new FakeHost(stateDir, config);
  registerHooks(host.api);
  registerRpc(host.api);
  host.service = createService(host.api, { engine: held.engine({ load }), clock });
  onTestFinished(() => host.service?.stop(host.context));
  await host.service.start(host.context);
  await settle();
  return { host, clock, held, stateDir };
}

/** Waits for the record file, which is real. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) {
    await rest();
    await readFile(new URL(import.meta.url));
  }
}

/** Backed up an hour ago, or `ms` milliseconds. */
export function recently(clock: TestClock, ms = HOUR): object {
  const at = new Date(clock.now().getTime() - ms).toISOString();
  return { lastRunAt: at, lastSuccessAt: at, since: at, failures: 0, told: [] };
}

export async function quiet() {
  const clock = new TestClock();
  return gateway({ clock, record: recently(clock) });
}
