/** Findings of `doctor`, for every command that tells some. */
import type { Finding } from '../../index.js';
import { type BackupError, toBackupError } from '../errors.js';
import { wrongSettings } from '../gateway-view.js';
import type { Context } from './outcome.js';
import { printable, type Style } from './render.js';

/** A line for what was found, and one for what to do. */
export function findingLines({ check, level, code, message, advice }: Finding, style: Style): string[] {
  const paint = level === 'problem' ? style.red : level === 'note' ? style.yellow : style.green;
  const head = `${paint(level.padEnd(7))}  ${printable(check)}: ${printable(message)}`;
  return [
    code === undefined ? head : `${head} (${printable(code)})`,
    ...(advice === undefined ? [] : [`         ${style.dim('->')} ${printable(advice)}`]),
  ];
}

/** The same for `--json`. */
export function findingDocument(finding: Finding): object {
  return { ...finding, code: finding.code ?? null, advice: finding.advice ?? null };
}

/** All that a gateway makes of the configuration. */
export async function lookAtGateway({
  engine,
  settings,
  gateway,
  operation,
}: Pick<Context, 'engine' | 'settings' | 'gateway' | 'operation'>): Promise<readonly Finding[]> {
  const { include, exclude, configPath } = settings;
  if (configPath === undefined || (include === undefined && exclude === undefined)) return gateway();
  // The core reads patterns only where it looks at the state.
  const patterns = await engine.plan(settings, operation).then(
    () => [],
    (error: unknown) => wrongPatterns(toBackupError(error), configPath),
  );
  return [...(await gateway()), ...patterns];
}

function wrongPatterns(error: BackupError, path: string): readonly Finding[] {
  if (error.code === 'B2_CONFIG') return wrongSettings(error, path);
  const message = `include and exclude could not be tried: ${error.message}`;
  return [{ check: 'gateway', level: 'note', message, advice: 'Try it again when the rest is put right' }];
}

/** What keeps the gateway from backing up, a line each, for commands that are about something else. */
export function gatewayProblems(findings: readonly Finding[]): readonly string[] {
  return findings
    .filter(({ level }) => level === 'problem')
    .map(({ check, message }) => `${check}: ${message}; see "b2-backup doctor"`);
}
