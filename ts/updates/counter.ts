/**
 * A program of its own that counts. It is given a {@linkcode CountJob}, and counts what is in a restored state directory, or a
 * {@linkcode DifferenceJob}, and counts in what a snapshot and the present differ.
 */
import { serveProgram } from '../boot/program.js';
import { type CountJob, countIn } from './count.js';
import { type DifferenceJob, differenceIn } from './difference.js';

serveProgram(async (job: CountJob | DifferenceJob) =>
  'stateDir' in job ? countIn(job.stateDir, new Date(job.at)) : differenceIn(job),
);
