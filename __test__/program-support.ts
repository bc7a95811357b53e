/** Running programs as a user does. */
import { spawn } from 'node:child_process';
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
