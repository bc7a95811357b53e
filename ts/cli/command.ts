/** How commands are described: commander, with one way to fail and one look of help. */
import type * as Typed from '@commander-js/extra-typings';
import * as commander from 'commander';
import { BackupError } from '../errors.js';
import { instant } from './instant.js';

/** What every command takes. A type, since commander's own want an index. */
export type GlobalOptions = {
  readonly stateDir?: string | undefined;
  readonly config?: string | undefined;
  /** The prefix that the backups were made for, where they were moved or copied. */
  readonly movedFrom?: string | undefined;
  readonly json?: boolean | undefined;
  readonly quiet?: boolean | undefined;
};

/** The program: the compiler knows what it and its commands take. */
export type Described = Typed.Command<[], GlobalOptions>;

/** The same `Option` as commander's, with types that say what it reads. */
export const Option = commander.Option as unknown as typeof Typed.Option;

/** Options that several commands take. */
export const AS_OF = new Option(
  '--as-of <time>',
  'read the bucket as it was then; see "help undelete"',
).argParser(moment);
export const UNAUTHENTICATED = new Option(
  '--allow-unauthenticated',
  'also take a snapshot that is not encrypted, which anyone who can write to the bucket can have made',
);
export const YES = new Option('-y, --yes', 'do not ask');
export const SHOW_CODE = new Option(
  '--show-code',
  'with --json: write secrets that are made into the output',
);

/** Makes the program that all commands belong to. */
export function createProgram(name: string, print: (text: string) => void): Described {
  const program = new Program(name);
  program.configureOutput({ writeOut: print, writeErr: print });
  program.on('beforeAllHelp', ({ command }: { command: Program }) => command.refuseUnknown());
  program.hook('preAction', (_, command) => (command as Program).refuseEmptyValues());
  return program as unknown as Described;
}

/** What is shown below the options. */
export function examples(...lines: readonly string[]): string {
  return ['', 'Examples:', ...lines.map((line) => `  ${line}`)].join('\n');
}

/** Collects an option that may be given again. */
export function collect(value: string, before: string[] | undefined): string[] {
  return [...(before ?? []), value];
}

/** An instant, as ISO 8601 in UTC. */
export function moment(value: string): string {
  const at = instant(value);
  if (at !== undefined) return at.toISOString();
  throw new commander.InvalidArgumentError('It needs a time such as 2026-11-23 or "2026-11-23 14:05".');
}

/** A percentage from 1 to 100. */
export function percentage(value: string): number {
  const percent = Number(/^(\d{1,3})%?$/.exec(value)?.[1]);
  if (percent >= 1 && percent <= 100) return percent;
  throw new commander.InvalidArgumentError('It needs a percentage from 1% to 100%, such as 5%.');
}

/** Whether commander has printed what was asked for, help or the version, and there is nothing left to do. */
export function isPrinted(error: unknown): boolean {
  return error instanceof commander.CommanderError;
}

class Program extends commander.Command {
  constructor(name?: string) {
    super(name);
    this.exitOverride();
    this.helpOption('-h, --help', 'show this help');
    this.configureHelp({ helpWidth: 80, subcommandTerm: (command) => command.name() });
  }

  override createCommand(name?: string): Program {
    return new Program(name);
  }

  override parseOptions(argv: string[]): commander.ParseOptionsResult {
    const end = argv.indexOf('--');
    for (const [at, word] of argv.slice(0, end === -1 ? argv.length : end).entries()) {
      const option = this.#known(word);
      // commander would take "--dry-run" for the directory of "--to --dry-run".
      if (option?.required === true && /^-./.test(argv[at + 1] ?? '')) {
        this.error(`option '${option.flags}' argument missing`);
      }
    }
    return super.parseOptions(argv);
  }

  /** @throws {BackupError} B2_USAGE */
  override error(message: string, { code }: commander.ErrorOptions = {}): never {
    const topic = this.parent === null ? '' : ` ${this.#path()[0]}`;
    throw new BackupError(`${this.#explain(message, code)}; see b2-backup help${topic}`, {
      code: 'B2_USAGE',
    });
  }

  /** What is wrong, and of which command. No value is repeated that may be a secret, typed where none belongs. */
  #explain(message: string, code: string | undefined): string {
    const name = this.#path().join(' ');
    const [said = '', hint = ''] = message.replace(/^error: /, '').split(/\n(?=\()/);
    switch (code) {
      case 'commander.unknownOption': {
        const option = /'([^'=]*)/.exec(said)?.[1] ?? '';
        if (this.#known(option) !== undefined) return `${option} takes no value`;
        return this.parent === null
          ? `${option} is no option of all commands${suggestion(hint)}; those of one command follow its name`
          : `${name} has no option ${option}${suggestion(hint)}`;
      }
      case 'commander.unknownCommand':
        return `there is no command "${this.args[0]}"${suggestion(hint)}`;
      case 'commander.missingArgument':
        return this.#needs(this.args.length);
      case 'commander.excessArguments': {
        const surplus = this.args[this.registeredArguments.length];
        return this.#path().length > 1 ? `${name} takes nothing more` : `${name} does not take "${surplus}"`;
      }
      default:
        return said.replace(/\.$/, '');
    }
  }

  /** commander shows the help of all where a word before `--help`, or after `help`, names no command. @throws {BackupError} B2_USAGE */
  refuseUnknown(): void {
    const word = this.args.find((argument) => argument !== 'help' && !argument.startsWith('-'));
    if (word !== undefined && this.commands.length > 0) this.parse([word], { from: 'user' });
  }

  #known(word: string): commander.Option | undefined {
    return this.options.find(({ long, short }) => word === long || word === short);
  }

  #needs(at: number): string {
    const argument = this.registeredArguments[at];
    return `${this.#path().join(' ')} needs a ${argument?.name()}: ${argument?.description}`;
  }

  /** @throws {BackupError} B2_USAGE */
  refuseEmptyValues(): void {
    for (const [name, value] of Object.entries(this.optsWithGlobals<Record<string, unknown>>())) {
      if (value === '' || (Array.isArray(value) && value.includes(''))) {
        this.error(`--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)} needs a value`);
      }
    }
    const at = this.args.indexOf('');
    if (at !== -1) this.error(this.#needs(Math.min(at, this.registeredArguments.length - 1)));
  }

  /** The words after `b2-backup` that name it. */
  #path(): readonly string[] {
    const { parent } = this;
    return parent instanceof Program ? [...parent.#path(), this.name()] : [];
  }
}

function suggestion(hint: string): string {
  return hint === '' ? '' : ` ${hint.replace('(D', '(d')}`;
}
