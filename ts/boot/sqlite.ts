/** Node's own SQLite, as far as a trial start uses it. OpenClaw's Node has it; the oldest that the command runs on has not. */

/** A value of a column. */
export type Value = string | number | bigint | null | Uint8Array;

/** A database. */
export interface Database {
  prepare(sql: string): {
    all(...values: Value[]): { readonly [column: string]: Value }[];
    run(...values: Value[]): unknown;
  };
  exec(sql: string): void;
  close(): void;
}

interface Module {
  readonly DatabaseSync: new (
    path: string,
    options?: { readonly enableForeignKeyConstraints?: boolean },
  ) => Database;
}

/** Opens a database that nobody else has open. */
export async function open(path: string): Promise<Database> {
  // The name in a variable: this project's types are those of a Node without it.
  const name = 'node:sqlite';
  const { DatabaseSync } = (await import(name)) as Module;
  return new DatabaseSync(path, { enableForeignKeyConstraints: false });
}

/** Whether it has a table; `schema` is the name of an attached database. */
export function has(database: Database, table: string, schema = 'main'): boolean {
  return (
    database.prepare(`SELECT 1 FROM "${schema}".sqlite_schema WHERE type = 'table' AND name = ?`).all(table)
      .length > 0
  );
}

/** The only value of a query; undefined without rows. */
export function one(database: Database, sql: string, ...values: Value[]): Value | undefined {
  const [row] = database.prepare(sql).all(...values);
  return row === undefined ? undefined : Object.values(row)[0];
}
