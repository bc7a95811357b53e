// From JSON lines to medians, a Markdown table, and the targets met or missed.
import { readFileSync } from 'node:fs';

const OPS = {
  first: 'first push',
  unchanged: 'no change',
  day: 'a day',
  restore: 'restore',
  one: 'one file',
};
const FIGURES = ['wall', 'cpu', 'rss', 'requests', 'up', 'down', 'stored', 'rate'];
/** What each operation may take of rustic's wall and CPU, where the network is fast. */
const SHARES = {
  first: [0.8, 0.75],
  restore: [0.8, 0.8],
  one: [0.6, 0.45],
  day: [0.6, 0.5],
  unchanged: [0.5, 0.5],
};
/** Seconds that a slow network may take beyond what its bytes take. */
const BEYOND_BYTES_S = 0.5;

const median = (numbers) => {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
};

/** Reads results and groups them: medians of day 1 for each operation, and the last of several days by itself. */
export function medians(file) {
  const groups = new Map();
  const lines = readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
  for (const line of lines.filter(({ op }) => op !== 'peer')) {
    const op = line.op === 'day' && line.day > 1 ? `day ${line.day}` : line.op;
    const key = JSON.stringify([line.layout, line.mb, line.net, line.peer, op]);
    if (!groups.has(key))
      groups.set(key, { layout: line.layout, mb: line.mb, net: line.net, peer: line.peer, op, lines: [] });
    groups.get(key).lines.push(line);
  }
  for (const group of groups.values()) {
    for (const figure of FIGURES) {
      const numbers = group.lines.map((line) => line[figure]).filter((number) => number !== undefined);
      if (numbers.length > 0) group[figure] = median(numbers);
    }
    group.failed = group.lines.some((line) => line.status !== 0);
    const verified = group.lines.map((line) => line.verify).filter((result) => result !== undefined);
    group.verify = verified.find((result) => result !== 'same') ?? verified[0] ?? '';
  }
  return [...groups.values()];
}

const mb = (bytes) => (bytes === undefined ? '-' : (bytes / 1e6).toFixed(2));

/** One row for each operation, peers below one another. */
export function table(groups) {
  const order = Object.keys(OPS);
  const rows = groups
    .filter((group) => group.op in OPS)
    .sort(
      (a, b) =>
        a.mb - b.mb ||
        b.layout.localeCompare(a.layout) ||
        a.net.localeCompare(b.net) ||
        order.indexOf(a.op) - order.indexOf(b.op) ||
        a.peer.localeCompare(b.peer),
    )
    .map((group) => {
      const { layout, net, peer, op, wall, cpu, rss, requests, up, down, stored, verify, failed } = group;
      const cells = [
        `${layout} ${group.mb}`,
        net,
        OPS[op],
        peer,
        wall.toFixed(2),
        cpu.toFixed(2),
        rss.toFixed(0),
        requests ?? '-',
        mb(up),
        mb(down),
        mb(stored),
        failed ? 'FAILED' : verify,
      ];
      return `| ${cells.join(' | ')} |`;
    });
  return [
    '| state | net | step | peer | wall s | CPU s | peak MB | requests | up MB | down MB | stored MB | verified |',
    '|---|---|---|---|---|---|---|---|---|---|---|---|',
    ...rows,
    ...severalDays(groups),
  ].join('\n');
}

function severalDays(groups) {
  const last = lastDays(groups);
  if (last.length === 0) return [];
  return [
    '',
    ...last.map(
      ({ layout, mb: size, peer, op, stored }) =>
        `${peer}, ${layout} ${size} MB, after ${op}: ${mb(stored)} MB stored`,
    ),
  ];
}

function lastDays(groups) {
  const last = new Map();
  for (const group of groups) {
    const day = /^day (\d+)$/.exec(group.op)?.[1];
    const key = JSON.stringify([group.layout, group.mb, group.net, group.peer]);
    if (day !== undefined && Number(day) > (last.get(key)?.day ?? 0))
      last.set(key, { ...group, day: Number(day) });
  }
  return [...last.values()];
}

/** A target's figure: `undefined` when it could not be measured, or its command failed. */
const figure = (group, name) => (group === undefined || group.failed ? undefined : group[name]);

const times = (number, factor) => (number === undefined ? undefined : number * factor);

const minus = (a, b) => (a === undefined || b === undefined ? undefined : a - b);

/** The targets against what was measured. What is not there to be compared is said, not left out. */
export function targets(groups) {
  if (!groups.some((group) => group.peer === 'ours' && group.op === 'first')) {
    return 'No targets: our own figures are not among the results.';
  }
  const start =
    groups.find((group) => group.op === 'start-addon') ?? groups.find((group) => group.op === 'start');
  const states = new Map(
    groups
      .filter((group) => group.op === 'first')
      .map(({ layout, mb: size, net }) => [`${layout}${size}${net}`, { layout, mb: size, net }]),
  );
  const rows = [...states.values()].flatMap((state) => {
    const name = `${state.layout} ${state.mb} ${state.net}`;
    return judgements(groups, state, start).map((cells) => `| ${[name, ...cells].join(' | ')} |`);
  });
  return ['| state | target | measured | limit | |', '|---|---|---|---|---|', ...rows].join('\n');
}

function judgements(groups, state, start) {
  const get = (op, peer = 'ours') =>
    groups.find(
      (group) =>
        group.layout === state.layout &&
        group.mb === state.mb &&
        group.net === state.net &&
        group.op === op &&
        group.peer === peer,
    );
  const rival = (op, name) => figure(get(op, 'rustic'), name);
  const [first, unchanged, day, restore, one] = Object.keys(OPS).map((op) => get(op));
  const legacy = state.layout === 'legacy';
  const rows = [];
  const judge = (what, is, limit, unit) => {
    const show = (number) =>
      number === undefined ? '-' : `${unit === '' ? number : number.toFixed(2)} ${unit}`.trim();
    const known = is !== undefined && limit !== undefined;
    rows.push([what, show(is), show(limit), known ? (is <= limit ? 'met' : 'MISSED') : 'not measured']);
  };
  if (state.mb === 200) {
    judge('first push stored', times(figure(first, 'stored'), 1e-6), legacy ? 100 : 130, 'MB');
    judge('a day uploads', times(figure(day, 'up'), 1e-6), legacy ? 3.5 : 5, 'MB');
    const tenth = get('day 10');
    if (legacy && tenth) judge('ten days stored', times(figure(tenth, 'stored'), 1e-6), 135, 'MB');
  }
  for (const [op, [wall, cpu]] of state.net === 'wan' ? [] : Object.entries(SHARES)) {
    judge(`${OPS[op]} wall, ${wall} of rustic`, figure(get(op), 'wall'), times(rival(op, 'wall'), wall), 's');
    judge(`${OPS[op]} CPU, ${cpu} of rustic`, figure(get(op), 'cpu'), times(rival(op, 'cpu'), cpu), 's');
  }
  // On a slow line everyone waits for the same bytes.
  for (const group of state.net === 'wan' ? [first, day, restore, one] : []) {
    const bytes = Math.max(figure(group, 'up') ?? Number.NaN, figure(group, 'down') ?? Number.NaN);
    const bound = bytes / group?.rate + BEYOND_BYTES_S;
    const what = `${OPS[group?.op]} wall, bytes over bandwidth + ${BEYOND_BYTES_S}`;
    judge(what, figure(group, 'wall'), Number.isNaN(bound) ? undefined : bound, 's');
  }
  judge('no change requests', figure(unchanged, 'requests'), 2, '');
  judge('no change CPU after start', minus(figure(unchanged, 'cpu'), figure(start, 'cpu')), 0.15, 's');
  judge('a day requests', figure(day, 'requests'), 6, '');
  judge('one file requests', figure(one, 'requests'), 5, '');
  for (const [op, group] of Object.entries({ first, restore })) {
    if (state.mb >= 500) {
      judge(`${OPS[op]} memory above Node`, minus(figure(group, 'rss'), figure(start, 'rss')), 150, 'MB');
    }
  }
  for (const [op, group] of Object.entries({ first, unchanged, day, restore, one })) {
    if (group?.failed) rows.push([`${OPS[op]} succeeds`, 'failed', 'done', 'MISSED']);
    else if (group?.verify)
      rows.push([`${OPS[op]} verified`, group.verify, 'same', group.verify === 'same' ? 'met' : 'MISSED']);
  }
  return rows;
}
