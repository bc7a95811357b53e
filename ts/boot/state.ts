/**
 * What a restored state says of itself: what OpenClaw must show once it runs on it, and where its databases contradict
 * themselves, which no hash can tell. Reads the databases of OpenClaw 2026.8 and later.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { type Database, has, one, open, type Value } from './sqlite.js';
import type { ExpectedFile, ExpectedJob, ExpectedSession } from './types.js';
import { zstdDecompress } from './zstd.js';

/** What was found, and what is wrong with it. */
export interface Found<T> {
  readonly found: T;
  readonly problems: readonly string[];
}

/** The database of an agent, below a state directory. */
const agentDatabase = (agent: string): string => join('agents', agent, 'agent', 'openclaw-agent.sqlite');
/** The one that all agents share. */
export const SHARED = join('state', 'openclaw.sqlite');
/** So many contradictions of one kind are named. */
const MOST = 3;

/** The agents that have a database. */
export function agentsIn(stateDir: string): string[] {
  const folder = join(stateDir, 'agents');
  if (!existsSync(folder)) return [];
  return readdirSync(folder).filter((agent) => existsSync(join(stateDir, agentDatabase(agent))));
}

/** The sessions of an agent. @throws what SQLite says of a file that it cannot read */
export async function sessionsOf(stateDir: string, agent: string): Promise<Found<ExpectedSession[]>> {
  const database = await open(join(stateDir, agentDatabase(agent)));
  try {
    const problems = contradictions(database, `the database of the agent ${agent}`);
    if (!has(database, 'session_nodes')) {
      return {
        found: [],
        problems: [...problems, `the database of the agent ${agent} has no list of sessions`],
      };
    }
    if (has(database, 'schema_meta')) {
      const owner = one(database, "SELECT agent_id FROM schema_meta WHERE meta_key = 'primary'");
      if (owner !== undefined && owner !== agent) {
        problems.push(`the database of the agent ${agent} is that of the agent ${shown(owner)}`);
      }
    }
    const found: ExpectedSession[] = [];
    const rows = database
      .prepare('SELECT session_key, current_session_id, entry_json FROM session_nodes')
      .all();
    for (const { session_key, current_session_id, entry_json } of rows) {
      const [key, sessionId] = [`${session_key}`, `${current_session_id}`];
      const entry = parsed(entry_json);
      if (entry === undefined) problems.push(`the session ${key} has an entry that is no JSON`);
      else if (entry['sessionId'] !== undefined && entry['sessionId'] !== sessionId) {
        problems.push(
          `the session ${key} names two conversations: ${sessionId} and ${shown(entry['sessionId'])}`,
        );
      }
      const { last, problem } = lastMessage(database, stateDir, agent, sessionId, entry);
      if (problem !== undefined) problems.push(`the session ${key} ${problem}`);
      found.push({ key, sessionId, ...(last === undefined ? {} : { last }) });
    }
    return { found, problems };
  } finally {
    database.close();
  }
}

function lastMessage(
  database: Database,
  stateDir: string,
  agent: string,
  sessionId: string,
  entry: Readonly<Record<string, unknown>> | undefined,
): { last?: string; problem?: string } {
  if (has(database, 'session_transcript_cold_archives')) {
    const [cold] = database
      .prepare('SELECT archive_name, storage FROM session_transcript_cold_archives WHERE session_id = ?')
      .all(sessionId);
    if (cold !== undefined) {
      const file = join(stateDir, 'agents', agent, 'sessions', 'cold', `${cold['archive_name']}`);
      return cold['storage'] === 'file' && !existsSync(file)
        ? { problem: `has its messages in an archive that is not there: ${cold['archive_name']}` }
        : {};
    }
  }
  const windows = has(database, 'session_windows');
  const noted = windows
    ? one(database, 'SELECT transcript_updated_at FROM session_windows WHERE session_id = ?', sessionId)
    : null;
  if (noted === undefined) return { problem: `names a conversation that is not there: ${sessionId}` };
  const events = database
    .prepare('SELECT event_json, event_zstd FROM transcript_events WHERE session_id = ? ORDER BY seq DESC')
    .all(sessionId);
  const used = noted !== null || Number(entry?.['totalTokens'] ?? 0) > 0;
  if (events.length === 0)
    return used ? { problem: 'has lost its messages: the index lists it, its rows are gone' } : {};
  for (const { event_json, event_zstd } of events) {
    const text = event_zstd instanceof Uint8Array ? zstdDecompress(event_zstd) : event_json;
    const event = parsed(text);
    if (event === undefined) return { problem: 'has a message that is no JSON' };
    if (event['type'] === 'message' && typeof event['id'] === 'string') return { last: event['id'] };
  }
  return used && Number(entry?.['totalTokens'] ?? 0) > 0
    ? { problem: 'has lost its messages: only their frame is left' }
    : {};
}

/** The jobs of the user. OpenClaw declares its own again at each start. */
export async function jobsIn(stateDir: string, storeKey: string): Promise<Found<ExpectedJob[]>> {
  const database = await open(join(stateDir, SHARED));
  try {
    const problems = contradictions(database, 'the shared database');
    for (const { agent_id, path, schema_version } of registered(database)) {
      const file = join(stateDir, `${path}`);
      if (!existsSync(file)) {
        problems.push(`the database of the agent ${shown(agent_id)} is not there: ${path}`);
        continue;
      }
      const agent = await open(file);
      try {
        const version = one(agent, 'PRAGMA user_version');
        if (version !== schema_version) {
          problems.push(
            `the database of the agent ${shown(agent_id)} has schema ${shown(version)}, and is registered with ${shown(schema_version)}`,
          );
        }
      } finally {
        agent.close();
      }
    }
    if (!has(database, 'cron_jobs')) {
      return { found: [], problems: [...problems, 'the shared database has no table of jobs'] };
    }
    const rows = database
      .prepare('SELECT store_key, job_id, name, job_json FROM cron_jobs WHERE declaration_key IS NULL')
      .all();
    for (const { store_key, name, job_json } of rows) {
      if (store_key !== storeKey) {
        problems.push(`the job "${name}" belongs to another state directory: ${shown(store_key)}`);
      }
      if (parsed(job_json) === undefined) problems.push(`the job "${name}" is no JSON`);
    }
    return { found: rows.map(({ job_id, name }) => ({ id: `${job_id}`, name: `${name}` })), problems };
  } finally {
    database.close();
  }
}

function registered(database: Database): { readonly [column: string]: Value }[] {
  if (!has(database, 'agent_databases')) return [];
  return database.prepare('SELECT agent_id, path, schema_version FROM agent_databases').all();
}

/** What no row of a database in order says. */
function contradictions(database: Database, name: string): string[] {
  const problems: string[] = [];
  const integrity = one(database, 'PRAGMA integrity_check(1)');
  if (integrity !== 'ok') problems.push(`${name} is damaged: ${shown(integrity)}`);
  const orphans = database.prepare('PRAGMA foreign_key_check').all();
  const tables = [...new Set(orphans.map(({ table }) => shown(table)))];
  if (tables.length > 0) {
    problems.push(
      `${name} has rows that refer to rows which are gone, in ${tables.slice(0, MOST).join(', ')}`,
    );
  }
  if (has(database, 'schema_meta')) {
    const noted = one(database, "SELECT schema_version FROM schema_meta WHERE meta_key = 'primary'");
    const version = one(database, 'PRAGMA user_version');
    if (noted !== undefined && noted !== version) {
      problems.push(`${name} is half migrated: it says schema ${shown(version)} and ${shown(noted)}`);
    }
  } else if (Number(one(database, 'PRAGMA user_version')) > 0) {
    problems.push(`${name} is half migrated: it does not say what its schema is`);
  }
  return problems;
}

/** The file of an agent's memory, which OpenClaw can be asked for. */
const MEMORY = 'MEMORY.md';

/** What the agents remember by, in their workspaces. */
export function memoryIn(workspaces: ReadonlyMap<string, string>): Found<ExpectedFile[]> {
  const found: ExpectedFile[] = [];
  const problems: string[] = [];
  for (const [agent, workspace] of workspaces) {
    const file = join(workspace, MEMORY);
    if (!existsSync(file)) continue;
    if (!statSync(file).isFile()) {
      problems.push(`${MEMORY} of the agent ${agent} is no file`);
      continue;
    }
    const content = readFileSync(file, 'utf8');
    if (content.includes('\0')) problems.push(`${MEMORY} of the agent ${agent} is no text`);
    else found.push({ agent, name: MEMORY, content });
  }
  return { found, problems };
}

function parsed(text: unknown): Readonly<Record<string, unknown>> | undefined {
  if (typeof text !== 'string') return undefined;
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

function shown(value: unknown): string {
  return `${value}`.slice(0, 200);
}
