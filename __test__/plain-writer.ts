/** A writer of plain repositories, as docs/format.md has them: for what our own program would never write. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

type Item = number | string | boolean | Uint8Array | Map<number, Item> | readonly Item[];

const LABEL = Buffer.from('openclaw-b2-backup/2/plain');
const MACHINE = '0a0b0c0d';
export const HOSTILE_ID = `2026-02-19T00-00-00Z-${MACHINE}`;

/** An entry of the tree with defaults: a small file. */
export interface Planted {
  readonly path: string;
  readonly kind?: 0 | 1 | 2;
  readonly target?: string;
  readonly root?: number;
  readonly size?: number;
}

const CONTENT = Buffer.from('planted');

/** Writes one snapshot with one pack, in which every file has the same content, and gives its folder. */
export function writePlain(folder: string, entries: readonly Planted[], treeBytes?: number): void {
  const repository = randomBytes(16);
  const tree = Buffer.concat(entries.map((entry) => cbor(treeEntry(entry))));
  const name = randomBytes(16);
  const pack = packOf(repository, `packs/${MACHINE}/${name.toString('hex')}`, [CONTENT, tree]);
  const manifest = new Map<number, Item>([
    [0, 1],
    [2, 0],
    [3, 1],
    [4, 1],
    [6, 'test'],
    [7, false],
    [8, [map({ 0: 0, 1: Buffer.from('/state') })]],
    [9, map({ 0: entries.length, 1: 0, 2: 0, 3: 0 })],
    [10, [[0, name, pack.object.length, pack.tailBytes, 0]]],
    [
      11,
      map({ 0: treeBytes ?? tree.length, 1: sha256(tree), 2: [[0, 1, 1, treeBytes ?? tree.length]], 3: [] }),
    ],
    [12, []],
  ]);
  const clear = Buffer.concat([header(3, repository), Buffer.from([0])]);
  const context = Buffer.concat([clear, Buffer.from(`${HOSTILE_ID}/manifest`)]);
  mkdirSync(join(folder, HOSTILE_ID), { recursive: true });
  mkdirSync(join(folder, 'packs', MACHINE), { recursive: true });
  writeFileSync(
    join(folder, HOSTILE_ID, 'manifest'),
    Buffer.concat([clear, mark(2, 0, context, part(cbor(manifest)))]),
  );
  writeFileSync(join(folder, 'packs', MACHINE, name.toString('hex')), pack.object);
}

function treeEntry({ path, kind = 0, target = '', root = 0, size = CONTENT.length }: Planted): Item {
  const file = kind === 0;
  const runs = file ? [[0, 0, 1, size]] : [];
  const hash = file ? sha256(CONTENT) : Buffer.alloc(0);
  return [root, Buffer.from(path), kind, 0o4755, 1, file ? size : 0, hash, runs, 0, Buffer.from(target)];
}

/** Each content is one chunk, in a frame of its own. */
function packOf(repository: Uint8Array, name: string, contents: readonly Buffer[]) {
  const start = header(2, repository);
  const context = Buffer.concat([start, Buffer.from(name)]);
  const frames = contents.map((content, index) => mark(0, index, context, content));
  const footer = map({
    0: contents.map((content) => [content.length + 16, content.length, false, 1]),
    1: contents.map((content) => content.length),
    2: Buffer.concat(contents.map(sha256)),
  });
  const sealed = mark(1, 0, context, part(cbor(footer)));
  const tailBytes = sealed.length + 100;
  return { object: Buffer.concat([start, ...frames, sealed, start, u32(tailBytes)]), tailBytes };
}

function header(kind: number, repository: Uint8Array): Buffer {
  const start = Buffer.from([...Buffer.from('OCLAWB2\0'), 2, 2, kind, 0, 0, 0, 0, 0]);
  return Buffer.concat([start, repository, randomBytes(32), Buffer.alloc(32)]);
}

function mark(domain: number, counter: number, context: Buffer, content: Buffer): Buffer {
  const place = Buffer.alloc(17);
  place[0] = domain;
  place.writeBigUInt64BE(BigInt(counter), 1);
  place.writeBigUInt64BE(BigInt(context.length), 9);
  return Buffer.concat([content, sha256(Buffer.concat([LABEL, place, context, content])).subarray(0, 16)]);
}

function part(content: Buffer): Buffer {
  return Buffer.concat([u32(content.length), Buffer.from([0]), content]);
}

function map(fields: Record<number, Item>): Map<number, Item> {
  return new Map(Object.entries(fields).map(([key, value]) => [Number(key), value]));
}

function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}

function cbor(item: Item): Buffer {
  if (typeof item === 'boolean') return Buffer.from([item ? 0xf5 : 0xf4]);
  if (typeof item === 'number') return head(0, item);
  if (typeof item === 'string') return Buffer.concat([head(3, Buffer.byteLength(item)), Buffer.from(item)]);
  if (item instanceof Uint8Array) return Buffer.concat([head(2, item.length), item]);
  if (item instanceof Map) {
    const pairs = [...item].flatMap(([key, value]) => [head(0, key), cbor(value)]);
    return Buffer.concat([head(5, item.size), ...pairs]);
  }
  return Buffer.concat([head(4, item.length), ...item.map(cbor)]);
}

function head(major: number, value: number): Buffer {
  if (value < 24) return Buffer.from([(major << 5) | value]);
  const bytes = Buffer.alloc(9);
  bytes[0] = (major << 5) | 27;
  bytes.writeBigUInt64BE(BigInt(value), 1);
  return bytes;
}
