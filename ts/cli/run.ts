/** The real world for `main.ts`. */
import { randomInt } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { availableParallelism, homedir, hostname } from 'node:os';
import process from 'node:process';
import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { setTimeout } from 'node:timers/promises';
import { isatty } from 'node:tty';
import { createEngine } from '../engine.js';
import { readPlugins } from '../loads.js';
import { isThere } from '../places.js';
import { B2_API_URL } from '../setup/b2-api.js';
import { terminalPrompts } from '../setup/prompts.js';
import type { Ask, CliDeps } from './deps.js';
import { Stream } from './stream.js';

export { main } from './main.js';

/** This process, as a command sees it. */
export function systemDeps(): CliDeps & Required<Pick<CliDeps, 'setup'>> {
  const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  // Not `process.stdin.isTTY`, which opens the stream: no small part of a short command.
  const atTerminal = isatty(0) && isatty(2);
  return {
    env: process.env,
    stdout: new Stream(process.stdout),
    stderr: new Stream(process.stderr),
    engine: createEngine(),
    signals: process,
    exit: (code) => process.exit(code),
    now: () => performance.now(),
    date: () => new Date(),
    timeZone: () => Intl.DateTimeFormat().resolvedOptions().timeZone,
    home: homedir(),
    cwd: process.cwd(),
    fileExists: isThere,
    readPlugins,
    version: manifest.version,
    confirm: atTerminal ? confirm : undefined,
    ask: atTerminal ? ask : undefined,
    threads: availableParallelism(),
    setup: {
      prompts: atTerminal ? terminalPrompts : undefined,
      b2: { fetch, apiUrl: B2_API_URL, now: Date.now, sleep },
      // On demand: what edits JSON5 takes longer to load than all the rest of a command.
      save: async (path, edits) => (await import('../setup/save.js')).saveToFile(path, edits),
      random: (limit) => randomInt(limit),
      hostname: hostname(),
      readInput: () => text(process.stdin),
      readFile: (path) => readFileSync(path, 'utf8'),
    },
  };
}

async function sleep(ms: number, signal: AbortSignal | undefined): Promise<void> {
  await setTimeout(ms, undefined, signal === undefined ? {} : { signal });
}

async function confirm(lines: readonly string[]): Promise<boolean> {
  const asker = createInterface({ input: process.stdin, output: process.stderr });
  try {
    process.stderr.write(`${lines.join('\n')}\n`);
    return /^y(es)?$/i.test((await asker.question('Go on? [y/N] ')).trim());
  } finally {
    asker.close();
  }
}

/** A line from the terminal; undefined after Ctrl-C and Ctrl-D. */
const ask: Ask = (question, { hidden }) =>
  new Promise((resolve) => {
    let silent = false;
    const output = new Writable({
      write: (chunk: Uint8Array, _encoding, done) => {
        if (!silent) process.stderr.write(chunk);
        done();
      },
    });
    // Nothing that is typed here belongs into a history.
    const asker = createInterface({ input: process.stdin, output, terminal: true, historySize: 0 });
    const end = (answer: string | undefined): void => {
      asker.off('close', gone);
      asker.close();
      if (silent || answer === undefined) process.stderr.write('\n');
      resolve(answer);
    };
    const gone = (): void => end(undefined);
    asker.once('close', gone);
    asker.once('SIGINT', gone);
    asker.question(question).then(end, gone);
    silent = hidden;
  });
