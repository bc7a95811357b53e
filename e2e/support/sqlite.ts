/** Looks into databases: restored ones, and live ones, which another process may read. */
import { environment, node24 } from './host.ts';
import { finish, Program } from './processes.ts';

const SCRIPT = `
const { DatabaseSync } = require('node:sqlite');
const [, path, sql] = process.argv;
const database = new DatabaseSync(path, { readOnly: true });
process.stdout.write(JSON.stringify(database.prepare(sql).all()));
`;

/** The rows of a query. */
export async function query(path: string, sql: string): Promise<Record<string, unknown>[]> {
  const args = ['--no-warnings', '-e', SCRIPT, path, sql];
  const program = new Program('query', node24, args, { env: environment('/') });
  const { code, out } = await finish(program);
  if (code !== 0) throw new Error(`${sql}\n${program.tail()}`);
  return JSON.parse(out) as Record<string, unknown>[];
}
