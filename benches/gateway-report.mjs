// From the JSON lines of benches/gateway.mjs to Markdown tables, and the targets met or missed.
import { readFileSync } from 'node:fs';

const OPS = {
  idle: 'idle',
  push: 'first push',
  ask: 'list and status',
  restore: 'restore',
  plan: 'preview of a rollback',
};
/** The limits. */
const LIMITS = { delayMs: 10, memoryMb: 150, stopSeconds: 5, awaySeconds: 3, fetched: 1.1 };

/** Tables and targets of a file of results. */
export function report(file) {
  const lines = readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  // Each figure is compared with the idle time of the same gateway, which comes before it.
  let idle;
  const delays = [];
  for (const line of lines.filter(({ op }) => op in OPS)) {
    if (line.op === 'idle') idle = line;
    delays.push({
      ...line,
      above99: line.p99 - idle.p99,
      above999: line.p999 - idle.p999,
      added: line.peak - line.rss,
    });
  }
  const stops = lines.filter(({ op }) => op === 'stop');
  const aways = lines.filter(({ op }) => op === 'away');
  const parts = [
    ...(delays.length > 0 ? [delayTable(delays)] : []),
    ...(stops.length > 0 ? [stopTable(stops)] : []),
    ...(aways.length > 0 ? [awayTable(aways)] : []),
  ];
  return [...parts, targets(delays, stops, aways)].join('\n\n');
}

const state = ({ layout, mb, addon }) => `${layout} ${mb}${addon === 'debug' ? ' (debug addon)' : ''}`;
const ms = (number) => number.toFixed(1);
const row = (cells) => `| ${cells.join(' | ')} |`;
const head = (...names) => [row(names), `|${'---|'.repeat(names.length)}`];

const DELAY_COLUMNS = [
  ...['state', 'during', 's', 'samples', 'p50 ms', 'p99 ms', 'p99.9 ms', 'max ms'],
  ...['p99 above idle', 'p99.9 above idle', 'ran ms', 'waited ms'],
  ...['MB before', 'peak MB', 'added MB', 'worker MB', 'verified'],
];

function delayTable(delays) {
  const rows = delays.map((line) =>
    row([
      state(line),
      OPS[line.op],
      line.seconds.toFixed(1),
      line.samples,
      ...[line.p50, line.p99, line.p999, line.max].map(ms),
      ...(line.op === 'idle' ? ['', ''] : [line.above99, line.above999].map(ms)),
      ...[line.ran, line.waited, line.rss, line.peak, line.added].map((number) => number.toFixed(0)),
      line.worker?.toFixed(0) ?? '',
      line.verify ?? '',
    ]),
  );
  return [...head(...DELAY_COLUMNS), ...rows].join('\n');
}

function stopTable(stops) {
  const rows = stops.map((line) =>
    row([
      state(line),
      line.net,
      line.committed?.toFixed(2) ?? 'cut off',
      line.ended.toFixed(2),
      (line.up / 1e6).toFixed(2),
      line.requests,
      line.verify,
    ]),
  );
  const names = ['state', 'net', 'SIGTERM to commit s', 'to exit s', 'up MB', 'requests', 'verified'];
  return [...head(...names), ...rows].join('\n');
}

function awayTable(aways) {
  const rows = aways.map((line) =>
    row([
      state(line),
      line.kind,
      line.away.toFixed(2),
      line.staged?.toFixed(2) ?? '',
      ...[line.differs, line.fileBytes, line.databaseBytes, line.downloaded].map((bytes) =>
        bytes === undefined ? '' : (bytes / 1e6).toFixed(2),
      ),
      line.verify ?? '',
    ]),
  );
  const made = ['spoilt MB', 'files that come MB', 'databases that come MB', 'received MB', 'verified'];
  return [...head('state', 'restart', 'away s', 'made ready in s', ...made), ...rows].join('\n');
}

/** The middle one, or the lower of the two. */
function median(numbers) {
  return numbers.toSorted((a, b) => a - b)[Math.floor((numbers.length - 1) / 2)];
}

/** The targets against what was measured. */
function targets(delays, stops, aways) {
  const rows = [];
  const judge = (line, what, is, limit, unit) => {
    // A debug build says nothing about what users get.
    const verdict = is !== null && is <= limit ? 'met' : 'MISSED';
    const measured = is === null ? 'none' : `${is.toFixed(2)} ${unit}`;
    const judged = line.addon === 'debug' ? 'not judged' : verdict;
    rows.push(row([state(line), what, measured, `${limit} ${unit}`, judged]));
  };
  const verify = (line, what) => {
    if (line.verify !== undefined && !['whole', 'same'].includes(line.verify))
      rows.push(row([state(line), `${what} verified`, line.verify, 'same', 'MISSED']));
  };
  for (const line of delays.filter(({ op }) => op !== 'idle')) {
    const what = OPS[line.op];
    judge(line, `${what}: p99.9 above idle`, line.above999, LIMITS.delayMs, 'ms');
    judge(line, `${what}: memory added to the gateway`, line.added, LIMITS.memoryMb, 'MB');
    verify(line, what);
  }
  for (const line of stops) {
    judge(line, `SIGTERM to commit, ${line.net}`, line.committed, LIMITS.stopSeconds, 's');
    verify(line, `SIGTERM, ${line.net}`);
  }
  const rollbacks = aways.filter(({ kind }) => kind === 'rollback');
  const plain = aways.filter(({ kind }) => kind !== 'rollback');
  if (rollbacks.length > 0) {
    const [line] = rollbacks;
    const longer = median(rollbacks.map(({ away }) => away)) - median(plain.map(({ away }) => away));
    judge(line, 'rollback: away longer than for a plain restart', longer, LIMITS.awaySeconds, 's');
    const fetched = (one) => one.downloaded / (one.fileBytes + one.databaseBytes);
    const most = Math.max(...rollbacks.map(fetched));
    judge(line, 'rollback: received for each byte that comes', most, LIMITS.fetched, 'times');
    for (const one of rollbacks) verify(one, 'rollback');
  }
  return [...head('state', 'target', 'measured', 'limit', ''), ...rows].join('\n');
}
