import { describe, expect, it } from 'vitest';
import { hideKeys } from '../ts/plugin/hide.ts';

const HIDDEN = '[hidden: looks like a key]';
const word = (length: number): string => 'a1B2c3D4'.repeat(16).slice(0, length);

describe('what looks like a key', () => {
  it.each([
    `AKIA${'ABCD2345'.repeat(2)}`,
    `K005${word(27)}`,
    `AIza${word(35)}`,
    `ghp_${word(36)}`,
    `github_pat_${word(60)}`,
    `glpat-${word(20)}`,
    `npm_${word(36)}`,
    `hf_${word(34)}`,
    `sk-proj-${word(48)}`,
    `sk-ant-oat01-${word(90)}`,
    `sk_live_${word(24)}`,
    `xoxb-123456789012-${word(24)}`,
    `123456789:AA${word(33)}`,
    `eyJhbGciOiJIUzI1NiJ9.${word(20)}.${word(20)}`,
    'eyJhbGciOiJIUzI1NiJ9.abcdefgh.x',
    word(64),
  ])('%s is hidden', (key) => {
    expect(hideKeys(`+my key: ${key}\n`)).not.toContain(key);
    expect(hideKeys(`+${key}`)).toBe(`+${HIDDEN}`);
  });

  it.each([
    ['+password: hunter2', 'hunter2'],
    ['-API_KEY="hunter2"', 'hunter2'],
    [' the password is hunter2', 'hunter2'],
    ['+{"applicationKey": "hunter2"}', 'hunter2'],
    ['+postgres://ada:hunter2@db.example.org/x', 'hunter2'],
    ['+a.jwt-eyJhbGciOiJIUzI1NiJ9.abcdefgh.sign', 'sign'],
    ['+Authorization: Bearer hunter2hunter2', 'hunter2'],
  ])('is hidden in %s', (line, secret) => {
    const hidden = hideKeys(line);
    expect(hidden).not.toContain(secret);
    expect(hidden[0]).toBe(line[0]);
  });

  it('hides a private key line by line, and goes on after it', () => {
    const block = [
      '+-----BEGIN OPENSSH PRIVATE KEY-----',
      '+b3BlbnNzaA==',
      '+AAAA',
      '+-----END OPENSSH PRIVATE KEY-----',
    ];
    expect(hideKeys(['@@ -1 +1 @@', ...block, '+after'].join('\n')).split('\n')).toEqual([
      '@@ -1 +1 @@',
      ...block.map(() => `+${HIDDEN}`),
      '+after',
    ]);
    // Where a hunk ends within a block, the next one is read as text again.
    expect(hideKeys(`${block[0]}\n@@ -9 +9 @@\n+text`)).toBe(`+${HIDDEN}\n@@ -9 +9 @@\n+text`);
  });

  /** Where patterns look to the end of the line from each of many places. */
  it.each([
    ['spaces', ' '],
    ['starts of tokens', 'eyJ-'],
    ['words before values', 'password '],
    ['beginnings of keys', 'PRIVATE KEY '],
    ['colons', ':'],
    ['addresses', '://a:'],
    ['letters', 'a'],
  ])('is hidden soon in hostile lines of %s', (_what, part) => {
    const long = part.repeat(Math.ceil(65_536 / part.length));
    for (const begin of ['', '-----BEGIN ', 'bearer', 'token'])
      expect(hideKeys(`+${begin}${long}\n+tea`)).toMatch(/^\+\[hidden: looks like a key\]\n\+(?:tea|\[)/);
    const short = `+${part.repeat(Math.floor(4_000 / part.length))}\n`;
    expect(hideKeys(`${short.repeat(60)}+password: hunter2`)).not.toContain('hunter2');
  });

  it('is hidden with a line that is too long to be looked at', () => {
    const line = 'tea and milk, '.repeat(293).slice(0, 4_096);
    expect(hideKeys(`+${line}`)).toBe(`+${line}`);
    expect(hideKeys(`+${line}.`)).toBe(`+${HIDDEN}`);
    expect(hideKeys(`-password:${' '.repeat(80)}hunter2`)).toBe(`-${HIDDEN}`);
    expect(hideKeys(`-password:${' '.repeat(60)}hunter2`)).not.toContain('hunter2');
    const key = `sk-${'ab-'.repeat(1_300)}`;
    expect(hideKeys(`+${key}`)).toBe(`+${HIDDEN}`);
    // A block of a private key may begin and end in such lines.
    const block = [`+-----BEGIN ${'X'.repeat(5_000)}`, '+AAAA', `+${line}, -----END X-----`, '+after'];
    expect(hideKeys(block.join('\n'))).toBe(`${`+${HIDDEN}\n`.repeat(3)}+after`);
  });

  it('leaves other text as it is', () => {
    const text =
      '@@ -1,2 +1,2 @@\n # Memory\n-Ada likes tea at 10:30\n+Ada likes coffee, see https://example.org/a/b?c=1#d\n';
    expect(hideKeys(text)).toBe(text);
    expect(hideKeys('+the secret of her success')).toBe('+the secret of her success');
  });
});
