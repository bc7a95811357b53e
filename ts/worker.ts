/**
 * Entry of the child process that reads the live state. It exists because POSIX drops every lock a process
 * holds on a file as soon as that process closes any descriptor of it: the gateway must never open its own
 * databases a second time, and a thread would not help.
 */
import { Socket } from 'node:net';
import process from 'node:process';
import { loadNative } from './native.js';
import { standBack } from './priority.js';
import { ANSWER_FD } from './protocol.js';
import { serveJob } from './serve-job.js';

standBack();

// Ctrl-C and a service manager's SIGTERM reach the whole group. The parent decides what they mean: it sends
// a cancel line, or is gone, which closes our stdin.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});

serveJob({
  input: process.stdin,
  output: new Socket({ fd: ANSWER_FD, readable: false, writable: true }),
  loadNative,
  exit: (code) => process.exit(code),
});
