/** What can be wrong with a restored state that no hash sees, for trial starts. */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { change } from './sqlite.ts';

/** Something to do to a restored state directory, and what must be said of it. */
export interface Fault {
  readonly name: string;
  plant(stateDir: string): Promise<unknown> | unknown;
  readonly said: RegExp;
  /** Whether OpenClaw itself has to be asked: the databases alone look well. */
  readonly host?: true;
}

const agent = (stateDir: string, id = 'main'): string =>
  join(stateDir, 'agents', id, 'agent', 'openclaw-agent.sqlite');
const shared = (stateDir: string): string => join(stateDir, 'state', 'openclaw.sqlite');
const onAgent =
  (sql: string, id = 'main') =>
  (stateDir: string): Promise<void> =>
    change(agent(stateDir, id), sql);
const onShared =
  (sql: string) =>
  (stateDir: string): Promise<void> =>
    change(shared(stateDir), sql);

function config(change: (text: string) => string): (stateDir: string) => void {
  return (stateDir) => {
    const file = join(stateDir, 'openclaw.json');
    writeFileSync(file, change(readFileSync(file, 'utf8')));
  };
}

function settings(change: (config: Record<string, unknown>) => void): (stateDir: string) => void {
  return config((text) => {
    const value = JSON.parse(text) as Record<string, unknown>;
    change(value);
    return JSON.stringify(value);
  });
}

/** The state has the agents `main` and `work`, a session of each, a job of the user's, and a MEMORY.md of `main`. */
export const FAULTS: readonly Fault[] = [
  {
    name: 'a list of sessions without their messages',
    plant: onAgent('DELETE FROM transcript_event_identities; DELETE FROM transcript_events'),
    said: /agent:main:main has lost its messages/,
  },
  {
    name: 'messages of which only the frame is left',
    plant: onAgent(
      'DELETE FROM transcript_events WHERE seq > 0; DELETE FROM transcript_event_identities WHERE seq > 0',
    ),
    said: /agent:main:main has lost its messages/,
  },
  {
    name: 'messages whose session is gone from the list',
    plant: onAgent('DELETE FROM session_nodes'),
    said: /rows that refer to rows which are gone/,
  },
  {
    name: 'a session that names a conversation that is not there',
    plant: onAgent("UPDATE session_nodes SET current_session_id = 'none'"),
    said: /names (two conversations|a conversation that is not there)/,
  },
  {
    name: 'an entry of a session that is cut off',
    plant: onAgent('UPDATE session_nodes SET entry_json = substr(entry_json, 1, 40)'),
    said: /has an entry that is no JSON/,
  },
  {
    name: 'a last message that is cut off',
    plant: onAgent(
      'UPDATE transcript_events SET event_json = substr(event_json, 1, 40) WHERE seq = (SELECT max(seq) FROM transcript_events)',
    ),
    said: /has a message that is no JSON/,
  },
  {
    name: 'an archive of messages that is not there',
    plant: onAgent(
      "INSERT INTO session_transcript_cold_archives (session_id, generation, archive_name, archive_sha256, event_count, raw_bytes, archive_bytes, last_seq, archived_at, storage) SELECT current_session_id, '1', 'gone.jsonl.zst', printf('%064d', 0), 1, 1, 1, 1, 1, 'file' FROM session_nodes",
    ),
    said: /an archive that is not there: gone/,
  },
  {
    name: 'an agent whose database is that of another',
    plant: onAgent("UPDATE schema_meta SET agent_id = 'work' WHERE meta_key = 'primary'"),
    said: /the agent main is that of the agent work/,
  },
  {
    name: 'a schema that is half migrated, by its number',
    plant: onAgent('PRAGMA user_version = 22'),
    said: /half migrated: it says schema 22 and 23/,
  },
  {
    name: 'a schema that is half migrated: a table is gone',
    plant: onAgent('DROP TABLE session_key_contract'),
    said: /OpenClaw|session/,
    host: true,
  },
  {
    name: 'a schema of a newer OpenClaw',
    plant: onShared(
      "PRAGMA user_version = 99; UPDATE schema_meta SET schema_version = 99 WHERE meta_key = 'primary'",
    ),
    said: /OpenClaw/,
    host: true,
  },
  {
    name: 'a database that is an empty one',
    plant: (stateDir) => {
      rmSync(agent(stateDir, 'work'));
      return change(agent(stateDir, 'work'), 'CREATE TABLE other (id INTEGER)');
    },
    said: /the agent work has no list of sessions/,
  },
  {
    name: 'a database that is registered and not there',
    plant: (stateDir) => rmSync(agent(stateDir, 'work')),
    said: /the database of the agent work is not there/,
  },
  {
    name: 'agents without the database that they share',
    plant: (stateDir) => rmSync(shared(stateDir)),
    said: /the shared database is not there/,
  },
  {
    name: 'a job of another state directory',
    plant: onShared(
      "UPDATE cron_jobs SET store_key = '/elsewhere/cron/jobs.json' WHERE declaration_key IS NULL",
    ),
    said: /belongs to another state directory/,
  },
  {
    name: 'a job that is cut off',
    plant: onShared('UPDATE cron_jobs SET job_json = substr(job_json, 1, 20) WHERE declaration_key IS NULL'),
    said: /the job "due" is no JSON/,
  },
  {
    name: 'a configuration that does not parse',
    plant: config((text) => text.slice(0, -20)),
    said: /refuses what was restored.*JSON5/,
    host: true,
  },
  {
    name: 'a configuration with a value of the wrong kind',
    plant: settings((value) => {
      value['session'] = { scope: 7 };
    }),
    said: /refuses what was restored.*session\.scope/,
    host: true,
  },
  {
    name: 'a configuration that includes what is not there',
    plant: settings((value) => {
      value['$include'] = ['./gone.json'];
    }),
    said: /refuses what was restored.*gone\.json/,
    host: true,
  },
  {
    name: 'a configuration that has forgotten an agent',
    plant: settings((value) => {
      value['agents'] = { entries: { main: {} } };
    }),
    said: /does not name the agent work/,
    host: true,
  },
  {
    name: 'a memory that is no file',
    plant: (stateDir) => {
      const file = join(stateDir, 'workspace', 'MEMORY.md');
      rmSync(file);
      mkdirSync(file);
    },
    said: /MEMORY\.md of the agent main is no file/,
    host: true,
  },
  {
    name: 'a memory full of zeros',
    plant: (stateDir) => writeFileSync(join(stateDir, 'workspace', 'MEMORY.md'), Buffer.alloc(64)),
    said: /MEMORY\.md of the agent main is no text/,
    host: true,
  },
];
