/** What matters to a user, counted in two snapshots, and what the second one lacks. Pure. */
import { count } from '../text.js';

/** What one snapshot has. */
export interface Survey {
  /** Those that have a database. */
  readonly agents: readonly string[];
  readonly sessions: readonly SurveyedSession[];
  /** How many messages each conversation has, by its agent and its id, joined by a slash; or {@linkcode ARCHIVED}. */
  readonly messages: Readonly<Record<string, number>>;
  /** Jobs of the user's that do not go by themselves. */
  readonly jobs: readonly { readonly id: string; readonly name: string }[];
  /** Paths, as the snapshot shows them, of memory files that are not empty. */
  readonly memoryFiles: readonly string[];
  /** Databases that could not be counted, by their path in the state directory, and why. */
  readonly unread: Readonly<Record<string, string>>;
}

/** A session that OpenClaw does not clear away by itself. */
export interface SurveyedSession {
  readonly agent: string;
  readonly key: string;
  /** The conversation that is open in it. */
  readonly conversation: string;
}

/** Something that is gone. */
export interface Missing {
  /** What it is, for programs: the same in every comparison. */
  readonly id: string;
  /** The same in words, without a full stop. */
  readonly text: string;
}

/** The messages of a conversation that OpenClaw has put away as a whole: no rows are missed. */
export const ARCHIVED = -1;

/** The database of an agent, below a state directory, with slashes. */
export const agentDatabase = (agent: string): string => `agents/${agent}/agent/openclaw-agent.sqlite`;
/** The one that all agents share. */
export const SHARED_DATABASE = 'state/openclaw.sqlite';

/** What `before` has and `after` has not, what is gravest first. What could not be counted before is not missed. */
export function missingSince(before: Survey, after: Survey): Missing[] {
  return [
    ...missingAgents(before, after),
    ...missingSessions(before, after),
    ...missingJobs(before, after),
    ...before.memoryFiles
      .filter((path) => !after.memoryFiles.includes(path))
      .map((path) => ({ id: `memory ${path}`, text: `the memory file ${path}` })),
  ];
}

function missingAgents(before: Survey, after: Survey): Missing[] {
  return before.agents.flatMap((agent) => {
    const why = after.unread[agentDatabase(agent)];
    if (why !== undefined && before.unread[agentDatabase(agent)] === undefined)
      return [
        { id: `database ${agent}`, text: `the database of the agent ${agent}, which cannot be read: ${why}` },
      ];
    return after.agents.includes(agent) ? [] : [{ id: `agent ${agent}`, text: `the agent ${agent}` }];
  });
}

function missingSessions(before: Survey, after: Survey): Missing[] {
  // Of an agent that is gone as a whole, that is said.
  const known = new Set(after.agents.filter((agent) => after.unread[agentDatabase(agent)] === undefined));
  const keys = new Set(after.sessions.map(({ agent, key }) => `${agent}/${key}`));
  return before.sessions.flatMap(({ agent, key, conversation }) => {
    if (!known.has(agent)) return [];
    const id = `session ${agent} ${key}`;
    const had = Math.max(before.messages[`${agent}/${conversation}`] ?? 0, 0);
    const has = after.messages[`${agent}/${conversation}`] ?? 0;
    // Deleted or reset by somebody: OpenClaw keeps what it takes away itself.
    if (has === ARCHIVED) return [];
    if (!keys.has(`${agent}/${key}`)) return [{ id, text: `the session ${key} (${count(had, 'message')})` }];
    if (has >= had) return [];
    return [{ id, text: `${had - has} of the ${count(had, 'message')} of the session ${key}` }];
  });
}

function missingJobs(before: Survey, after: Survey): Missing[] {
  const why = after.unread[SHARED_DATABASE];
  if (why !== undefined)
    return before.unread[SHARED_DATABASE] === undefined
      ? [{ id: 'database', text: `the database of all agents, which cannot be read: ${why}` }]
      : [];
  const ids = new Set(after.jobs.map(({ id }) => id));
  return before.jobs
    .filter(({ id }) => !ids.has(id))
    .map(({ id, name }) => ({ id: `job ${id}`, text: `the job "${name}"` }));
}
