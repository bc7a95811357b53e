import { describe, expect, it } from 'vitest';
import { importNative } from '../ts/native.ts';
import { fakeNative } from './support.ts';

const failing = (error: unknown) => () => Promise.reject(error);
const linux = { platform: 'linux', arch: 'x64', libc: 'glibc' };

describe('the loader', () => {
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
