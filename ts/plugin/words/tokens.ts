/** What words are taken apart into. */
import type { Reason } from '../snapshots.js';
import type { Day, LocalTime } from './zone.js';

/** Days from `first` to `last`, both included. */
export interface Span {
  readonly first: Day;
  readonly last: Day;
}

/** A time of day whose bounds are not sharp, in minutes since midnight. */
export interface Part {
  readonly from: number;
  /** By when it has begun for everybody. */
  readonly begun: number;
  readonly to: number;
}

/** How a time is meant. */
export type Relation = 'before' | 'after' | 'around';

/** Whose snapshots: those of `other` machines, of `any`, of `this`, or of those whose id begins so. */
export type Machine = 'this' | 'other' | 'any' | { readonly id: string };

/** A piece of what was said. Where it can mean several things, it has each of them. */
export type Token =
  | {
      readonly is: 'days';
      readonly days: readonly Span[];
      /** "2 days ago": this very moment of that day. */
      readonly moment?: LocalTime;
      /** What to say when the days are not certain, or do not exist. */
      readonly hint?: string;
    }
  | { readonly is: 'part'; readonly part: Part }
  /** Minutes since midnight; `rough` when only an hour was said. */
  | { readonly is: 'clock'; readonly minutes: readonly number[]; readonly rough: boolean }
  /** So many milliseconds ago. */
  | { readonly is: 'ago'; readonly ms: number }
  /** A time that was written in UTC, in milliseconds since 1970. */
  | { readonly is: 'instant'; readonly ms: number }
  | { readonly is: 'relation'; readonly relation: Relation }
  /** `event`: a word for what happened after the snapshot, so that "before" belongs to it. */
  | { readonly is: 'reason'; readonly reason: Reason; readonly event: boolean }
  | { readonly is: 'order'; readonly order: 'newest' | 'oldest' | 'previous' }
  /** "before that" */
  | { readonly is: 'that' }
  | { readonly is: 'machine'; readonly machine: Machine }
  /** Ids that the word is, or begins. */
  | { readonly is: 'ids'; readonly ids: readonly string[] };

/** A rule of the lexer: what a phrase means. Gives nothing when it is not the phrase that it looked like. */
export interface Rule {
  readonly pattern: RegExp;
  read(match: RegExpExecArray, now: LocalTime): readonly Token[] | undefined;
}

/** A rule for a phrase, which has to end where a word ends: "2026-02-15" is no part of "2026-02-15-3". */
export function rule(phrase: string, read: Rule['read']): Rule {
  return { pattern: new RegExp(`(?:${phrase})(?![\\p{L}\\p{N}]|[-:/.]\\p{N})`, 'uy'), read };
}
