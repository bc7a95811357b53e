/** What a rollback would let happen, as plain text: people read it before they read how many files there are. Pure. */
import type { RollbackEffect } from '../index.js';
import { printable } from './text.js';

/** What it says before an effect of each weight that people have to know of before they agree. */
export const EFFECTS: ReadonlyMap<string, string> = new Map([
  ['runs', 'What runs'],
  ['allows', 'What is allowed'],
  ['secret', 'Secrets in the configuration'],
]);

/** What would run, be allowed, and become another secret, and the other settings; at most `limit` of each. */
export function formatEffects(effects: readonly RollbackEffect[], limit: number): string[] {
  return [...EFFECTS, ['setting', 'Other settings'] as const].flatMap(([weight, heading]) => {
    const all = effects.filter((effect) => effect.weight === weight);
    const more = all.length - limit;
    return all.length === 0
      ? []
      : [
          `${heading}:`,
          ...all.slice(0, limit).map(({ text }) => `  ${printable(text)}`),
          ...(more > 0 ? [`  and ${more} more`] : []),
        ];
  });
}
