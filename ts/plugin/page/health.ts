/** How backups stand, in the few words that a widget of a dashboard has room for. Pure. */
import { given } from '../../given.js';
import type { Facts } from './facts.js';
import { pageModel } from './model.js';
import type { Standing } from './verdict.js';
import { Words } from './when.js';

/** What the page says first, as data. Sentences are for people; times are in words, in the user's time zone. */
export interface Health {
  readonly standing: Standing;
  /** Without a full stop. */
  readonly title: string;
  readonly text: string;
  /** What to do; not set where nothing is to be done. */
  readonly todo?: string;
  /** When backups last went well; not set where that is not known. */
  readonly last?: string;
  readonly next?: string;
  /** When all of a snapshot last came back from a trial restore. */
  readonly proven?: string;
  /** What runs now. */
  readonly running?: string;
}

/** The same as the page says of these facts. */
export function healthOf(facts: Facts): Health {
  const { verdict, last, next, proof, running } = pageModel(facts);
  const { standing, title, text, todo } = verdict;
  const words = new Words(facts);
  const said = (at: string | undefined): string | undefined =>
    at === undefined ? undefined : words.when(at);
  return given({
    ...{ standing, title, text, todo },
    last: said(last?.at),
    next: said(next?.at),
    proven: said(proof.restoredAt),
    running: running?.phase,
  });
}
