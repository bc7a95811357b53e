import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { importNative } from '../ts/native.ts';
import { fakeNative } from './support.ts';

const failing = (error: unknown) => () => Promise.reject(error);
const linux = { platform: 'linux', arch: 'x64', libc: 'glibc' };

describe('the loader', () => {
  it('is given nothing that makes it load other code', async () => {
    const env: NodeJS.ProcessEnv = {
      NAPI_RS_NATIVE_LIBRARY_PATH: '/cloned/evil.node',
      NAPI_RS_FORCE_WASI: 'true',
      NAPI_RS_WASI_FLAVOR: 'wasm32-wasi',
      NAPI_RS_ENFORCE_VERSION_CHECK: '1',
      napi_rs_native_library_path: '/cloned/evil.node',
      NODE_ENV: 'test',
    };
    const importer = async () => {
      expect(env).toEqual({ NODE_ENV: 'test' });
      return fakeNative({});
    };
    await importNative(importer, () => linux, env);
    expect.assertions(1);
  });

  it('reads no other variable that decides what is loaded', () => {
    const loader = readFileSync(new URL('../index.js', import.meta.url), 'utf8');
    const names = new Set(loader.match(/process\.env\.\w+/g));
    expect([...names].filter((name) => !name.startsWith('process.env.NAPI_RS_'))).toEqual([]);
    expect(loader).not.toMatch(/process\.env(?!\.\w)/);
  });

  it('gives the addon', async () => {
    const native = fakeNative({});
    expect(
      await importNative(
        async () => native,
        () => linux,
      ),
    ).toBe(native);
  });

  it.each([
    [linux, 'on linux x64 glibc: install the package @openclaw/b2-backup-linux-x64-gnu '],
    [
      { ...linux, libc: 'musl' },
      'on linux x64 musl: install the package @openclaw/b2-backup-linux-x64-musl ',
    ],
    [
      { platform: 'darwin', arch: 'arm64' },
      'on darwin arm64: install the package @openclaw/b2-backup-darwin-arm64 ',
    ],
    [{ platform: 'win32', arch: 'x64' }, 'install the package @openclaw/b2-backup-win32-x64-msvc '],
    [{ platform: 'freebsd', arch: 'x64' }, 'on freebsd x64: there is no prebuilt package for this platform'],
  ])('names what is missing on %j', async (platform, message) => {
    const cause = new Error('Cannot find native binding');
    await expect(importNative(failing(cause), () => platform)).rejects.toMatchObject({
      name: 'BackupError',
      code: 'B2_NATIVE_UNAVAILABLE',
      message: expect.stringContaining(message),
      cause,
    });
  });

  it('names the reason when a binary is there but does not load', async () => {
    const dlopen = Object.assign(new Error("libc.so.6: version `GLIBC_2.34' not found\nmore"), {
      code: 'ERR_DLOPEN_FAILED',
    });
    const cause = new Error('Cannot find native binding', {
      cause: Object.assign(new Error('not found'), { code: 'MODULE_NOT_FOUND', cause: dlopen }),
    });
    await expect(importNative(failing(cause), () => linux)).rejects.toThrow(
      "(libc.so.6: version `GLIBC_2.34' not found): install",
    );
  });
});
