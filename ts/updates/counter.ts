/** A program of its own: counts what is in a restored state directory. It is given a {@linkcode CountJob}. */
import { serveProgram } from '../boot/program.js';
import type { CountJob } from './check.js';
import { countIn } from './count.js';

serveProgram(({ stateDir, at }: CountJob) => countIn(stateDir, new Date(at)));
