/** A recovery code: shown once, as text and as a QR code, and typed back in part. */
import { renderUnicodeCompact } from 'uqr';
import type { KeyInfo, Settings } from '../../index.js';
import type { Engine } from '../engine.js';
import { toBackupError } from '../errors.js';
import type { Operation } from '../operation.js';
import type { Prompts } from './prompts.js';

/** How many groups are typed back, and how often one may be wrong before the code is shown again. */
const GROUPS = 2;
const TRIES = 3;

/** Shows the code until two of its groups were typed. `random` gives a whole number below its argument. */
export async function confirmCode(
  prompts: Prompts,
  code: string,
  random: (limit: number) => number,
): Promise<void> {
  show(prompts, code);
  const groups = code.split('-');
  const first = random(groups.length);
  const second = (first + 1 + random(groups.length - 1)) % groups.length;
  for (const at of [first, second].slice(0, GROUPS).sort((a, b) => a - b)) {
    for (let tries = 1; ; tries += 1) {
      const typed = await prompts.text(`To be sure that you have it: group ${at + 1} of the code`);
      if (typed.toUpperCase() === groups[at]) break;
      prompts.problem(
        `That is not group ${at + 1}. Count from the left: the groups are what stands between the hyphens.`,
      );
      if (tries % TRIES === 0) show(prompts, code);
    }
  }
}

function show(prompts: Prompts, code: string): void {
  prompts.note('Recovery code', [
    ...renderUnicodeCompact(code, { border: 2 }).split('\n'),
    '',
    code,
    '',
    'Print it, write it down or photograph it, and keep it away from this machine.',
    'It opens every backup when the passphrase and the key are lost, and is stored',
    'nowhere. "b2-backup key recovery" makes another one at any time.',
  ]);
}

/** How long the removal of a slot waits for a push, in milliseconds: longer than most take. */
const WAIT_MS = 600_000;

/** Removes the slots of a recovery code that nobody saw: nobody can use it, or somebody who should not. Says what came of it. */
export async function withoutCode(
  engine: Pick<Engine, 'removeKey'>,
  settings: Settings,
  slots: readonly KeyInfo[],
  operation: Operation,
): Promise<string[]> {
  const said: string[] = [];
  for (const { id } of slots) {
    try {
      const { warnings } = await engine.removeKey(settings, id, { force: true, waitMs: WAIT_MS }, operation);
      said.push(...warnings, 'The recovery code was taken back, since nobody saw it.');
    } catch (error) {
      const short = id.slice(0, 8);
      said.push(
        `The recovery code that nobody saw stays (${toBackupError(error).message}): b2-backup key remove ${short}`,
      );
    }
  }
  return said;
}
