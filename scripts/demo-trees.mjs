// Copies and compares directory trees for the demo: content, modes, times, links, empty directories.
import {
  chmod,
  copyFile,
  lstat,
  lutimes,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  symlink,
  utimes,
} from 'node:fs/promises';
import { join, relative, sep } from 'node:path';

/** When each file was changed, to the nanosecond: Node can read that but not write it, so copies lose it. */
export async function fileTimes(directory) {
  const times = new Map();
  for (const [path, at] of await tree(directory)) {
    const stats = await lstat(at, { bigint: true });
    if (stats.isFile()) times.set(path, stats.mtimeNs);
  }
  return times;
}

/** A copy that keeps modes, times and links. Directories get their times last. */
export async function copyTree(from, to) {
  const stats = await lstat(from);
  if (stats.isSymbolicLink()) {
    await symlink(await readlink(from), to);
    await lutimes(to, stats.atime, stats.mtime);
    return;
  }
  if (stats.isDirectory()) {
    await mkdir(to, { recursive: true });
    for (const name of await readdir(from)) await copyTree(join(from, name), join(to, name));
  } else if (stats.isFile()) {
    await copyFile(from, to);
  } else {
    return;
  }
  await chmod(to, stats.mode & 0o7777);
  await utimes(to, stats.atime, stats.mtime);
}

/** The bytes of all files below. */
export async function directorySize(directory) {
  let bytes = 0;
  for (const path of (await tree(directory)).values()) {
    const stats = await lstat(path);
    if (stats.isFile()) bytes += stats.size;
  }
  return bytes;
}

/**
 * Compares what was restored with what was there. `out` names what a push leaves out: it, and what lies in it,
 * must not be restored. `times` are those of the original files. Of databases only the modes are compared here:
 * their content is compared by digest, and their `-wal` and `-shm` are part of it.
 */
export async function compareTrees(expectedRoot, actualRoot, { out, times }) {
  const [expected, actual] = [await tree(expectedRoot), await tree(actualRoot)];
  const left = new Set(out.map(({ path }) => path));
  const differences = [];
  let compared = 0;
  for (const [path, original] of expected) {
    if (isLeftOut(path, left) || (await isDatabaseCompanion(original))) continue;
    const copy = actual.get(path);
    actual.delete(path);
    compared += 1;
    if (copy === undefined) differences.push(`${path}: was not restored`);
    else
      differences.push(...(await differ(original, copy, times.get(path))).map((what) => `${path}: ${what}`));
  }
  for (const path of actual.keys()) differences.push(`${path}: was restored but should not be there`);
  return { compared, differences };
}

async function differ(original, copy, time) {
  const [a, b] = await Promise.all([lstat(original), lstat(copy, { bigint: true })]);
  const kind = (stats) =>
    stats.isSymbolicLink() ? 'link' : stats.isDirectory() ? 'directory' : stats.isFile() ? 'file' : 'other';
  if (kind(a) !== kind(b)) return [`was a ${kind(a)}, is a ${kind(b)}`];
  if (kind(a) === 'link') {
    const [to, now] = await Promise.all([readlink(original), readlink(copy)]);
    return to === now ? [] : [`pointed to ${to}, points to ${now}`];
  }
  const found = [];
  const [mode, modeNow] = [a.mode & 0o7777, Number(b.mode) & 0o7777];
  if (mode !== modeNow) found.push(`had mode ${mode.toString(8)}, has ${modeNow.toString(8)}`);
  if (kind(a) !== 'file' || (await isDatabase(original))) return found;
  if (b.mtimeNs !== time) found.push(`was changed at ${time} ns, now at ${b.mtimeNs} ns`);
  const [was, is] = await Promise.all([readFile(original), readFile(copy)]);
  if (!was.equals(is)) found.push('content differs');
  return found;
}

/** Relative path, with slashes, to path; without the root. */
async function tree(root) {
  const found = new Map();
  const visit = async (directory) => {
    for (const entry of await readdir(directory, { withFileTypes: true })) {
      const path = join(directory, entry.name);
      found.set(relative(root, path).split(sep).join('/'), path);
      if (entry.isDirectory()) await visit(path);
    }
  };
  await visit(root);
  return found;
}

function isLeftOut(path, out) {
  for (let at = path; at !== ''; at = at.slice(0, Math.max(0, at.lastIndexOf('/')))) {
    if (out.has(at) || out.has(`${at}/`)) return true;
  }
  return false;
}

async function isDatabaseCompanion(path) {
  const base = /^(.*)-(?:wal|shm|journal)$/.exec(path)?.[1];
  return base !== undefined && isDatabase(base);
}

async function isDatabase(path) {
  try {
    const file = await open(path);
    try {
      const { buffer } = await file.read(Buffer.alloc(16), 0, 16, 0);
      return buffer.toString('latin1') === 'SQLite format 3\0';
    } finally {
      await file.close();
    }
  } catch {
    return false;
  }
}
