import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ProgressLine } from '../ts/cli/progress-line.ts';
import {
  count,
  createStyle,
  formatBytes,
  formatCount,
  formatDuration,
  formatTime,
  forTerminal,
  printable,
  table,
  wantsColour,
} from '../ts/cli/render.ts';
import { printableText } from '../ts/text.ts';
import { Capture } from './support.ts';

describe('figures', () => {
  it.each([
    [0, '0 B'],
    [999, '999 B'],
    [1000, '1.0 kB'],
    [12_345_678, '12.3 MB'],
    [999_949, '999.9 kB'],
    [999_951, '1.0 MB'],
    [5e12, '5.0 TB'],
  ])('%d bytes are %s', (bytes, text) => expect(formatBytes(bytes)).toBe(text));

  it.each([
    [0, '0.0 s'],
    [440, '0.4 s'],
    [9_949, '9.9 s'],
    [9_950, '10 s'],
    [59_499, '59 s'],
    [59_600, '1 min 00 s'],
    [185_000, '3 min 05 s'],
    [7_620_000, '2 h 07 min'],
  ])('%d ms are %s', (ms, text) => expect(formatDuration(ms)).toBe(text));

  it('counts', () => {
    expect(formatCount(1_234_567)).toBe('1,234,567');
    expect(count(1, 'file')).toBe('1 file');
    expect(count(1000, 'file')).toBe('1,000 files');
  });

  it('shows times in local time, and what is none as it is', () => {
    expect(formatTime('2026-02-19T00:05:00Z')).toBe('2026-02-19 00:05');
    expect(formatTime('soon\u001b')).toBe('soon\\x1b');
  });
});

describe('text', () => {
  it('disarms what a name could tell the terminal', () => {
    expect(printable('a\u001b[31mb\nc\u202etxt ä 😀')).toBe('a\\x1b[31mb\\x0ac\\u202etxt ä 😀');
  });

  it('disarms what is not seen, or turns a name around, and leaves what languages need', () => {
    for (const point of [0x7f, 0x9b, 0x61c, 0x200b, 0x200f, 0x2066, 0xfeff, 0xe0041]) {
      const shown = printable(`a${String.fromCodePoint(point)}b`);
      expect(shown, point.toString(16)).toMatch(/^a\\(x..|u....|u\{.{5}\})b$/);
    }
    expect(printable('a\ud800b')).toBe('a\\ud800b');
    for (const kept of ['नमस्ते', 'می\u200cخواهم', '👩\u200d🚀', 'naïve']) expect(printable(kept)).toBe(kept);
    expect(printableText('a\tb\n\u001b[2Jc\rd')).toBe('a\tb\n\\x1b[2Jc\\x0dd');
  });

  it('lets only its own colours through to a terminal', () => {
    const line = `${createStyle(true).red('a\u001b[8mb')}\u001b]0;title\u0007`;
    expect(forTerminal(line)).toBe('\u001b[31ma\\x1b[8mb\u001b[39m\\x1b]0;title\\x07');
  });

  it('aligns', () => {
    const rows = [
      ['a', '1'],
      ['bcd', '10'],
    ];
    const lines = table([{ title: 'X' }, { title: 'N', right: true }], rows, createStyle(false));
    expect(lines).toEqual(['X     N', 'a     1', 'bcd  10']);
  });

  it.each([
    [{ isTTY: true }, {}, true],
    [{ isTTY: false }, {}, false],
    [{ isTTY: true }, { NO_COLOR: '1' }, false],
    [{ isTTY: true }, { NO_COLOR: '' }, true],
    [{ isTTY: true }, { TERM: 'dumb' }, false],
  ])('colours %j with %j: %s', (stream, env, expected) => expect(wantsColour(stream, env)).toBe(expected));

  it('paints', () => {
    expect(createStyle(true).red('x')).toBe('\u001b[31mx\u001b[39m');
    expect(createStyle(false).red('x')).toBe('x');
  });
});

describe('the progress line', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  function drawing() {
    const out = new Capture();
    const line = new ProgressLine(out, () => Date.now());
    const shown = () => out.text.split('\r\u001b[2K').at(-1);
    return { out, line, shown };
  }

  it('tells bytes, rate and time left', () => {
    const { line, shown } = drawing();
    line.update({ phase: 'upload', doneBytes: 0, totalBytes: 10e6, doneFiles: 0 });
    expect(shown()).toBe('Uploading: 0 %, 0 B of 10.0 MB');
    vi.advanceTimersByTime(1250);
    line.update({ phase: 'upload', doneBytes: 2.5e6, totalBytes: 10e6, doneFiles: 7 });
    expect(shown()).toBe('Uploading: 25 %, 2.5 MB of 10.0 MB, 7 files, 2.0 MB/s, 3.8 s left');
    line.close();
  });

  it('is redrawn at most ten times a second', () => {
    const { line, out } = drawing();
    for (let at = 0; at < 100; at += 1) {
      line.update({ phase: 'scan', doneBytes: 0, doneFiles: at });
      vi.advanceTimersByTime(10);
    }
    expect(out.text.split('\r').length - 1).toBeLessThanOrEqual(11);
    line.close();
  });

  it('lets the rate fall when nothing comes', () => {
    const { line, shown } = drawing();
    line.update({ phase: 'upload', doneBytes: 0, totalBytes: 10e6, doneFiles: 0 });
    vi.advanceTimersByTime(1250);
    line.update({ phase: 'upload', doneBytes: 1.25e6, totalBytes: 10e6, doneFiles: 0 });
    expect(shown()).toContain('1.0 MB/s');
    vi.advanceTimersByTime(11_250);
    expect(shown()).toContain('100.0 kB/s');
    line.close();
  });

  it('fits the terminal, goes away at the end, and stays away', () => {
    const { line, out, shown } = drawing();
    out.columns = 20;
    line.update({ phase: 'capture', doneBytes: 5e6, totalBytes: 10e6, doneFiles: 1 });
    expect(shown()).toBe('Reading: 50 %, 5.0 ');
    line.close();
    const before = out.text;
    expect(before.endsWith('\r\u001b[2K')).toBe(true);
    vi.advanceTimersByTime(5000);
    expect(out.text).toBe(before);
  });

  it('draws nothing when nothing happened', () => {
    const { line, out } = drawing();
    vi.advanceTimersByTime(5000);
    line.close();
    expect(out.text).toBe('');
  });
});
