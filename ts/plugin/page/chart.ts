/** The size of snapshots, and what each stored, over time: one inline SVG. Pure. */
import { formatBytes } from '../../text.js';
import { type Html, html } from './html.js';
import type { Shown } from './model.js';

const WIDTH = 720;
const HEIGHT = 96;
const TOP = 8;
const BASE = 76;
/** Few bars are not made broad. */
const BROADEST = 24;
/** Fewer are no course of things. */
const FEWEST = 5;
/** Two dates side by side need so much. */
const NARROWEST = 150;
/** More bars than this cannot be told apart. */
const MOST = 120;

/** Draws what it is given, oldest first. Nothing where there is too little to see. */
export function chart(snapshots: readonly Shown[]): Html | undefined {
  const own = snapshots.filter((one) => one.usable && one.machine === undefined).slice(-MOST);
  if (own.length < FEWEST) return undefined;
  const size = Math.max(1, ...own.map(({ bytes }) => bytes));
  const stored = Math.max(1, ...own.map(({ storedBytes = 0 }) => storedBytes));
  const step = Math.min(WIDTH / own.length, BROADEST);
  const end = round(step * own.length);
  const high = (value: number, most: number): number => BASE - (value / most) * (BASE - TOP);
  const points = own.map(({ bytes }, at) => `${round((at + 0.5) * step)},${round(high(bytes, size))}`);
  const [first] = own;
  const last = own.at(-1);
  const label =
    `The last ${own.length} snapshots. In them ${formatBytes(first?.bytes ?? 0)} at first and ` +
    `${formatBytes(last?.bytes ?? 0)} now; the most that one had to store is ${formatBytes(stored)}.`;
  return html`<figure>
<svg class="chart" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" aria-label="${label}">
<line class="axis" x1="0" y1="${BASE}" x2="${end}" y2="${BASE}"/>
${own.map(({ storedBytes = 0 }, at) => {
  const y = storedBytes === 0 ? BASE : Math.min(BASE - 1, high(storedBytes, stored));
  return html`<rect class="bar" x="${round(at * step + step * 0.15)}" y="${round(y)}" width="${round(step * 0.7)}" height="${round(BASE - y)}"/>`;
})}
<polyline class="line" points="${points.join(' ')}"/>
<text x="0" y="${HEIGHT - 4}">${first?.at.slice(0, 10)}</text>
<text x="${Math.max(end, NARROWEST)}" y="${HEIGHT - 4}" text-anchor="end">${last?.at.slice(0, 10)}</text>
</svg>
<figcaption><span class="key bar"></span>stored anew, at most ${formatBytes(stored)}
&ensp;<span class="key line"></span>everything in it, now ${formatBytes(last?.bytes ?? 0)}</figcaption>
</figure>`;
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
