/** Looks into databases: restored ones, and live ones, which another process may read. Changes those at rest. */
import { environment, node24 } from './host.ts';
import { finish, Program } from './processes.ts';

const SCRIPT = `
const { DatabaseSync } = require('node:sqlite');
const [, path, sql, ...values] = process.argv;
const database = new DatabaseSync(path, { readOnly: /^select/i.test(sql) });
process.stdout.write(JSON.stringify(database.prepare(sql).all(...values)));
`;

/** The rows of a query; only a SELECT may be given a database that is in use. */
export async function query(
  path: string,
  sql: string,
  ...values: readonly string[]
): Promise<Record<string, unknown>[]> {
  const args = ['--no-warnings', '-e', SCRIPT, path, sql, ...values];
  const program = new Program('query', node24, args, { env: environment('/') });
  const { code, out } = await finish(program);
  if (code !== 0) throw new Error(`${sql}\n${program.tail()}`);
  return JSON.parse(out) as Record<string, unknown>[];
}

const CHANGE = `
const { DatabaseSync } = require('node:sqlite');
const [, path, sql] = process.argv;
new DatabaseSync(path, { enableForeignKeyConstraints: false }).exec(sql);
`;

/** Changes a database at rest, without its own rules in the way. */
export async function change(path: string, sql: string): Promise<void> {
  const args = ['--no-warnings', '-e', CHANGE, path, sql];
  const program = new Program('change', node24, args, { env: environment('/') });
  const { code } = await finish(program);
  if (code !== 0) throw new Error(`${sql}\n${program.tail()}`);
}
