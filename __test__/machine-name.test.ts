/** What a machine is called, and how that is shown. */
import { describe, expect, it } from 'vitest';
import { hostName, machineOf, namesIn } from '../ts/machine-name.ts';

describe('the name of a machine', () => {
  it.each([
    ['anna-laptop', 'anna-laptop'],
    ['Annas-MacBook-Pro.local', 'Annas-MacBook-Pro'],
    ['localhost', undefined],
    ['LOCALHOST.localdomain', undefined],
    ['', undefined],
    ['x'.repeat(80), 'x'.repeat(64)],
  ])('is the host name %j without its domain', (host, name) => {
    expect(hostName(() => host)).toBe(name);
  });

  it('stands beside the id, which commands take', () => {
    expect(machineOf({ machine: 'b6454140', machineName: 'anna-laptop' })).toBe('anna-laptop (b6454140)');
    expect(machineOf({ machine: 'b6454140' })).toBe('b6454140');
    expect(machineOf({ machine: 'b6454140', machineName: '' })).toBe('b6454140');
    expect(machineOf({ machine: 'b6454140' }, 'this')).toBe('b6454140 (this)');
    expect(machineOf({ machine: 'b6454140', machineName: 'a' }, 'this')).toBe('a (b6454140, this)');
  });

  it('is what the newest snapshot says', () => {
    const names = namesIn([
      { machine: 'a', machineName: 'old' },
      { machine: 'b' },
      { machine: 'a', machineName: 'new' },
    ]);
    expect([...names]).toEqual([
      ['a', 'new'],
      ['b', undefined],
    ]);
  });

  it('is no command to a terminal, and no wall of text, whoever wrote it', () => {
    const shown = machineOf({ machine: 'b6454140', machineName: `\u001b[2J${'😀'.repeat(100)}` });
    expect(shown).not.toContain('\u001b');
    expect([...shown].length).toBeLessThan(64 + 20);
  });
});
