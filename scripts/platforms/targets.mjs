// The targets that packages are made for (`napi.targets` in package.json), and what of each can be tried on Linux x64.
import { typeCheck } from './types.mjs';
import { buildForWindows, roundTripOnWindows } from './windows.mjs';

const WITHOUT_SDK = "it is linked with Microsoft's libraries, which are only on Windows";
const NOT_WRITTEN = 'this command cannot yet';
const MAC = 'nothing here runs programs of macOS';

/** A step that cannot be tried, and why. */
const not = (why) => ({ why });

const types = (target) => ({ types: () => typeCheck(target) });

/** The steps of each target, in their order. */
export const TARGETS = {
  'x86_64-pc-windows-gnu': {
    ...types('x86_64-pc-windows-gnu'),
    addon: buildForWindows,
    'command line': roundTripOnWindows,
  },
  'x86_64-pc-windows-msvc': {
    ...types('x86_64-pc-windows-msvc'),
    addon: not(WITHOUT_SDK),
    'command line': not('the same code is run as x86_64-pc-windows-gnu'),
  },
  'aarch64-pc-windows-msvc': {
    ...types('aarch64-pc-windows-msvc'),
    addon: not(WITHOUT_SDK),
    'command line': not('nothing here runs programs of Windows on arm64'),
  },
  'aarch64-apple-darwin': {
    ...types('aarch64-apple-darwin'),
    addon: not(NOT_WRITTEN),
    'command line': not(MAC),
  },
  'x86_64-apple-darwin': {
    ...types('x86_64-apple-darwin'),
    addon: not(NOT_WRITTEN),
    'command line': not(MAC),
  },
  'aarch64-unknown-linux-gnu': {
    ...types('aarch64-unknown-linux-gnu'),
    addon: not(NOT_WRITTEN),
    'command line': not(NOT_WRITTEN),
  },
  'x86_64-unknown-linux-musl': {
    ...types('x86_64-unknown-linux-musl'),
    addon: not(NOT_WRITTEN),
    'command line': not('npm has no Node for musl'),
  },
  'aarch64-unknown-linux-musl': {
    ...types('aarch64-unknown-linux-musl'),
    addon: not(NOT_WRITTEN),
    'command line': not('npm has no Node for musl'),
  },
};
