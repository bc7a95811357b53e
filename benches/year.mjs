// A year of daily pushes: runs examples/a_year.rs, and draws what it found. See docs/benchmarks.md.
//
// node benches/year.mjs [--release] [--days 365] [--mb 50] [--scale 0.25] [--layout legacy|db]
// node benches/year.mjs --report benches/results/year.jsonl     plot and table again, from earlier results
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { hostTarget } from '../scripts/run.mjs';
import { checked, root } from './lib/build.mjs';

const RESULTS = join(root, 'benches', 'results', 'year.jsonl');
const PLOT = join(root, 'docs', 'a-year.svg');
/** Days of the table. */
const SHOWN = [1, 30, 90, 180, 365];

const WIDTH = 720;
const PANEL = 170;
const LEFT = 60;
const RIGHT = 20;
const TOP = 30;
const GAP = 50;

function measure(profile, options) {
  const release = profile === 'release' ? ['--release'] : [];
  checked('cargo', ['build', ...release, '--example', 'a_year'], { show: true });
  const program = join(root, 'target', hostTarget() ?? '', profile, 'examples', 'a_year');
  writeFileSync(RESULTS, checked(program, options));
}

function read(file) {
  return readFileSync(file, 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
}

const mb = (bytes) => bytes / 1e6;

function panels(days) {
  return [
    {
      title: 'MB',
      lines: [
        { name: 'stored in the bucket', colour: '#b3261e', of: (day) => mb(day.storedBytes) },
        { name: 'the state itself', colour: '#1a56b0', of: (day) => mb(day.stateBytes) },
      ],
      dots: {
        name: 'a first push of the same state',
        colour: '#1b7f3b',
        of: (day) => (day.freshBytes === undefined ? undefined : mb(day.freshBytes)),
      },
    },
    {
      title: 'packs',
      lines: [
        { name: 'packs that a restore of the newest snapshot reads', colour: '#b3261e', of: (day) => day.manifest.packs },
        { name: 'snapshots kept', colour: '#1a56b0', of: (day) => day.snapshots },
      ],
    },
    {
      title: 'KB',
      lines: [{ name: 'manifest', colour: '#b3261e', of: (day) => day.manifest.bytes / 1e3 }],
    },
  ].map((panel) => {
    const values = days.flatMap((day) =>
      [...panel.lines, ...(panel.dots ? [panel.dots] : [])].map(({ of }) => of(day) ?? 0),
    );
    return { ...panel, most: round(Math.max(...values)) };
  });
}

/** The next larger number that makes four even steps. */
function round(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 6, 8, 10].map((step) => step * power).find((step) => step >= value) ?? value;
}

function draw(days) {
  const last = days.at(-1).day;
  const x = (day) => (LEFT + ((day - 1) / Math.max(1, last - 1)) * (WIDTH - LEFT - RIGHT)).toFixed(1);
  const all = panels(days);
  const height = TOP + all.length * (PANEL + GAP);
  const parts = all.map((panel, index) => {
    const top = TOP + index * (PANEL + GAP);
    const y = (value) => (top + PANEL - (value / panel.most) * PANEL).toFixed(1);
    const grid = [0, 1, 2, 3, 4].map((step) => {
      const value = (panel.most * step) / 4;
      return (
        `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(value)}" y2="${y(value)}" stroke="#ddd"/>` +
        `<text x="${LEFT - 6}" y="${y(value)}" dy="4" text-anchor="end">${value}</text>`
      );
    });
    const months = SHOWN.filter((day) => day <= last).map(
      (day) => `<text x="${x(day)}" y="${top + PANEL + 16}" text-anchor="middle">${day}</text>`,
    );
    const curves = panel.lines.map(({ colour, of }) => {
      const points = days.map((day) => `${x(day.day)},${y(of(day))}`).join(' ');
      return `<polyline fill="none" stroke="${colour}" stroke-width="1.5" points="${points}"/>`;
    });
    const dots = (panel.dots === undefined ? [] : days)
      .filter((day) => panel.dots.of(day) !== undefined)
      .map((day) => `<circle cx="${x(day.day)}" cy="${y(panel.dots.of(day))}" r="4" fill="${panel.dots.colour}"/>`);
    const names = [...panel.lines, ...(panel.dots ? [panel.dots] : [])].map(
      ({ name, colour }, at) => `<text x="${LEFT + 8}" y="${top + 14 + at * 15}" fill="${colour}">${name}</text>`,
    );
    const title = `<text x="${LEFT - 6}" y="${top - 12}" text-anchor="end">${panel.title}</text>`;
    return [title, ...grid, ...months, ...curves, ...dots, ...names].join('\n');
  });
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif" font-size="11">`,
    `<title>A year of daily pushes</title>`,
    `<rect width="${WIDTH}" height="${height}" fill="#fff"/>`,
    ...parts,
    `<text x="${WIDTH / 2}" y="${height - 8}" text-anchor="middle">day</text>`,
    '</svg>',
    '',
  ].join('\n');
}

function table(days) {
  const uploads = (to) => {
    const month = days.filter(({ day }) => day > 1 && day > to - 30 && day <= to);
    if (month.length === 0) return '';
    return mb(month.reduce((sum, day) => sum + day.uploadedBytes, 0) / month.length).toFixed(2);
  };
  const rows = days
    .filter(({ day }) => SHOWN.includes(day))
    .map((day) =>
      [
        day.day,
        mb(day.stateBytes).toFixed(1),
        mb(day.storedBytes).toFixed(1),
        mb(day.freshBytes).toFixed(1),
        (day.storedBytes / day.freshBytes).toFixed(2),
        day.snapshots,
        uploads(day.day),
        day.manifest.packs,
        day.restore.requests,
        mb(day.restore.downloadedBytes).toFixed(1),
        (day.manifest.bytes / 1e3).toFixed(1),
        mb(day.localBytes).toFixed(1),
      ].join(' | '),
    );
  return [
    '| day | state MB | stored MB | first push of it MB | stored to that | snapshots | a push MB | packs of a restore | its requests | its MB | manifest KB | local memory MB |',
    '|---|---|---|---|---|---|---|---|---|---|---|---|',
    ...rows.map((row) => `| ${row} |`),
  ].join('\n');
}

const { values } = parseArgs({
  options: {
    report: { type: 'string' },
    release: { type: 'boolean', default: false },
    days: { type: 'string', default: '365' },
    mb: { type: 'string', default: '50' },
    scale: { type: 'string', default: '0.25' },
    layout: { type: 'string', default: 'legacy' },
  },
});
if (values.report === undefined) {
  const options = ['days', 'mb', 'scale', 'layout'].flatMap((name) => [`--${name}`, values[name]]);
  measure(values.release ? 'release' : 'debug', options);
}
const days = read(values.report ?? RESULTS);
writeFileSync(PLOT, draw(days));
process.stdout.write(`${table(days)}\n`);
