/** The first view: the verdict, what is known, what to do, and the timeline. Pure. */
import { count, formatBytes } from '../../text.js';
import { chart } from './chart.js';
import type { View } from './document.js';
import { type Html, html } from './html.js';
import type { Day, PageModel, Shown } from './model.js';
import { say } from './parts.js';
import type { Standing, Verdict } from './verdict.js';
import { capital, Words } from './when.js';

/**
 * The page looks again after so many milliseconds: while nothing is known yet, while something goes on, and else. Not
 * often: whoever listens to it begins anew each time.
 */
const SOON_MS = 2_000;
const BUSY_MS = 5_000;
const LATER_MS = 5 * 60_000;

/** What a push does, by its phase. */
const PHASES: Readonly<Record<string, string>> = {
  wait: 'waits for another process',
  open: 'looks into the bucket',
  scan: 'looks at the files',
  capture: 'reads what has changed',
  captured: 'has read everything',
  upload: 'sends',
};

/** Which chat the button opens. */
export interface Chat {
  readonly sessionKey: string;
  readonly agentId: string;
}

/** The view of everything. */
export function overview(model: PageModel, chat: Chat): View {
  const words = new Words({ now: new Date(model.at), timeZone: model.timeZone });
  const all = model.days.flatMap(({ snapshots }) => snapshots);
  return {
    title: `Backups: ${model.verdict.title}`,
    againMs: againMs(model),
    body: html`<header>${verdict(model.verdict)}</header>
<main>
${facts(model, words)}
${notes(model)}
${next(model, chat)}
<section aria-labelledby="timeline"><h2 id="timeline">Snapshots</h2>
${chart(all.toReversed())}
${model.days.map(day)}
${all.length === 0 && html`<p class="muted">${empty(model)}</p>`}
</section>
</main>
<footer class="head"><small>${asked(model, words)} Times are those of ${model.timeZone}.</small>
<button type="button" class="needs-script" data-reload>Look again</button></footer>`,
  };
}

function againMs({ bucket, running }: PageModel): number {
  if (bucket.askedAt === undefined && bucket.problem === undefined && bucket.asking) return SOON_MS;
  return bucket.asking || running !== undefined ? BUSY_MS : LATER_MS;
}

function asked({ bucket }: PageModel, words: Words): string {
  return bucket.askedAt === undefined ? '' : `The bucket was last asked ${words.when(bucket.askedAt)}.`;
}

/** Then there is no bucket to ask, and nothing to bring back. */
function isNotSetUp({ verdict }: PageModel): boolean {
  return verdict.problem?.code === 'B2_NOT_SET_UP';
}

function empty(model: PageModel): string {
  const { bucket, verdict } = model;
  if (bucket.askedAt !== undefined || isNotSetUp(model)) return 'There are none yet.';
  return bucket.problem === undefined && verdict.standing !== 'broken'
    ? 'The bucket is being asked for them.'
    : 'They cannot be shown, because the bucket could not be asked.';
}

/** A sign for those who cannot see its colour. */
const SIGNS: Readonly<Record<Standing, string>> = {
  works: 'M5 12.5l4.5 4.5L19 7.5',
  made: 'M12 11v6M12 7.5v.5',
  waiting: 'M12 7v5l3 2',
  attention: 'M12 7v6M12 16.5v.5',
  broken: 'M8 8l8 8M16 8l-8 8',
};

/** What stands above what is wrong. */
const LABELS: Partial<Readonly<Record<Standing, string>>> = {
  attention: 'Needs your attention',
  broken: 'Backups do not work as they should',
};

/** The verdict as a box. */
export function verdict({ standing, title, text, todo, problem }: Verdict): Html {
  return html`<div class="verdict ${standing}">
<svg viewBox="0 0 24 24" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="2" stroke-linecap="round" stroke-linejoin="round"><circle cx="12" cy="12" r="10.5"/><path d="${SIGNS[standing]}"/></svg>
<div>${LABELS[standing] !== undefined && html`<p class="label">${LABELS[standing]}</p>`}<h1>${title}</h1><p>${text}</p>
${todo !== undefined && html`<p class="todo">${todo}</p>`}
${problem !== undefined && html`<details class="keep"><summary>The exact message</summary><p>${problem.message} <small>(${problem.code})</small></p></details>`}
</div></div>`;
}

function facts(model: PageModel, words: Words): Html {
  const { last, next: following, proof, keys, space, running } = model;
  const all: [string, string, (string | undefined)?][] = [];
  if (running !== undefined)
    all.push(['Running now', 'A backup', capital(PHASES[running.phase] ?? 'begins')]);
  all.push([
    'Last backup',
    last === undefined ? 'None yet' : words.short(last.at),
    model.lacks && `Lacks ${model.lacks}`,
  ]);
  if (following !== undefined)
    all.push(['Next backup', nextOf(following.at, model, words), `Schedule: ${following.schedule}`]);
  all.push(proofOf(proof, words));
  if (space !== undefined)
    all.push([
      'Stored',
      formatBytes(space.bytes),
      `${count(space.snapshots, 'snapshot')} in ${space.bucket}`,
    ]);
  if (keys !== undefined)
    all.push([
      'Opens with',
      keys.opensWith.length === 0
        ? keys.encrypted
          ? 'Nothing yet'
          : 'No key needed: not encrypted'
        : capital(keys.opensWith.join(' or ')),
      keys.encrypted ? 'Encrypted before it leaves' : 'Anyone who reaches the bucket can read it',
    ]);
  const others = model.machines.filter(({ thisMachine }) => !thisMachine);
  if (others.length > 0) {
    const silent = others.filter((one) => one.silent).length;
    all.push([
      'Other machines',
      `${others.length} in this bucket`,
      silent > 0 ? `${silent} silent for 30 days` : undefined,
    ]);
  }
  return html`<section aria-label="What is known"><dl class="facts">${all.map(
    ([name, value, more]) =>
      html`<div><dt>${name}</dt><dd>${value}${more !== undefined && html` <small>${more}</small>`}</dd></div>`,
  )}</dl></section>`;
}

function nextOf(at: string, model: PageModel, words: Words): string {
  if (model.running !== undefined) return 'Now';
  return Date.parse(at) <= Date.parse(model.at) ? 'Within a minute' : words.short(at);
}

function proofOf(proof: PageModel['proof'], words: Words): [string, string, (string | undefined)?] {
  const { restoredAt, restoreProblem, readAt, booted } = proof;
  const read = readAt === undefined ? [] : [`Stored data read again: ${words.short(readAt)}`];
  const started =
    booted === undefined ? [] : [`OpenClaw ${booted.version} started on it: ${words.short(booted.at)}`];
  const all = [...started, ...read];
  const more = restoreProblem ?? (all.length === 0 ? undefined : all.join('. '));
  return ['Last trial restore', restoredAt === undefined ? 'None yet' : words.short(restoredAt), more];
}

function notes({ keys, notes: all, cutOff, machines }: PageModel): Html {
  const said = [
    ...(cutOff ? ['An upload was cut off. The next backup finishes it by itself.'] : []),
    ...(keys?.warning === undefined ? [] : [`${capital(keys.warning)}.`]),
    ...all.map((note) => capital(note)),
  ];
  return html`${said.map((note) => html`<p class="note">${note}</p>`)}${machines.length > 1 && machinesOf(machines)}`;
}

function machinesOf(machines: PageModel['machines']): Html {
  return html`<details class="keep"><summary>${count(machines.length, 'machine')} in this bucket</summary><div class="wide"><table>
<thead><tr><th scope="col">Machine</th><th scope="col" class="number">Snapshots</th><th scope="col" class="number">Stored</th><th scope="col" class="number">Newest</th></tr></thead>
<tbody>${machines.map(
    (
      one,
    ) => html`<tr><th scope="row"><bdi>${one.name}</bdi>${one.thisMachine && ' (this one)'}</th><td class="number">${one.snapshots}</td>
<td class="number">${formatBytes(one.storedBytes)}</td><td class="number">${one.lastSnapshotAt?.slice(0, 10) ?? 'none'}</td></tr>`,
  )}</tbody></table></div></details>`;
}

/** What can be done from here: words for the agent, a line for those who want it exact. */
function next(model: PageModel, chat: Chat): Html {
  const hasSome = model.days.some(({ snapshots }) => snapshots.some(({ usable }) => usable));
  const asks: [string, string][] = isNotSetUp(model)
    ? [['“Where do I set up backups?”', '/b2 setup']]
    : hasSome
      ? [
          ['“Put MEMORY.md back as it was yesterday.”', '/b2 restore yesterday --path MEMORY.md'],
          ['“What changed since yesterday?”', '/b2 diff yesterday'],
          ['“Back up now.”', '/b2 backup'],
        ]
      : [['“Back up now.”', '/b2 backup']];
  return html`<section aria-labelledby="next"><div class="head"><h2 id="next">What you can do</h2>
<button type="button" class="needs-script" data-session="${chat.sessionKey}" data-agent="${chat.agentId}">Open the chat</button></div>
<p>Say it to your agent, or type the line into a chat. Nothing is changed before you have seen what would change.</p>
<div class="says">${asks.map(([said, typed]) => say(said, typed))}</div>
</section>`;
}

function day({ date, name, snapshots }: Day): Html {
  return html`<h3>${date === '' ? name : html`<time datetime="${date}">${name}</time>`}</h3><ol class="time">${snapshots.map(row)}</ol>`;
}

function whatOf({ what, before, usable }: Shown): Html | string {
  if (what !== undefined) return html`<bdi>${what}</bdi>`;
  return before === undefined && usable ? 'The first one: everything' : 'What changed is not known';
}

function row(one: Shown): Html {
  const stored = one.storedBytes === undefined ? undefined : `${formatBytes(one.storedBytes)} new`;
  return html`<li><time datetime="${one.at}">${one.time}</time><div class="what"><a href="?snapshot=${encodeURIComponent(one.id)}">${one.made}</a>
${one.lacks !== undefined && html`<span class="badge warn">incomplete</span>`}
${one.problem !== undefined && html`<span class="badge warn">${one.usable ? 'with care' : 'cannot be used here'}</span>`}
${one.machine !== undefined && html`<span class="badge">other machine <bdi>${one.machine}</bdi></span>`}
<div class="muted">${whatOf(one)}</div></div>
<div class="size">${stored !== undefined && html`${stored}<br>`}${formatBytes(one.bytes)}</div></li>`;
}
