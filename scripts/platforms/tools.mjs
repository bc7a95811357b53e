// What other platforms are compiled and run with. Each function fetches its tool into the cache the first time.
import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { run } from '../run.mjs';
import { debian, home } from './debian.mjs';
import { once } from './once.mjs';

const libraries = (folder) => join(folder, 'usr', 'lib', 'x86_64-linux-gnu');

/**
 * A compiler with the sources of its standard library, which it builds for any target: Debian's, beside the project's own.
 * Gives the `cargo` to start, its environment, and what to add to the arguments of each of its commands.
 */
export async function rust() {
  const packages = ['rustc-web', 'cargo-web', 'rust-web-src', 'libstd-rust-web-1.96', 'libstd-rust-web-dev'];
  const folder = await debian('rust', packages);
  const bin = join(folder, 'usr', 'bin');
  const env = {
    LD_LIBRARY_PATH: libraries(folder),
    RUSTC: join(bin, 'rustc'),
    CARGO_TARGET_DIR: join(home, 'target'),
    // It lets a stable compiler build the standard library.
    RUSTC_BOOTSTRAP: '1',
    // Less to write and to link.
    CARGO_PROFILE_DEV_DEBUG: '0',
    CARGO_INCREMENTAL: '0',
  };
  const quick = ['--config', 'profile.dev.package."*".opt-level=1'];
  return { cargo: join(bin, 'cargo'), env, args: ['--locked', '-Z', 'build-std=std,panic_unwind', ...quick] };
}

/** Variables that put a program without any effect in the place of a target's C compiler: for types, nobody needs more. */
export function withoutCompiler(target) {
  const nothing = fileURLToPath(new URL('no-compiler.sh', import.meta.url));
  const name = target.replaceAll('-', '_');
  return Object.fromEntries(['CC', 'CXX', 'AR', 'RANLIB'].map((tool) => [`${tool}_${name}`, nothing]));
}

/** The C compiler and linker for Windows: its path, and the variables that cargo and the crate `cc` want. */
export async function mingw() {
  const bin = join(await debian('mingw', ['gcc-mingw-w64-x86-64-posix']), 'usr', 'bin');
  const gcc = join(bin, 'x86_64-w64-mingw32-gcc-posix');
  // napi links against it, and imports nothing of it (`dyn-symbols`).
  const libnode = join(home, 'libnode');
  await once(join(libnode, 'libnode.dll'), (dll) => library(gcc, dll, 'int none;'));
  const env = {
    // rustc starts `dlltool` by its name.
    PATH: [bin, process.env.PATH].join(delimiter),
    CC_x86_64_pc_windows_gnu: gcc,
    AR_x86_64_pc_windows_gnu: join(bin, 'x86_64-w64-mingw32-ar'),
    CARGO_TARGET_X86_64_PC_WINDOWS_GNU_LINKER: gcc,
    LIBNODE_PATH: libnode,
  };
  return { gcc, env };
}

async function library(gcc, dll, source, ...libraries) {
  await mkdir(join(dll, '..'), { recursive: true });
  await writeFile(`${dll}.c`, source);
  await run(gcc, ['-shared', '-o', dll, `${dll}.c`, ...libraries]);
}

/** Wine, with what Rust's standard library and Node want of it: the program to start, and its environment. */
export async function wine() {
  const folder = await debian('wine', ['wine64']);
  const own = join(folder, 'usr', 'lib', 'wine');
  // Debian's script looks for it in `/usr/lib`.
  const server = '#!/bin/sh\nexec "$(dirname "$0")/wineserver64" -p0 "$@"\n';
  await writeFile(join(own, 'wineserver'), server);
  await chmod(join(own, 'wineserver'), 0o755);
  // What Debian does when it installs: Wine takes only what has this mark behind the head of 64 bytes for its own.
  const zlib = await readFile(join(folder, 'usr', 'x86_64-w64-mingw32', 'lib', 'zlib1.dll'));
  zlib.fill(0, 64, 96).write('Wine builtin DLL', 64);
  await writeFile(join(libraries(folder), 'wine', 'x86_64-windows', 'zlib1.dll'), zlib);
  const prefix = join(home, 'wine-prefix');
  const program = join(own, 'wine64');
  const env = {
    WINEPREFIX: prefix,
    WINEARCH: 'win64',
    WINEDEBUG: '-all',
    DISPLAY: '',
    LD_LIBRARY_PATH: libraries(folder),
  };
  const dll = join(prefix, 'drive_c', 'windows', 'system32', 'bcryptprimitives.dll');
  await once(dll, async (made) => {
    console.log('making a Windows of Wine, once');
    await rm(prefix, { recursive: true, force: true });
    await run(program, ['wineboot', '-i'], { env });
    // Node refuses to run on what says that it is older.
    await run(program, ['reg', 'add', String.raw`HKCU\Software\Wine`, '/v', 'Version', '/d', 'win10', '/f'], {
      env,
    });
    // Rust's standard library takes its random numbers from it, and Wine 8 does not have it.
    await library((await mingw()).gcc, made, RANDOM, '-ladvapi32');
  });
  return { program, env };
}

const RANDOM = `#include <windows.h>
#include <ntsecapi.h>
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T bytes) { return RtlGenRandom(data, (ULONG)bytes); }
`;

/** The program of a Node for another system, from its npm package, without that being installed. */
export async function node(name, version, program) {
  const folder = join(home, 'nodes', `${name}-${version}`);
  await once(folder, async (made) => {
    console.log(`fetching ${name} ${version} into .cache/platforms, once`);
    await rm(made, { recursive: true, force: true });
    await mkdir(made, { recursive: true });
    const packed = ['pack', '--silent', '--pack-destination', made, `${name}@${version}`];
    const { output } = await run('npm', packed, { capture: true });
    const archive = join(made, output.trim());
    await run('tar', ['xzf', archive, '-C', made, '--strip-components=1']);
    await rm(archive);
  });
  return join(folder, ...program);
}
