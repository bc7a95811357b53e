// Files that are made once.
import { access, rename } from 'node:fs/promises';

/** Lets `make` write a file under another name, unless the file is there; what was cut off is made again. */
export async function once(path, make) {
  const there = await access(path).then(
    () => true,
    () => false,
  );
  if (there) return path;
  await make(`${path}.new`);
  await rename(`${path}.new`, path);
  return path;
}
