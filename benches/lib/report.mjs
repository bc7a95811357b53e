// From JSON lines to medians, a Markdown table, and the targets met or missed.
import { readFileSync } from 'node:fs';

const OPS = {
  first: 'first push',
  unchanged: 'no change',
  day: 'a day',
  restore: 'restore',
  one: 'one file',
};
const FIGURES = ['wall', 'cpu', 'rss', 'requests', 'up', 'down', 'stored'];

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
  for (const line of lines) {
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

const mb = (bytes) => (bytes / 1e6).toFixed(2);

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
        requests,
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

/** The targets against what was measured; a target whose figures are missing is left out. */
export function targets(groups) {
  const get = (state, op, peer = 'ours') =>
    groups.find(
      (group) =>
        group.layout === state.layout &&
        group.mb === state.mb &&
        group.net === state.net &&
        group.op === op &&
        group.peer === peer,
    );
  const start =
    groups.find((group) => group.op === 'start-addon') ?? groups.find((group) => group.op === 'start');
  const states = new Map(
    groups
      .filter((group) => group.op === 'first')
      .map(({ layout, mb: size, net }) => [`${layout}${size}${net}`, { layout, mb: size, net }]),
  );
  const lines = [];
  const judge = (state, what, is, limit, unit) => {
    if (is === undefined || limit === undefined || Number.isNaN(is) || Number.isNaN(limit)) return;
    const verdict = is <= limit ? 'met' : 'MISSED';
    const round = (number) => (unit === '' ? number : number.toFixed(2));
    lines.push(
      `| ${state.layout} ${state.mb} ${state.net} | ${what} | ${round(is)} ${unit} | ${round(limit)} ${unit} | ${verdict} |`,
    );
  };
  for (const state of states.values()) {
    const legacy = state.layout === 'legacy';
    const [first, unchanged, day, restore, one] = Object.keys(OPS).map((op) => get(state, op));
    const rival = (op) => get(state, op, 'rustic');
    if (state.mb === 200) {
      judge(state, 'first push stored', first?.stored / 1e6, legacy ? 100 : 130, 'MB');
      judge(state, 'a day uploads', day?.up / 1e6, legacy ? 3.5 : 5, 'MB');
      const tenth = get(state, 'day 10');
      if (legacy) judge(state, 'ten days stored', tenth?.stored / 1e6, 135, 'MB');
    }
    if (state.net === 'lan') {
      // On a slow line everyone waits for the same bytes.
      judge(state, 'first push wall, half of rustic', first?.wall, rival('first')?.wall * 0.5, 's');
      judge(state, 'restore wall, half of rustic', restore?.wall, rival('restore')?.wall * 0.5, 's');
    }
    judge(state, 'first push CPU, 0.8 of rustic', first?.cpu, rival('first')?.cpu * 0.8, 's');
    judge(state, 'no change requests', unchanged?.requests, 2, '');
    judge(state, 'no change CPU after start', unchanged?.cpu - start?.cpu, 0.15, 's');
    judge(state, 'a day requests', day?.requests, 6, '');
    judge(state, 'one file requests', one?.requests, 5, '');
    if (state.mb >= 500) {
      for (const [name, group] of Object.entries({ first, restore })) {
        judge(state, `${OPS[name]} memory above Node`, group?.rss - start?.rss, 150, 'MB');
      }
    }
    for (const [name, group] of Object.entries({ restore, one })) {
      if (group !== undefined) {
        lines.push(
          `| ${state.layout} ${state.mb} ${state.net} | ${OPS[name]} verified | ${group.verify} | same | ${group.verify === 'same' ? 'met' : 'MISSED'} |`,
        );
      }
    }
  }
  if (lines.length === 0) return 'No targets: our own figures are not among the results.';
  return ['| state | target | measured | limit | |', '|---|---|---|---|---|', ...lines].join('\n');
}
