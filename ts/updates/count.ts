/** Counts what the databases of a restored state directory have. Reads those of OpenClaw 2026.8 and later. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { type Database, has, open } from '../boot/sqlite.js';
import { agentsIn } from '../boot/state.js';
import { ARCHIVED, agentDatabase, SHARED_DATABASE, type Survey, type SurveyedSession } from './survey.js';

/** Sessions that OpenClaw makes and clears away by itself (its page on the maintenance of sessions). */
const SYNTHETIC = /^agent:[^:]+:(cron|hook|heartbeat|acp|subagent|explicit:model-run-)/;
/** Those that nobody used for so long may be cleared away as well, milliseconds: a day less than OpenClaw's 30. */
const STALE_MS = 29 * 24 * 60 * 60_000;

/** What the program that counts is given for one snapshot. */
export interface CountJob {
  readonly stateDir: string;
  /** When the snapshot was made, ISO 8601. */
  readonly at: string;
}

/** All but the memory files. `at` is when the snapshot was made. */
export async function countIn(stateDir: string, at: Date): Promise<Omit<Survey, 'memoryFiles'>> {
  const agents = agentsIn(stateDir);
  const sessions: SurveyedSession[] = [];
  const messages: Record<string, number> = {};
  const unread: Record<string, string> = {};
  const look = async (path: string, work: (database: Database) => void): Promise<void> => {
    try {
      const database = await open(join(stateDir, path));
      try {
        work(database);
      } finally {
        database.close();
      }
    } catch (error) {
      unread[path] = error instanceof Error ? error.message : String(error);
    }
  };
  for (const agent of agents) {
    await look(agentDatabase(agent), (database) => {
      for (const [id, all] of messagesIn(database)) messages[`${agent}/${id}`] = all;
      sessions.push(...sessionsIn(database, agent, at));
    });
  }
  let jobs: Survey['jobs'] = [];
  if (existsSync(join(stateDir, SHARED_DATABASE)))
    await look(SHARED_DATABASE, (database) => {
      jobs = jobsIn(database);
    });
  return { agents, sessions, messages, jobs, unread };
}

function sessionsIn(database: Database, agent: string, at: Date): SurveyedSession[] {
  const rows = database
    .prepare('SELECT session_key, current_session_id, entry_json FROM session_nodes')
    .all();
  return rows.flatMap(({ session_key, current_session_id, entry_json }) => {
    const key = `${session_key}`;
    const usedAt = numberIn(entry_json, 'updatedAt');
    const stale = usedAt !== undefined && at.getTime() - usedAt > STALE_MS;
    return stale || SYNTHETIC.test(key) ? [] : [{ agent, key, conversation: `${current_session_id}` }];
  });
}

/** How many messages each conversation has. Those in an archive of OpenClaw's have as many as ever. */
function messagesIn(database: Database): Map<string, number> {
  const all = new Map<string, number>();
  const counted = has(database, 'transcript_event_identities') ? BY_TYPE : BY_CONTENT;
  for (const { session_id, n } of database.prepare(counted).all()) all.set(`${session_id}`, Number(n));
  for (const table of ARCHIVES) {
    if (!has(database, table)) continue;
    for (const { session_id } of database.prepare(`SELECT session_id FROM ${table}`).all())
      all.set(`${session_id}`, ARCHIVED);
  }
  return all;
}

const BY_TYPE =
  "SELECT session_id, count(*) AS n FROM transcript_events JOIN transcript_event_identities USING (session_id, seq) WHERE event_type = 'message' GROUP BY session_id";
const BY_CONTENT =
  "SELECT session_id, count(*) AS n FROM transcript_events WHERE CASE WHEN json_valid(event_json) THEN json_extract(event_json, '$.type') = 'message' END GROUP BY session_id";
/** Tables in which OpenClaw keeps conversations that were deleted, reset, or not used for long. */
export const ARCHIVES = ['session_transcript_cold_archives', 'session_transcript_archives'];

/** Those of the user that stay: OpenClaw declares its own again, and one that runs once goes after it has run. */
function jobsIn(database: Database): Survey['jobs'] {
  if (!has(database, 'cron_jobs')) return [];
  return database
    .prepare('SELECT * FROM cron_jobs')
    .all()
    .filter(({ declaration_key = null, job_json }) => declaration_key === null && kindIn(job_json) !== 'at')
    .map(({ job_id, name }) => ({ id: `${job_id}`, name: `${name}` }));
}

function kindIn(json: unknown): unknown {
  return (objectIn(json)?.['schedule'] as { kind?: unknown } | undefined)?.kind;
}

function numberIn(json: unknown, field: string): number | undefined {
  const value = objectIn(json)?.[field];
  return typeof value === 'number' ? value : undefined;
}

function objectIn(json: unknown): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(`${json}`);
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
