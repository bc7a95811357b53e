/** Makes a restored state ready for a start that touches nothing of this machine. */
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { moved } from './move.js';
import { has, open } from './sqlite.js';
import { agentsIn, SHARED } from './state.js';
import type { BootJob, Moved } from './types.js';

/** An agent, as `openclaw agents list --json` tells it of the restored configuration. */
export interface Agent {
  readonly id: string;
  readonly name?: string;
  readonly workspace?: string;
  readonly isDefault?: boolean;
}

/** The gateway of the trial. */
export interface Gateway {
  readonly port: number;
  readonly token: string;
}

/** Tables that name the list of jobs by its full path. */
const STORE_KEYS = ['cron_jobs', 'cron_run_receipts', 'cron_job_scratch'];

/** The restored configuration as it stands, without what it includes; nothing where it is no such thing. */
export function rawConfig(file: string, openclaw: string): Readonly<Record<string, unknown>> {
  try {
    // The parser that OpenClaw itself uses.
    const json5 = createRequire(pathToFileURL(openclaw))('json5') as { parse(text: string): unknown };
    const value = json5.parse(readFileSync(file, 'utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}

/**
 * The configuration of the trial: who the agents are and where they work, and nothing else. So nothing of what the user
 * configured is reached, whatever it is: no model, channel, webhook, plugin, job, or server of tools.
 */
export function trialConfig(
  agents: readonly Agent[],
  raw: Readonly<Record<string, unknown>>,
  { folder, roots, home }: Pick<BootJob, 'folder' | 'roots' | 'home'>,
  { port, token }: Gateway,
): object {
  // OpenClaw was asked with a home of the trial's own.
  const here: Moved = { from: join(folder, 'home'), to: home };
  const place = ({ id, workspace = '' }: Agent): string => {
    const path = moved(workspace, [here]) ?? workspace;
    const inside = roots.map(({ to }) => ({ from: to, to }));
    return moved(path, [...roots, ...inside]) ?? join(folder, 'empty', id);
  };
  const entries = agents.map((agent) => {
    const { id, name } = agent;
    return [id, { ...(name === undefined ? {} : { name }), workspace: place(agent) }] as const;
  });
  const first = agents.find(({ isDefault }) => isDefault === true)?.id;
  const { scope, mainKey } = (raw['session'] ?? {}) as { scope?: unknown; mainKey?: unknown };
  return {
    gateway: { mode: 'local', bind: 'loopback', port, auth: { mode: 'token', token } },
    agents: {
      defaults: {
        skipBootstrap: true,
        heartbeat: { every: '0m' },
        ...(first === undefined ? {} : { systemAgent: { agentId: first } }),
      },
      entries: Object.fromEntries(entries),
      ownership: 'explicit',
    },
    ...(scope === undefined && mainKey === undefined ? {} : { session: { scope, mainKey } }),
    models: { catalogRefresh: { enabled: false } },
    plugins: { enabled: false },
    cron: { enabled: false },
    update: { checkOnStart: false, auto: { enabled: false } },
    logging: { file: join(folder, 'openclaw.log') },
  };
}

/** Has databases speak of the restored directory, and takes out what would have OpenClaw act by itself. */
export async function relocate(roots: readonly Moved[]): Promise<void> {
  const [state] = roots;
  if (state === undefined) return;
  // Keys of providers would have OpenClaw ask them what models they have.
  for (const secret of ['.env', join('credentials', 'oauth.json')])
    rmSync(join(state.to, secret), { force: true });
  if (existsSync(join(state.to, SHARED))) {
    const shared = await open(join(state.to, SHARED));
    try {
      for (const table of STORE_KEYS) {
        if (!has(shared, table)) continue;
        shared
          .prepare(
            `UPDATE ${table} SET store_key = ? || substr(store_key, ?) WHERE substr(store_key, 1, ?) = ?`,
          )
          .run(state.to, state.from.length + 1, state.from.length + 1, `${state.from}/`);
      }
      for (const table of ['state_leases', 'agent_database_leases', 'delivery_queue_entries']) {
        if (has(shared, table)) shared.exec(`DELETE FROM ${table}`);
      }
    } finally {
      shared.close();
    }
  }
  for (const agent of agentsIn(state.to)) {
    const database = await open(join(state.to, 'agents', agent, 'agent', 'openclaw-agent.sqlite'));
    try {
      for (const table of ['auth_profile_store', 'auth_profile_state']) {
        if (has(database, table)) database.exec(`DELETE FROM ${table}`);
      }
    } finally {
      database.close();
    }
  }
}

/** Writes the configuration of the trial. */
export function writeConfig(file: string, config: object): void {
  writeFileSync(file, `${JSON.stringify(config, null, 2)}\n`, { mode: 0o600 });
}

/** Makes a private directory. */
export function privateFolder(...parts: readonly string[]): string {
  const folder = join(...parts);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  return folder;
}
