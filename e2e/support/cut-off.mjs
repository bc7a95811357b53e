// Preloaded into OpenClaw: cuts the power after so many writes to databases, whichever of its threads and processes makes
// them. `B2_CUT_COUNT` is a file that grows by a byte with each write (`V` where it says which schema a database has),
// `B2_CUT_AFTER` is how many there are.
import { appendFileSync, statSync } from 'node:fs';
import process from 'node:process';
import { DatabaseSync, StatementSync } from 'node:sqlite';

const { B2_CUT_COUNT: count, B2_CUT_AFTER: after } = process.env;
const last = after === undefined ? Number.POSITIVE_INFINITY : Number(after);

function written(sql = '') {
  appendFileSync(count, /user_version\s*=/i.test(sql) ? 'V' : '.');
  if (statSync(count).size >= last) process.kill(process.pid, 'SIGKILL');
}

const { exec } = DatabaseSync.prototype;
DatabaseSync.prototype.exec = function (sql) {
  const result = exec.call(this, sql);
  if (/user_version\s*=/i.test(sql) || !/^\s*(PRAGMA|BEGIN)/i.test(sql)) written(sql);
  return result;
};
const { run } = StatementSync.prototype;
StatementSync.prototype.run = function (...values) {
  const result = run.apply(this, values);
  written();
  return result;
};
