/**
 * Builds the server's markup anew, element by element, out of what may be in it. The server escapes what comes from the
 * bucket. This is the second lock: here a script would have all rights of the operator, so none gets through, nor a
 * handler, a style or an address outside.
 */

const ELEMENTS: ReadonlySet<string> = new Set(
  (
    'a article b bdi br button caption code dd del details div dl dt em figcaption figure h1 h2 h3 h4 hr ins li nav ol p pre s section ' +
    'small span strong sub summary sup table tbody td tfoot th thead time tr ul'
  ).split(' '),
);
const DRAWN: ReadonlySet<string> = new Set('svg g circle line path polyline rect text title'.split(' '));
/** Landmarks that the Control UI has already. */
const PLAIN: Readonly<Record<string, string>> = { main: 'div', header: 'div', footer: 'div' };

const ATTRIBUTES: ReadonlySet<string> = new Set(
  (
    'class colspan datetime dir fill height lang open role rowspan scope stroke stroke-linecap stroke-linejoin stroke-width ' +
    'text-anchor title type viewBox width x x1 x2 y y1 y2 cx cy r rx d points'
  ).split(' '),
);
/** These name other elements. In the host's document they get a name that nobody else has. */
const NAMES: ReadonlySet<string> = new Set(['id', 'aria-labelledby', 'aria-describedby', 'aria-controls']);
/** The only style that is a value and not the sheet's: the colour of a sign. */
const COLOUR = /^background: ?var\(--[a-z-]+\)$/;

const DRAWING = 'http://www.w3.org/2000/svg';

/** The elements of `markup`. Links stay where they lead to a view of ours, made by `hrefOf` from `?...`. */
export function build(markup: string, hrefOf: (search: string) => string): DocumentFragment {
  // An inert document: nothing in it runs or loads.
  const { body } = new DOMParser().parseFromString(markup, 'text/html');
  const built = document.createDocumentFragment();
  copyInto(built, body, hrefOf);
  return built;
}

function copyInto(target: Node, source: Node, hrefOf: (search: string) => string): void {
  for (const child of source.childNodes) {
    if (child.nodeType === Node.TEXT_NODE) target.appendChild(document.createTextNode(child.nodeValue ?? ''));
    else if (child instanceof Element) {
      const copy = emptyCopy(child);
      // Of what is unknown neither the element nor what is in it.
      if (copy === undefined) continue;
      for (const { name, value } of child.attributes) setAttribute(copy, name, value, hrefOf);
      copyInto(copy, child, hrefOf);
      target.appendChild(copy);
    }
  }
}

function emptyCopy({ localName, namespaceURI }: Element): Element | undefined {
  if (namespaceURI === DRAWING)
    return DRAWN.has(localName) ? document.createElementNS(DRAWING, localName) : undefined;
  const name = PLAIN[localName] ?? localName;
  return ELEMENTS.has(name) ? document.createElement(name) : undefined;
}

function setAttribute(copy: Element, name: string, value: string, hrefOf: (search: string) => string): void {
  if (name === 'href') {
    if (copy.localName === 'a' && value.startsWith('?')) {
      copy.setAttribute('href', hrefOf(value));
      copy.setAttribute('data-search', value);
    }
  } else if (name === 'style') {
    if (COLOUR.test(value)) copy.setAttribute(name, value);
  } else if (NAMES.has(name)) {
    copy.setAttribute(
      name,
      value.replace(/\S+/g, (one) => `b2-${one}`),
    );
  } else if (ATTRIBUTES.has(name) || name.startsWith('aria-') || name.startsWith('data-')) {
    copy.setAttribute(name, value);
  }
}
