/** HTML as a template that escapes by default. Pure. */
import { printable, printableText } from '../../text.js';

/** Text that is HTML already. */
export class Html {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** What a template takes: text is escaped, lists follow one another, and what is not there is nothing. */
export type Part = string | number | Html | readonly Part[] | undefined | false;

/** Makes HTML. Names come from a bucket: treacherous characters in them are made visible, and none is markup. */
export function html(strings: TemplateStringsArray, ...parts: readonly Part[]): Html {
  const text = strings.map((string, at) => (at === 0 ? string : written(parts[at - 1]) + string));
  return new Html(text.join(''));
}

/** Text of several lines, in which line feeds and tabs stay. */
export function lines(text: string): Html {
  return new Html(escaped(printableText(text)));
}

function written(part: Part): string {
  if (part === undefined || part === false) return '';
  if (part instanceof Html) return part.text;
  if (typeof part === 'object') return part.map(written).join('');
  return escaped(printable(String(part)));
}

const ESCAPES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ESCAPES[character] ?? '');
}
