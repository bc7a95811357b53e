/** Changes in a JSON5 text that leave everything else as it was written: comments, order, quotes, spaces. Pure. */
import { evaluate, type ObjectNode, parse, type Token } from '@humanwhocodes/momoa';
import { BackupError } from '../errors.js';

/** A place in the text, and what to put there; `undefined` takes the member away. */
export interface Edit {
  /** Names from the top, at least one. */
  readonly path: readonly string[];
  readonly value: unknown;
}

/** Text and what it holds. */
interface Document {
  readonly text: string;
  readonly root: ObjectNode;
  readonly tokens: readonly Token[];
}

/** Carries out all edits. @throws {BackupError} B2_CONFIG for a text that is no object, or where one is in the way */
export function edited(text: string, edits: readonly Edit[]): string {
  let current = text.trim() === '' ? '{}\n' : text;
  for (const { path, value } of edits) current = edit(current, path, value);
  return current;
}

/** Whether somebody wrote comments into it. @throws {BackupError} B2_CONFIG */
export function hasComments(text: string): boolean {
  if (text.trim() === '') return false;
  return read(text).tokens.some(({ type }) => type.endsWith('Comment'));
}

/** What the text holds. @throws {BackupError} B2_CONFIG */
export function contentOf(text: string): Record<string, unknown> {
  if (text.trim() === '') return {};
  return evaluate(read(text).root) as Record<string, unknown>;
}

/** Carries out edits in an object. @throws {BackupError} B2_CONFIG where something is in the way */
export function apply(object: Record<string, unknown>, edits: readonly Edit[]): void {
  for (const { path, value } of edits) {
    let parent = object;
    for (const [depth, name] of path.slice(0, -1).entries()) {
      if (value === undefined && parent[name] === undefined) break;
      parent[name] ??= {};
      const inner = parent[name];
      if (typeof inner !== 'object' || inner === null || Array.isArray(inner)) throw inTheWay(path, depth);
      parent = inner as Record<string, unknown>;
    }
    const name = path.at(-1) ?? '';
    if (value === undefined) delete parent[name];
    else parent[name] = value;
  }
}

function inTheWay(path: readonly string[], depth: number): BackupError {
  return invalid(`${path.slice(0, depth + 1).join('.')} must be an object; put that right first`);
}

function read(text: string): Document {
  let document: ReturnType<typeof parse>;
  try {
    document = parse(text, { mode: 'json5', ranges: true, tokens: true });
  } catch (error) {
    const { line } = error as { line?: number };
    throw invalid(`it is not valid JSON5${line === undefined ? '' : ` at line ${line}`}`);
  }
  if (document.body.type !== 'Object') throw invalid('it must hold an object');
  return { text, root: document.body, tokens: document.tokens ?? [] };
}

function invalid(message: string): BackupError {
  return new BackupError(message, { code: 'B2_CONFIG' });
}

function edit(text: string, path: readonly string[], value: unknown): string {
  const document = read(text);
  let parent = document.root;
  for (let depth = 0; ; depth += 1) {
    const name = path[depth] ?? '';
    const member = memberOf(parent, name);
    const rest = path.slice(depth + 1);
    if (member === undefined) {
      return value === undefined ? text : insert(document, parent, name, nested(rest, value));
    }
    if (rest.length === 0) {
      return value === undefined ? remove(document, parent, member) : replace(document, member, value);
    }
    if (member.value.type !== 'Object') {
      throw inTheWay(path, depth);
    }
    parent = member.value;
  }
}

type Member = ObjectNode['members'][number];

/** The last of a name counts, as for whoever reads the file. */
function memberOf(object: ObjectNode, name: string): Member | undefined {
  return object.members.findLast(
    (member) => (member.name.type === 'Identifier' ? member.name.name : member.name.value) === name,
  );
}

function nested(path: readonly string[], value: unknown): unknown {
  return path.reduceRight<unknown>((inner, name) => ({ [name]: inner }), value);
}

const start = (node: { readonly range?: readonly number[] }): number => node.range?.[0] ?? 0;
const end = (node: { readonly range?: readonly number[] }): number => node.range?.[1] ?? 0;

/** The white space at the beginning of the line that `offset` is in. */
function indentAt(text: string, offset: number): string {
  const line = text.slice(text.lastIndexOf('\n', offset - 1) + 1);
  return /^[ \t]*/.exec(line)?.[0] ?? '';
}

/** One step of indentation, as in the file. */
function step({ text }: Document): string {
  return /\n([ \t]+)\S/.exec(text)?.[1] ?? '  ';
}

function written(document: Document, value: unknown, indent: string): string {
  return JSON.stringify(value, null, step(document)).replaceAll('\n', `\n${indent}`);
}

function replace(document: Document, member: Member, value: unknown): string {
  const { text } = document;
  const indent = indentAt(text, start(member));
  return (
    text.slice(0, start(member.value)) + written(document, value, indent) + text.slice(end(member.value))
  );
}

function insert(document: Document, parent: ObjectNode, name: string, value: unknown): string {
  const { text, tokens } = document;
  const close = end(parent) - 1;
  const last = parent.members.at(-1);
  const outer = indentAt(text, start(parent));
  const oneLine = !text.slice(start(parent), close).includes('\n');
  if (last === undefined || oneLine) {
    const inner = outer + step(document);
    const member = `${JSON.stringify(name)}: ${written(document, value, inner)}`;
    if (last === undefined) {
      // Comments in an object that is empty but for them stay above.
      const kept = text.slice(start(parent) + 1, close).trimEnd();
      return `${text.slice(0, start(parent) + 1)}${kept}\n${inner}${member}\n${outer}${text.slice(close)}`;
    }
    const comma = tokens.some(
      (token) => token.type === 'Comma' && start(token) >= end(last) && start(token) < close,
    );
    const before = text.slice(0, close).trimEnd();
    return `${before}${comma ? '' : ','} ${member}${text.slice(before.length)}`;
  }
  const inner = indentAt(text, start(last));
  const member = `\n${inner}${JSON.stringify(name)}: ${written(document, value, inner)}`;
  const after = tokens.filter((token) => start(token) >= end(last) && start(token) < close);
  const comma = after.find(({ type }) => type === 'Comma');
  // What is said of the last member, in the rest of its line, stays with it.
  let at = comma === undefined ? end(last) : end(comma);
  for (const token of after) {
    if (start(token) >= at && !text.slice(at, start(token)).includes('\n')) at = end(token);
  }
  const between = text.slice(end(last), at);
  return comma === undefined
    ? `${text.slice(0, end(last))},${between}${member}${text.slice(at)}`
    : `${text.slice(0, at)}${member},${text.slice(at)}`;
}

function remove({ text, tokens }: Document, parent: ObjectNode, member: Member): string {
  const comma = tokens.find((token) => start(token) >= end(member) && start(token) < end(parent));
  let [from, to] = [start(member), end(member)];
  if (comma?.type === 'Comma') {
    to = end(comma);
  } else {
    const before = tokens.findLast((token) => token.type === 'Comma' && end(token) <= from);
    if (before !== undefined && start(before) > start(parent)) from = start(before);
  }
  // A line that is empty then goes, too.
  const lineStart = text.lastIndexOf('\n', from - 1);
  const alone = text.slice(lineStart + 1, from).trim() === '' && /^[ \t]*\r?\n/.test(text.slice(to));
  if (alone && lineStart >= 0) from = lineStart;
  return text.slice(0, from) + text.slice(to);
}
