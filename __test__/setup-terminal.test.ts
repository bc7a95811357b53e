/** Setup at a real terminal: what is typed as a secret does not show, and Ctrl-C leaves nothing. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addon } from './addon-support.ts';
import { KEY } from './fake-b2.ts';
import { hasTerminal, terminal } from './program-support.ts';
import { askedGroup, Place } from './setup-support.ts';

const SCRIPT = fileURLToPath(new URL('./setup-at-terminal.mjs', import.meta.url));
const PASSPHRASE = 'marble cactus velvet ferry pigeon';
const DOWN = '\u001b[B';
const CTRL_C = '\u0003';

let place: Place;
beforeEach(async () => {
  place = await Place.make();
});
afterEach(() => place.remove());

const run = (args: readonly string[], answers: Parameters<typeof terminal>[2]) =>
  terminal(
    [SCRIPT, '--state-dir', place.state, ...args],
    { HOME: place.directory, TZ: 'UTC', TEST_B2_API: place.b2.url },
    answers,
  );

/** What is in the box of the recovery code, without the box. */
const plain = (shown: string): string =>
  stripVTControlCharacters(shown)
    .split(/\r?\n/)
    .map((line) => line.replace(/^│ +| *│?$/g, ''))
    .join('\n');

describe.skipIf(addon === undefined || !hasTerminal)('setup at a terminal (needs script)', () => {
  it('asks, hides what is secret, and ends with the proof', async () => {
    const folder = join(place.directory, 'disk');
    // The frame of the first question shows once more when it is answered: only another number is another question.
    let last: string | undefined;
    const asked = (unseen: string): string | undefined =>
      [...plain(unseen).matchAll(/group (\d) of the code/g)].at(-1)?.[1];
    const asksForAnother = (unseen: string): boolean => ![undefined, last].includes(asked(unseen));
    const group = (shown: string): string => {
      last = asked(shown);
      return askedGroup(plain(shown));
    };
    const { exit, shown } = await run(
      [],
      [
        ['Where do the backups go?', `${DOWN}${DOWN}`],
        ['Which folder?', folder],
        ['What encrypts', DOWN],
        ['Passphrase (it does not show)', PASSPHRASE],
        ['Once more', PASSPHRASE],
        ['Where are the key', ''],
        [asksForAnother, group],
        [asksForAnother, group],
      ],
    );
    expect({ exit, end: plain(shown).trimEnd().split('\n').at(-1) }).toEqual({
      exit: 0,
      end: 'Proven: your backup restores.',
    });
    expect(plain(shown)).not.toContain(PASSPHRASE.slice(0, 3));
    expect(shown).toContain('▄▄▄▄▄');
    expect(readFileSync(place.config, 'utf8')).toContain(PASSPHRASE);
  });

  it('hides the key, and takes back what was made when Ctrl-C is typed', async () => {
    const before = place.text();
    const { exit, shown } = await run(
      [],
      [
        ['Where do the backups go?', ''],
        ['Key id', KEY.id],
        ['Application key', KEY.secret],
        ['Make a key', ''],
        ['Its name', ''],
        ['Free the space', CTRL_C],
      ],
    );
    expect({ exit, shown: plain(shown) }).toEqual({
      exit: 1,
      shown: expect.stringContaining('b2-backup: cancelled (B2_CANCELLED)'),
    });
    expect(plain(shown)).toContain(KEY.id);
    expect(plain(shown)).not.toContain(KEY.secret.slice(0, 6));
    expect(place.b2.calls).toContain('b2_create_bucket');
    expect(place.b2.buckets.size).toBe(0);
    expect([...place.b2.keys.keys()]).toEqual([KEY.id]);
    expect(place.text()).toBe(before);
    expect(existsSync(join(place.state, 'b2-backup', 'machine'))).toBe(false);
  });
});
