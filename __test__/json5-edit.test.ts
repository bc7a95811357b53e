/** Changes in openclaw.json that keep what people wrote there. */
import { describe, expect, it } from 'vitest';
import { contentOf, edited, hasComments } from '../ts/setup/json5-edit.ts';

const AT = ['plugins', 'entries', 'b2-backup', 'config', 'bucket'];

describe('an edit', () => {
  it.each([
    ['nothing', '', '{\n  "a": {\n    "b": 1\n  }\n}\n'],
    ['an empty object', '{}', '{\n  "a": {\n    "b": 1\n  }\n}'],
    [
      'an object with nothing but a comment',
      '{\n  // mine\n}\n',
      '{\n  // mine\n  "a": {\n    "b": 1\n  }\n}\n',
    ],
    ['one line', '{ x: 1 }', '{ x: 1, "a": {\n    "b": 1\n  } }'],
    ['one line that ends in a comma', '{ x: 1, }', '{ x: 1, "a": {\n    "b": 1\n  } }'],
    ['no comma at the end', '{\n  x: 1\n}', '{\n  x: 1,\n  "a": {\n    "b": 1\n  }\n}'],
    ['a comma at the end', '{\n  x: 1,\n}', '{\n  x: 1,\n  "a": {\n    "b": 1\n  },\n}'],
    [
      'a comment behind the last line',
      '{\n  x: 1 // one\n  // more\n}',
      '{\n  x: 1, // one\n  "a": {\n    "b": 1\n  }\n  // more\n}',
    ],
    [
      'a comment behind the last comma',
      '{\n\tx: 1, /* one */\n}',
      '{\n\tx: 1, /* one */\n\t"a": {\n\t\t"b": 1\n\t},\n}',
    ],
    ['a level that is there', '{\n  a: { c: 2 },\n}', '{\n  a: { c: 2, "b": 1 },\n}'],
    ['the value of before', "{\n  'a': { b: [1, 2,], },\n}", "{\n  'a': { b: 1, },\n}"],
    ['two of a name', '{ a: 5, a: { b: 0 } }', '{ a: 5, a: { b: 1 } }'],
  ])('keeps what there is: %s', (_, before, after) => {
    const result = edited(before, [{ path: ['a', 'b'], value: 1 }]);
    expect(result).toBe(after);
    expect(contentOf(result)).toMatchObject({ a: { b: 1 } });
  });

  it.each([
    ['a line', '{\n  a: 1,\n  b: 2,\n  c: 3\n}', '{\n  a: 1,\n  c: 3\n}', 'b'],
    ['the last line', '{\n  a: 1,\n  b: 2\n}', '{\n  a: 1\n}', 'b'],
    ['in one line', '{ a: 1, b: 2 }', '{ a: 1 }', 'b'],
    ['all there is', '{ b: 2 }', '{  }', 'b'],
    ['what is not there', '{ a: 1 }', '{ a: 1 }', 'b'],
  ])('takes away: %s', (_, before, after, name) => {
    const result = edited(before, [{ path: [name], value: undefined }]);
    expect(result).toBe(after);
    expect(contentOf(result)).not.toHaveProperty(name);
  });

  it('changes one thing in a file that somebody cares for', () => {
    const before = [
      '// The gateway of the kitchen',
      '{',
      '  gateway: { port: 18789, auth: { mode: "token", token: \'t\' } }, // do not change',
      '  plugins: {',
      '    entries: {',
      '      "b2-backup": {',
      '        enabled: false,',
      '        config: {',
      '          bucket: "old", /* the old one */',
      '          keepDaily: +7,',
      '        },',
      '      },',
      '    },',
      '  },',
      '  agents: { list: [{ id: "main" }], },',
      '}',
      '',
    ].join('\n');
    const after = edited(before, [
      { path: AT, value: 'new' },
      { path: [...AT.slice(0, 3), 'enabled'], value: true },
      { path: [...AT.slice(0, 4), 'keyId'], value: 'id' },
    ]);
    const wanted = before
      .replace('bucket: "old"', 'bucket: "new"')
      .replace('enabled: false', 'enabled: true')
      .replace('keepDaily: +7,\n', 'keepDaily: +7,\n          "keyId": "id",\n');
    expect(after).toBe(wanted);
    expect([hasComments(after), hasComments('{ "a": "// no" }'), hasComments('')]).toEqual([
      true,
      false,
      false,
    ]);
  });

  it.each([
    ['{ plugins: ', /not valid JSON5/],
    ['{\n  a: 1\n  b: 2\n}', /not valid JSON5 at line 3/],
    ['[]', /must hold an object/],
    ['{ plugins: null }', /^plugins must be an object/],
    ['{ plugins: { entries: [] } }', /^plugins\.entries must be an object/],
  ])('does not guess: %s', (text, message) => {
    expect(() => edited(text, [{ path: AT, value: 'x' }])).toThrow(message);
  });
});
