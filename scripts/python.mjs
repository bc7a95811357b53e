// A Python that can run `tools/read_repository.py`, for its tests. Nothing else here needs Python.
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { cache } from './npm-cache.mjs';
import { run, works } from './run.mjs';

const windows = process.platform === 'win32';
const OLD = 'import sys; sys.exit(sys.version_info < (3, 8))';
const READY = `
import sys
sys.excepthook = lambda *_: None
import cryptography
try:
    import compression.zstd
except ImportError:
    import zstandard
`;

/** `{ python }`, or the `reason` why there is none. What it lacks is installed into `.cache/python` once. */
export async function readerPython() {
  const python = windows ? 'python' : 'python3';
  if (!(await works(python, ['-c', OLD]))) return { reason: `there is no ${python} 3.8 or newer` };
  if (await works(python, ['-c', READY])) return { python };
  const folder = join(cache, 'python');
  const own = windows ? join(folder, 'Scripts', 'python.exe') : join(folder, 'bin', 'python3');
  if (await works(own, ['-c', READY])) return { python: own };
  console.log('\ninstalling the Python packages cryptography and zstandard into .cache/python, once');
  try {
    await rm(folder, { recursive: true, force: true });
    await mkdir(cache, { recursive: true });
    await run(python, ['-m', 'venv', folder]);
    const quietly = ['--quiet', '--disable-pip-version-check'];
    await run(own, ['-m', 'pip', 'install', ...quietly, 'cryptography', 'zstandard']);
  } catch (error) {
    return { reason: `its packages cannot be installed: ${error.message}` };
  }
  // What is installed and does not work is a failure of the tests, not a reason to pass over them.
  return { python: own };
}
