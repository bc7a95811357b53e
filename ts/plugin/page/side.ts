/** A unified diff as two columns, the version before and this one. Pure. */
import { type Html, html, lines } from './html.js';
import { place } from './parts.js';

type Pair = readonly [before: string | undefined, after: string | undefined];

/** Two columns, where there is room for them. */
export function beside(text: string, name: string): Html {
  return html`<div class="wide roomy" tabindex="0" role="region" aria-label="Versions of ${name} side by side"><table class="beside">
<thead><tr><th scope="col">Before</th><th scope="col">This version</th></tr></thead><tbody>${pairsOf(text).map(row)}</tbody></table></div>`;
}

function row(pair: Pair | string): Html {
  if (typeof pair === 'string') return html`<tr><td class="hunk" colspan="2">${place(pair)}</td></tr>`;
  const [before, after] = pair;
  if (before === after) return html`<tr><td>${lines(before ?? '')}</td><td>${lines(after ?? '')}</td></tr>`;
  return html`<tr><td>${before !== undefined && html`<del>${lines(before)}</del>`}</td><td>${after !== undefined && html`<ins>${lines(after)}</ins>`}</td></tr>`;
}

/** Lines that belong together; the heads of hunks as they are. What was removed stands beside what came for it. */
export function pairsOf(text: string): (Pair | string)[] {
  const pairs: (Pair | string)[] = [];
  let removed: string[] = [];
  let added: string[] = [];
  const flush = (): void => {
    for (let at = 0; at < Math.max(removed.length, added.length); at += 1)
      pairs.push([removed[at], added[at]]);
    removed = [];
    added = [];
  };
  for (const line of text.replace(/\n$/, '').split('\n')) {
    const content = line.slice(1);
    if (line.startsWith('-')) {
      // What is removed after something was added belongs to the next change.
      if (added.length > 0) flush();
      removed.push(content);
    } else if (line.startsWith('+')) added.push(content);
    else {
      flush();
      pairs.push(line.startsWith(' ') ? [content, content] : line);
    }
  }
  flush();
  return pairs;
}
