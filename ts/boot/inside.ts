/**
 * A program of its own: starts OpenClaw on what was restored, asks it, and says what is not as the snapshot says. It reads
 * a {@linkcode BootJob} from its standard input, and answers with one line. When the input ends, all of it ends.
 */
import { randomBytes } from 'node:crypto';
import { copyFileSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { PID_FILE } from './common.js';
import { compare } from './compare.js';
import { command, endAll, environment, startTrial } from './gateway.js';
import { type Agent, privateFolder, rawConfig, relocate, trialConfig, writeConfig } from './prepare.js';
import { serveProgram } from './program.js';
import { open } from './sqlite.js';
import { agentsIn, type Found, jobsIn, memoryIn, SHARED, sessionsOf } from './state.js';
import type { BootAnswer, BootJob, Expected, ExpectedSession } from './types.js';

/** Starts, asks and compares. */
export async function boot(job: BootJob): Promise<BootAnswer> {
  const state = job.roots[0]?.to ?? job.folder;
  const version = versionOf(job.openclaw);
  privateFolder(job.folder, 'home');
  privateFolder(job.folder, 'tmp');
  const problems: string[] = [];
  const nothing = { version, agents: 0, sessions: 0, messages: 0, jobs: 0, memoryFiles: 0 };
  const failed = (problem: string): BootAnswer => ({ ...nothing, problems: [...problems, problem] });

  await relocate(job.roots);
  const restored = join(state, 'openclaw.json');
  const port = await freePort();
  const token = randomBytes(24).toString('hex');
  await copyShared(job);
  // Before OpenClaw makes a database that is not there.
  const { sessions, jobs } = await databasesOf(state, problems);
  const [configured, shared] = await Promise.all([
    agentsOf(job, restored, port),
    preflight(job, restored, port),
  ]);
  if (shared !== undefined) problems.push(shared);
  if (typeof configured === 'string') return failed(configured);
  const agents = configured.map(({ id }) => id);
  const unnamed = agentsIn(state).filter((agent) => !agents.includes(agent));
  problems.push(...unnamed.map((agent) => `the configuration does not name the agent ${agent}`));
  const config = join(job.folder, 'openclaw.json');
  writeConfig(config, trialConfig(configured, rawConfig(restored, job.openclaw), job, { port, token }));

  const env = environment(job, config, port);
  const { gateway, problem } = await startTrial(job, env, { port, token }, (pid) =>
    writeFileSync(join(job.folder, PID_FILE), `${pid}`),
  );
  try {
    if (problem !== undefined) return failed(problem);
    const workspaces = await gateway.agents();
    const unknown = agents.filter((agent) => !workspaces.has(agent));
    problems.push(...unknown.map((agent) => `OpenClaw does not know the agent ${agent}`));
    const memory = memoryIn(workspaces);
    problems.push(...memory.problems);
    const expected: Expected = { sessions, jobs, memoryFiles: memory.found };
    return {
      version,
      agents: agents.length,
      sessions: sessions.length,
      messages: sessions.filter(({ last }) => last !== undefined).length,
      jobs: jobs.length,
      memoryFiles: memory.found.length,
      problems: [...problems, ...compare(expected, await gateway.ask(expected))],
    };
  } catch (error) {
    return failed(`OpenClaw was ready, and then did not answer: ${words(error)}`);
  } finally {
    await gateway.stop();
  }
}

/** Who the agents are, by the configuration as OpenClaw reads it; its words where it refuses that. */
async function agentsOf(job: BootJob, config: string, port: number): Promise<readonly Agent[] | string> {
  const env = environment(job, config, port);
  const { code, out } = await command(job, env, ['agents', 'list', '--json']);
  const answer = parsed(out);
  if (code === 0 && Array.isArray(answer)) return answer as Agent[];
  const { error, issues = [] } = (answer ?? {}) as Refusal;
  const message = error?.message ?? `it ended with ${code}`;
  return `OpenClaw refuses what was restored: ${[message, ...issues.map(({ path, message }) => `${path}: ${message}`)].join('; ')}`;
}

/** Copies the shared database, at rest and without logs, as OpenClaw wants one that it compares with its schema. */
async function copyShared(job: BootJob): Promise<void> {
  const original = join(job.roots[0]?.to ?? job.folder, SHARED);
  if (!existsSync(original)) return;
  const copy = copyOfShared(job);
  copyFileSync(original, copy);
  const database = await open(copy);
  try {
    database.exec('PRAGMA journal_mode = DELETE');
  } finally {
    database.close();
  }
}

const copyOfShared = (job: BootJob): string =>
  join(privateFolder(job.folder, 'preflight'), 'openclaw.sqlite');

/** Has OpenClaw compare the shared database with its schema. */
async function preflight(job: BootJob, config: string, port: number): Promise<string | undefined> {
  const database = copyOfShared(job);
  if (!existsSync(database)) return undefined;
  const env = environment(job, config, port);
  const { code, out } = await command(job, env, ['database', 'preflight', database, '--json']);
  if (code === 0) return undefined;
  const answer = parsed(out) as (Refusal & { readonly reason?: string }) | undefined;
  const message = answer?.error?.message ?? answer?.reason ?? answer?.issues?.[0]?.message;
  return message === undefined ? undefined : `OpenClaw refuses the shared database: ${message}`;
}

interface Refusal {
  readonly error?: { readonly message?: string };
  readonly issues?: readonly { readonly path?: string; readonly message?: string }[];
}

/** What the databases say must be there. Contradictions in them are problems. */
async function databasesOf(state: string, problems: string[]): Promise<Pick<Expected, 'sessions' | 'jobs'>> {
  const withDatabase = agentsIn(state);
  const sessions: ExpectedSession[] = [];
  for (const agent of withDatabase) {
    const found = await looked(`the database of the agent ${agent}`, problems, () =>
      sessionsOf(state, agent),
    );
    sessions.push(...(found ?? []));
  }
  if (existsSync(join(state, SHARED))) {
    const jobs = await looked('the shared database', problems, () =>
      jobsIn(state, join(state, 'cron', 'jobs.json')),
    );
    return { sessions, jobs: jobs ?? [] };
  }
  if (withDatabase.length > 0) problems.push('the shared database is not there, although agents have theirs');
  return { sessions, jobs: [] };
}

async function looked<T>(
  what: string,
  problems: string[],
  look: () => Promise<Found<T>>,
): Promise<T | undefined> {
  try {
    const { found, problems: wrong } = await look();
    problems.push(...wrong);
    return found;
  } catch (error) {
    problems.push(`${what} cannot be read: ${words(error)}`);
    return undefined;
  }
}

function versionOf(openclaw: string): string {
  const manifest = parsed(readFileSync(join(dirname(openclaw), 'package.json'), 'utf8'));
  return `${(manifest as { version?: unknown } | undefined)?.version ?? 'unknown'}`;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

serveProgram(boot, endAll);
