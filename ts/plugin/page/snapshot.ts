/** The view of one snapshot: what is in it, what was new in it, and what is different now. Pure. */
import { count, formatBytes } from '../../text.js';
import { type Content, MOST } from './contents.js';
import { differences } from './diff.js';
import type { Differences } from './differences.js';
import type { View } from './document.js';
import { type Html, html } from './html.js';
import type { Looked } from './kept.js';
import type { PageModel, Shown } from './model.js';
import { failed, path, say, waiting } from './parts.js';
import { capital, Words } from './when.js';

/** While something is asked for, the page looks again after so many milliseconds. */
const SOON_MS = 1_500;

/** What was looked up for it. */
export interface SnapshotLook {
  readonly id: string;
  readonly model: PageModel;
  readonly holds: Looked<readonly Content[]>;
  /** With which it is compared: the one before, by its id, or the present. */
  readonly with: string | 'live' | undefined;
  readonly differs: Looked<Differences> | undefined;
}

/** The view of one snapshot. */
export function snapshotView({ id, model, holds, with: other, differs }: SnapshotLook): View {
  const all = model.days.flatMap(({ snapshots }) => snapshots);
  const one = all.find((snapshot) => snapshot.id === id);
  const words = new Words({ now: new Date(model.at), timeZone: model.timeZone });
  const when = one === undefined ? id : capital(words.when(one.at));
  const isAsking = holds.asking || differs?.asking === true || (one === undefined && model.bucket.asking);
  return {
    title: `Backups: ${when}`,
    ...(isAsking ? { againMs: SOON_MS } : {}),
    body: html`${path(when)}
<main><header><h1>${when}</h1>${one !== undefined && about(one)}</header>
${one?.usable === true && back(one, words)}
<section aria-labelledby="changes"><h2 id="changes">Differences</h2>
${one !== undefined && choice(one, other)}
${differs !== undefined && changes(differs, other)}
${differs === undefined && html`<p class="muted">There is no older snapshot of this machine to compare it with.</p>`}</section>
<section aria-labelledby="holds"><h2 id="holds">What is in it</h2>${holding(holds)}</section>
</main>`,
  };
}

function about(one: Shown): Html {
  const { made, host, files, bytes, storedBytes, machine, lacks, problem, id } = one;
  const facts = [made, count(files, 'file'), formatBytes(bytes)];
  if (storedBytes !== undefined) facts.push(`${formatBytes(storedBytes)} stored for it`);
  return html`<p class="muted">${facts.join(' · ')}</p>
${host !== undefined && html`<p class="muted">Made by <bdi>${host}</bdi></p>`}
${machine !== undefined && html`<p class="note">It was made by another machine: <bdi>${machine}</bdi>.</p>`}
${lacks !== undefined && html`<p class="note">It is incomplete: it lacks <bdi>${lacks}</bdi>.</p>`}
${problem !== undefined && html`<p class="note">${problem}</p>`}
<p><small>Its name: <code>${id}</code></small></p>`;
}

/** What people most often miss. */
const MEMORY = 'workspace/MEMORY.md';

function back({ id, at, said }: Shown, words: Words): Html {
  const when = words.when(at);
  return html`<section aria-labelledby="back"><h2 id="back">Go back to it</h2>
<p>Say it to your agent, or type the line into a chat. You see first what would change, and have to confirm it.</p>
${say(`“Go back to how things were ${when}.”`, `/b2 restore ${said}`, { snapshot: id, title: `Go back to ${when}` })}
${say(`“Put MEMORY.md back as it was ${when}.”`, `/b2 restore ${said} --path MEMORY.md`, { snapshot: id, path: MEMORY, title: `MEMORY.md as it was ${when}` })}
</section>`;
}

function choice({ id, before }: Shown, other: string | undefined): Html {
  const link = (to: string, name: string): Html => {
    const isChosen = to === 'live' ? other === 'live' : other !== 'live';
    const address = `?snapshot=${encodeURIComponent(id)}${to === 'live' ? '&with=live' : ''}`;
    return html`<li><a href="${address}"${isChosen && html` aria-current="page"`}>${name}</a></li>`;
  };
  return html`<nav aria-label="Compare with"><ul class="tabs">${before !== undefined && link(before, 'To the one before')}${link('live', 'To now')}</ul></nav>`;
}

function changes({ value, problem, asking }: Looked<Differences>, other: string | undefined): Html {
  if (value === undefined)
    return problem === undefined || asking ? waiting('It is being compared.') : failed(problem);
  const none = other === 'live' ? 'Nothing is different now.' : 'Nothing was different in the one before.';
  return html`<p class="muted">${other === 'live' ? 'From this snapshot to now:' : 'From the one before to this one:'}</p>${differences(value, none)}`;
}

function holding({ value, problem, asking }: Looked<readonly Content[]>): Html {
  if (value === undefined)
    return problem === undefined || asking ? waiting('It is being fetched.') : failed(problem);
  return value.length === 0 ? html`<p class="muted">It is empty.</p>` : html`${value.map(content)}`;
}

function content({ name, files, bytes, entries }: Content): Html {
  const more = files - entries.length;
  return html`<details class="keep content"><summary><span>${name}</span> <small>${count(files, 'file')}, ${formatBytes(bytes)}</small></summary>
<div class="wide"><table><caption class="hidden">${name}</caption><thead><tr><th scope="col">File</th><th scope="col" class="number">Size</th></tr></thead>
<tbody>${entries.map(
    (one) =>
      html`<tr><th scope="row"><a href="?file=${encodeURIComponent(one.path)}"><bdi>${one.path}</bdi></a>${one.database && html` <span class="badge">database</span>`}</th><td class="number">${formatBytes(one.bytes)}</td></tr>`,
  )}</tbody></table></div>
${more > 0 && html`<p class="muted">and ${count(more, 'smaller file')}: only the largest ${MOST} are named here</p>`}</details>`;
}
