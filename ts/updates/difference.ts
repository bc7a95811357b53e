/** In how many messages and jobs a snapshot and the present differ: counted in both databases, row by row. */
import { pathToFileURL } from 'node:url';
import { type Database, has, one, open } from '../boot/sqlite.js';
import { ARCHIVES } from './count.js';

/** A database in the snapshot and in the present; absolute paths, one of which may not be set. */
export interface Sides {
  readonly stored?: string;
  readonly present?: string;
}

/** What the program that counts is given for a plan. */
export interface DifferenceJob {
  /** The databases of agents, by agent. */
  readonly agents: Readonly<Record<string, Sides>>;
  /** The database that all agents share, if it changes. */
  readonly shared?: Sides;
}

/** Messages that one side has and the other lacks. */
export interface MessageCount {
  /** The present has them, the snapshot has not. */
  readonly gone: number;
  /** The snapshot has them, the present has not. */
  readonly back: number;
}

/** What could be counted. */
export interface PlanCount {
  readonly agents: Readonly<Record<string, MessageCount>>;
  /** Jobs of the user's that come, go or change. */
  readonly jobs?: number;
}

/** Counts. What cannot be counted for certain is left out. Live databases are only read. */
export async function differenceIn({ agents, shared }: DifferenceJob): Promise<PlanCount> {
  const counted: Record<string, MessageCount> = {};
  for (const [agent, sides] of Object.entries(agents)) {
    const messages = await compare(sides, messagesOf);
    if (messages !== undefined) counted[agent] = messages;
  }
  const jobs = shared === undefined ? undefined : await compare(shared, jobsOf);
  return { agents: counted, ...(jobs === undefined ? {} : { jobs }) };
}

/** The sides are schemas of one connection, so that SQLite compares. Without a file one is empty. */
const SIDES = ['stored', 'present'] as const;
type Side = (typeof SIDES)[number];

async function compare<T>(sides: Sides, work: (database: Database) => T | undefined): Promise<T | undefined> {
  const database = await open(':memory:');
  try {
    for (const side of SIDES) {
      const path = sides[side];
      // Read-only: the gateway has one of them open.
      const address = path === undefined ? ':memory:' : `${pathToFileURL(path).href}?mode=ro`;
      database.prepare(`ATTACH ? AS "${side}"`).run(address);
    }
    database.exec('BEGIN');
    return work(database);
  } catch {
    return undefined;
  } finally {
    database.close();
  }
}

const IDENTITIES = 'transcript_event_identities';

function messagesOf(database: Database): MessageCount | undefined {
  if (!comparable(database, [IDENTITIES, 'transcript_events'])) return undefined;
  // What OpenClaw has put into an archive or taken out of it cannot be told from what was deleted.
  if (archives(database, 'stored') !== archives(database, 'present')) return undefined;
  return { gone: lacking(database, 'present', 'stored'), back: lacking(database, 'stored', 'present') };
}

/** Whether each side that is there has these tables. */
function comparable(database: Database, tables: readonly string[]): boolean {
  return SIDES.every(
    (side) => isEmpty(database, side) || tables.every((table) => has(database, table, side)),
  );
}

function isEmpty(database: Database, side: Side): boolean {
  return one(database, `SELECT count(*) FROM "${side}".sqlite_schema`) === 0;
}

function archives(database: Database, side: Side): string {
  const tables = ARCHIVES.filter((table) => has(database, table, side));
  const rows = tables.map((table) =>
    database.prepare(`SELECT session_id, generation FROM "${side}".${table} ORDER BY 1, 2`).all(),
  );
  return JSON.stringify(rows.flat());
}

/** How many messages `of` has and `from` lacks. */
function lacking(database: Database, of: Side, from: Side): number {
  if (isEmpty(database, of)) return 0;
  const unless = isEmpty(database, from)
    ? ''
    : `AND NOT EXISTS (SELECT 1 FROM "${from}".${IDENTITIES} AS other WHERE other.session_id = message.session_id AND other.event_id = message.event_id)`;
  return Number(
    one(
      database,
      `SELECT count(*) FROM "${of}".${IDENTITIES} AS message JOIN "${of}".transcript_events USING (session_id, seq) WHERE event_type = 'message' ${unless}`,
    ),
  );
}

function jobsOf(database: Database): number | undefined {
  if (!comparable(database, ['cron_jobs'])) return undefined;
  const [stored, present] = [jobsIn(database, 'stored'), jobsIn(database, 'present')];
  const ids = new Set([...stored.keys(), ...present.keys()]);
  return [...ids].filter((id) => stored.get(id) !== present.get(id)).length;
}

/** What each job is to do, by its id, without when it last ran. Those that OpenClaw declares itself are not the user's. */
function jobsIn(database: Database, side: Side): Map<string, string> {
  if (isEmpty(database, side)) return new Map();
  const rows = database.prepare(`SELECT * FROM "${side}".cron_jobs`).all();
  return new Map(
    rows
      .filter(({ declaration_key = null }) => declaration_key === null)
      .map(({ store_key = null, job_id, name, enabled, job_json }) => {
        const {
          state: _ran,
          updatedAtMs: _when,
          ...job
        } = JSON.parse(`${job_json}`) as Record<string, unknown>;
        return [JSON.stringify([store_key, job_id]), JSON.stringify([name, enabled, job])];
      }),
  );
}
