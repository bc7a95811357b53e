/** Questions at a terminal, so that tests can answer them. */
import process from 'node:process';
import { BackupError } from '../errors.js';

/** One thing to choose. */
export interface Choice<T extends string> {
  readonly value: T;
  readonly label: string;
  readonly hint?: string;
}

/** Whoever answers. Every question throws B2_CANCELLED after Ctrl-C. */
export interface Prompts {
  /** Says what is going to happen. */
  intro(text: string): void;
  /** Shows lines in a box. */
  note(title: string, lines: readonly string[]): void;
  /** Says what was wrong with an answer. */
  problem(text: string): void;
  /** Says that a step is done. */
  done(text: string): void;
  /** A line that shows while it is typed. */
  text(
    question: string,
    options?: { readonly initial?: string; readonly optional?: boolean },
  ): Promise<string>;
  /** A line that does not show. */
  secret(question: string): Promise<string>;
  choose<T extends string>(question: string, choices: readonly Choice<T>[]): Promise<T>;
  yes(question: string, initial: boolean): Promise<boolean>;
}

/** What follows Ctrl-C. */
export function cancelled(): BackupError {
  return new BackupError('cancelled', { code: 'B2_CANCELLED' });
}

/** Questions as OpenClaw itself asks them. */
export async function terminalPrompts(): Promise<Prompts> {
  const clack = await import('@clack/prompts');
  const output = process.stderr;
  const answer = <T>(value: T): Exclude<T, symbol> => {
    if (clack.isCancel(value)) throw cancelled();
    return value as Exclude<T, symbol>;
  };
  const required = (value: string | undefined): string | undefined =>
    (value ?? '').trim() === '' ? 'Please type something, or press Ctrl-C to stop.' : undefined;
  return {
    intro: (text) => clack.intro(text, { output }),
    note: (title, lines) => clack.note(lines.join('\n'), title, { output, format: (line) => line }),
    problem: (text) => clack.log.error(text, { output }),
    done: (text) => clack.log.success(text, { output }),
    text: async (message, { initial, optional = false } = {}) =>
      answer(
        await clack.text({
          message,
          output,
          ...(initial === undefined ? {} : { initialValue: initial }),
          ...(optional ? {} : { validate: required }),
        }),
      )?.trim() ?? '',
    secret: async (message) => answer(await clack.password({ message, output, validate: required })),
    choose: async <T extends string>(message: string, choices: readonly Choice<T>[]) => {
      const options = choices.map(({ value, label, hint }) => ({
        value: value as string,
        label,
        ...(hint === undefined ? {} : { hint }),
      }));
      return answer(await clack.select<string>({ message, options, output })) as T;
    },
    yes: async (message, initialValue) => answer(await clack.confirm({ message, initialValue, output })),
  };
}
