/** A set-up in a world of its own: a fake of B2's native API, folders for its buckets, the real engine, somebody who answers. */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Settings } from '../index.js';
import { main } from '../ts/cli/main.ts';
import { createEngine, type Engine } from '../ts/engine.ts';
import { BackupError } from '../ts/errors.ts';
import { createIsolate } from '../ts/isolate.ts';
import { cancelled, type Prompts } from '../ts/setup/prompts.ts';
import { saveToFile } from '../ts/setup/save.ts';
import { FakeB2 } from './fake-b2.ts';
import { setupWorld, type World, world } from './support.ts';

/** What somebody answers: to a question that has these words, this; a function is asked with all that was shown. */
export type Answers = readonly (readonly [
  question: string,
  answer: string | boolean | ((shown: string) => string),
])[];

const WORKER = fileURLToPath(new URL('../dist/worker.js', import.meta.url));

/** Ctrl-C. */
export const STOP = '\u0003';

/** What was done. */
export interface Done {
  readonly exit: number;
  readonly out: string;
  readonly err: string;
  /** Everything that was asked and shown, and how often something was wrong. */
  readonly shown: string;
  readonly problems: readonly string[];
  /** Questions that nobody was asked. */
  readonly left: number;
}

/** A computer with an OpenClaw on it, and a B2 account. */
export class Place {
  readonly directory = mkdtempSync(join(tmpdir(), 'b2-setup-'));
  readonly state = join(this.directory, 'state');
  readonly config = join(this.state, 'openclaw.json');
  readonly b2: FakeB2;

  private constructor(b2: FakeB2) {
    this.b2 = b2;
    b2.isEmpty = (name) => this.files(name) === 0;
    mkdirSync(join(this.state, 'workspace'), { recursive: true });
    writeFileSync(join(this.state, 'workspace', 'MEMORY.md'), 'remember the milk\n');
    writeFileSync(this.config, '{\n  // mine\n  gateway: { port: 18789 },\n}\n');
  }

  static async make(): Promise<Place> {
    return new Place(await FakeB2.start());
  }

  remove(): void {
    this.b2.close();
    rmSync(this.directory, { recursive: true, force: true });
  }

  /** How many objects are in a bucket of B2's. */
  files(name: string): number {
    const folder = join(this.directory, 'b2', name);
    if (!existsSync(folder)) return 0;
    return readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile())
      .length;
  }

  text(): string {
    return readFileSync(this.config, 'utf8');
  }

  folder(name: string): string {
    return pathToFileURL(join(this.directory, name)).href;
  }

  write(name: string, content: unknown): string {
    const path = join(this.directory, name);
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
    return path;
  }

  /** The real engine. Buckets of B2's are folders, and open only to a key that B2 has. */
  engine(): Engine {
    const real = createEngine({ runIsolated: createIsolate({ workerPath: WORKER }) });
    const there = (settings: Settings): Settings => {
      const { bucket = '', keyId = '', applicationKey = '' } = settings;
      if (bucket.startsWith('file:')) return settings;
      const key = this.b2.keys.get(keyId);
      if (key?.secret !== applicationKey) throw new BackupError('no such key', { code: 'B2_CREDENTIALS' });
      const found = this.b2.bucket(bucket);
      const fits = key.buckets === undefined || key.buckets.includes(found?.bucketId ?? '');
      if (found === undefined || !fits) throw new BackupError('no such bucket', { code: 'B2_BUCKET' });
      if (!`${settings.prefix}/`.startsWith(key.namePrefix ?? '')) {
        throw new BackupError('not below the prefix of the key', { code: 'B2_CONFIG' });
      }
      mkdirSync(join(this.directory, 'b2', bucket), { recursive: true });
      return { ...settings, bucket: this.folder(`b2/${bucket}`) };
    };
    const mapped = Object.entries(real).map(([name, operation]) => [
      name,
      (first: unknown, ...rest: unknown[]) =>
        typeof first === 'object' && first !== null && 'stateDir' in first
          ? (operation as (...args: unknown[]) => unknown)(there(first as Settings), ...rest)
          : (operation as (...args: unknown[]) => unknown)(first, ...rest),
    ]);
    return Object.fromEntries(mapped) as Engine;
  }

  /** Runs `setup` with these options. */
  async setup(
    line: string,
    { answers, input = '', env = {}, adapt = (deps) => deps }: SetupRun = {},
  ): Promise<Done> {
    const person = answers === undefined ? undefined : new Person(answers);
    const deps = adapt({
      ...world(this.engine(), env),
      fileExists: (path) => path === this.config,
      cwd: this.directory,
      setup: setupWorld({
        ...(person === undefined ? {} : { prompts: async () => person }),
        b2: { fetch, apiUrl: this.b2.url, now: Date.now, sleep: async (ms) => void this.slept.push(ms) },
        save: saveToFile,
        readInput: async () => input,
        readFile: (path) => readFileSync(path, 'utf8'),
      }),
    });
    const exit = await main(['setup', '--state-dir', this.state, ...line.split(' ').filter(Boolean)], deps);
    return {
      exit,
      out: deps.stdout.text,
      err: deps.stderr.text,
      shown: person?.shown ?? '',
      problems: person?.problems ?? [],
      left: person?.left ?? 0,
    };
  }

  /** How long was waited, in milliseconds. */
  readonly slept: number[] = [];
}

export interface SetupRun {
  readonly answers?: Answers;
  readonly input?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly adapt?: (deps: World) => World;
}

/** Somebody at the terminal. What is not in the list is answered with what is offered first. */
class Person implements Prompts {
  shown = '';
  readonly problems: string[] = [];
  readonly #answers: [string, Answers[number][1]][];

  constructor(answers: Answers) {
    this.#answers = answers.map(([question, answer]) => [question, answer]);
  }

  get left(): number {
    return this.#answers.length;
  }

  intro = (text: string): void => this.#show(text);
  note = (title: string, lines: readonly string[]): void => this.#show(title, ...lines);
  done = (text: string): void => this.#show(text);
  problem = (text: string): void => {
    this.problems.push(text);
    this.#show(text);
  };
  text = async (question: string, { initial }: { readonly initial?: string } = {}): Promise<string> =>
    String(this.#answer(question, initial));
  secret = async (question: string): Promise<string> => String(this.#answer(question, undefined));
  choose: Prompts['choose'] = async (question, choices) => {
    this.#show(...choices.map(({ label, hint }) => `${label} (${hint})`));
    const answer = this.#answer(question, choices[0]?.value);
    const choice = choices.find(({ value }) => value === answer);
    if (choice === undefined)
      throw new Error(`nothing to choose is called ${answer}: ${JSON.stringify(choices)}`);
    return choice.value;
  };
  yes = async (question: string, initial: boolean): Promise<boolean> =>
    this.#answer(question, initial) === true;

  #answer(question: string, otherwise: string | boolean | undefined): string | boolean {
    this.#show(question);
    const at = this.#answers.findIndex(([words]) => question.includes(words));
    const [found] = at === -1 ? [] : this.#answers.splice(at, 1);
    const answer = found === undefined ? otherwise : found[1];
    if (answer === undefined) throw new Error(`nobody knows an answer to "${question}"`);
    if (answer === STOP) throw cancelled();
    return typeof answer === 'function' ? answer(this.shown) : answer;
  }

  #show(...lines: string[]): void {
    this.shown += lines.map((line) => `${line}\n`).join('');
  }
}

/** The group of the recovery code that is asked for, as it was shown. */
export function askedGroup(shown: string): string {
  const code = /^([0-9A-Z]{5}(?:-[0-9A-Z]{5}){6})$/m.exec(shown)?.[1] ?? '';
  const asked = [...shown.matchAll(/group (\d) of the code/g)].at(-1)?.[1];
  return code.split('-')[Number(asked) - 1] ?? 'no such group';
}
