/** What is shown where nothing can be: the service does not run. Pure. */
import { ADVICE } from './advice.js';
import type { View } from './document.js';
import { html } from './html.js';
import { verdict } from './overview.js';

/** The view of a gateway in which the service does not run. */
export function stopped(): View {
  const { what, todo } = ADVICE.B2_NOT_RUNNING;
  return {
    title: `Backups: ${what}`,
    againMs: 5_000,
    body: html`<main>${verdict({
      standing: 'broken',
      title: what,
      text: 'So nothing is backed up, and nothing is known about the backups. While the gateway starts, this is so for a moment.',
      todo,
    })}</main>`,
  };
}
