/** Running programs as a user does. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';

/** How a program ended and what it said. */
export interface Ended {
  readonly exit: number | null;
  readonly out: string;
  readonly err: string;
}

/** Runs a program with nothing but `env` and the path in its environment, and waits for its end. */
export async function program(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  onError: (text: string) => void = () => {},
): Promise<Ended> {
  const child = spawn(command, args, {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let err = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text;
    onError(text);
  });
  const [exit] = (await once(child, 'close')) as [number | null];
  return { exit, out, err };
}

/** The system's own way to make a terminal. */
export const hasTerminal = process.platform === 'linux' && spawnSync('script', ['--version']).status === 0;

/**
 * Runs a script of Node's at a terminal, where each question is answered with a line; a function makes it of all that
 * showed. A question is known by words in what showed since the last answer, or by a function of that. Everything that
 * shows is returned.
 */
export async function terminal(
  args: readonly string[],
  env: NodeJS.ProcessEnv,
  answers: readonly (readonly [
    question: string | ((unseen: string) => boolean),
    answer: string | ((shown: string) => string),
  ])[],
): Promise<{ exit: number | null; shown: string }> {
  const command = [process.execPath, ...args].map((word) => `'${word}'`).join(' ');
  // Without a terminal of its own `script` makes one without a width.
  const line = `stty cols 100 rows 60; exec ${command}`;
  const child = spawn('script', ['-qefc', line, '/dev/null'], {
    env: { PATH: process.env['PATH'], TERM: 'xterm', ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const open = [...answers];
  let shown = '';
  let unseen = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text;
    unseen += text;
    const [question, answer] = open[0] ?? [];
    if (question === undefined || answer === undefined) return;
    const asked = typeof question === 'string' ? unseen.includes(question) : question(unseen);
    if (!asked) return;
    unseen = '';
    open.shift();
    child.stdin.write(`${typeof answer === 'function' ? answer(shown) : answer}\r`);
  });
  const [exit] = (await once(child, 'close')) as [number | null];
  return { exit, shown };
}
