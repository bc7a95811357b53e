//! What looks like a setting where no value stands: in the comments of a configuration, and in a text that cannot be
//! parsed.

use std::collections::HashMap;
use std::ops::Range;

use crate::source::json5;

/// Ends of names of our own secrets, without what separates words.
const OWN: &[&str] = &["applicationkey", "passphrase", "recoverycode", "b2backupoldkeys"];
/// Ends of names that are secrets in settings of git, beside those of the configuration.
const OF_GIT: &[&str] = &["authorization", "extraheader", "cookie"];

/// Something that looks like a setting.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Setting {
    /// The names above it and its own, where they are known. What has none is called 0, like the first of a list.
    pub(super) path: Vec<String>,
    /// Which one of those with the same path it is, from 0.
    pub(super) number: usize,
    /// Where the value stands.
    pub(super) range: Range<usize>,
}

impl Setting {
    /// Whether it has the name of one of our own secrets.
    pub(super) fn is_own(&self) -> bool {
        self.ends_with(OWN)
    }

    /// Whether it has a name that is a secret in settings of git.
    pub(super) fn is_of_git(&self) -> bool {
        self.ends_with(OF_GIT)
    }

    fn ends_with(&self, ends: &[&str]) -> bool {
        let Some(name) = self.path.last() else { return false };
        let name = name.to_ascii_lowercase().replace(['_', '-'], "");
        ends.iter().any(|end| name.ends_with(end))
    }
}

/// What looks like a setting in the comments of a text that is JSON5.
pub(super) fn in_comments(text: &str) -> Vec<Setting> {
    let mut reader = Loose::new(text.as_bytes());
    let (mut at, mut name) = (0, None);
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        let length = json5::comment(rest);
        if length > 0 {
            // Comments that follow each other are one text; what it opens ends with it.
            let depth = reader.path.len();
            let above = reader.path.clone();
            let mut end = at;
            while let Some((start, length)) = next_comment(text, end) {
                end = start + length;
                reader.read(start + 2..end, depth);
            }
            reader.path = above;
            at = end;
            continue;
        }
        let Some(c) = rest.chars().next() else { break };
        at += c.len_utf8();
        match c {
            '"' | '\'' => {
                let end = at + string_end(rest.get(1..).unwrap_or_default().as_bytes(), c as u8);
                name = text.get(at - 1..(end + 1).min(text.len()));
                at = end + 1;
            }
            '{' | '[' => {
                let above = name.take().and_then(json5::name);
                reader.path.push(above.unwrap_or_else(|| "0".to_owned()));
            }
            '}' | ']' => {
                reader.path.pop();
                name = None;
            }
            ',' => name = None,
            c if c.is_whitespace() || c == ':' || c == '\u{feff}' => {}
            _ => {
                let ends = |c: char| c.is_whitespace() || "{}[]:,/\"'".contains(c);
                let length = rest.find(ends).unwrap_or(rest.len()).max(c.len_utf8());
                name = rest.get(..length);
                at += length - c.len_utf8();
            }
        }
    }
    reader.numbered()
}

/// What looks like a setting anywhere in a text.
pub(super) fn anywhere(bytes: &[u8]) -> Vec<Setting> {
    let mut reader = Loose::new(bytes);
    reader.read(0..bytes.len(), 0);
    reader.numbered()
}

/// The comment that comes next behind white space.
fn next_comment(text: &str, at: usize) -> Option<(usize, usize)> {
    let rest = text.get(at..)?;
    let begun = rest.trim_start();
    let length = json5::comment(begun);
    (length > 0).then_some((at + rest.len() - begun.len(), length))
}

/// Where a string ends, or all that there is.
fn string_end(bytes: &[u8], quote: u8) -> usize {
    let mut escaped = false;
    let end = bytes.iter().position(|byte| {
        let ends = *byte == quote && !escaped;
        escaped = *byte == b'\\' && !escaped;
        ends
    });
    end.unwrap_or(bytes.len())
}

struct Loose<'a> {
    bytes: &'a [u8],
    path: Vec<String>,
    found: Vec<(Vec<String>, Range<usize>)>,
}

impl<'a> Loose<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, path: Vec::new(), found: Vec::new() }
    }

    fn byte(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or_default()
    }

    /// Reads a stretch. `outer` is how many names are above it.
    fn read(&mut self, stretch: Range<usize>, outer: usize) {
        let mut pending: Option<String> = None;
        let mut at = stretch.start;
        while at < stretch.end {
            match self.byte(at) {
                b':' if self.bytes.get(at + 1..at + 3) == Some(b"//") => self.address(at, &stretch),
                b':' | b'=' => {
                    if let Some(name) = self.name_before(at, stretch.start) {
                        let value = self.value_after(at + 1, stretch.end);
                        // It may have a list or an object for a value.
                        let opens = value.is_empty() || b"{[".contains(&self.byte(value.start));
                        self.put(Some(&name), value);
                        pending = opens.then_some(name);
                    }
                }
                b'{' | b'[' => self.path.push(pending.take().unwrap_or_else(|| "0".to_owned())),
                b'}' | b']' => {
                    self.path.pop();
                }
                quote @ (b'"' | b'\'') if self.path.len() > outer => {
                    // One of a list.
                    let line = self.line_end(at + 1, stretch.end);
                    let rest = self.bytes.get(at + 1..line).unwrap_or_default();
                    let end = at + 1 + string_end(rest, quote);
                    if end < line && self.before(at, stretch.start) {
                        self.put(Some("0"), at + 1..end);
                    }
                }
                b',' => pending = None,
                _ => {}
            }
            at += 1;
        }
    }

    /// Whether a quote at a place may begin a text in a list.
    fn before(&self, at: usize, start: usize) -> bool {
        let before = self.bytes.get(start..at).unwrap_or_default();
        let before = before.iter().rev().find(|byte| !b" \t\r\n*/".contains(*byte));
        before.is_none_or(|byte| matches!(byte, b'[' | b','))
    }

    fn put(&mut self, name: Option<&str>, range: Range<usize>) {
        if !range.is_empty() {
            let mut path = if name.is_some() { self.path.clone() } else { Vec::new() };
            path.extend(name.map(str::to_owned));
            self.found.push((path, range));
        }
    }

    /// The name that a separator follows.
    fn name_before(&self, separator: usize, start: usize) -> Option<String> {
        let before = self.bytes.get(start..separator)?.trim_ascii_end();
        let before = before.strip_suffix(b"\"").or(before.strip_suffix(b"'")).unwrap_or(before);
        let part = |byte: &u8| byte.is_ascii_alphanumeric() || b"_$.-".contains(byte);
        let begin = before.iter().rposition(|byte| !part(byte)).map_or(0, |at| at + 1);
        let name = before.get(begin..).filter(|name| !name.is_empty())?;
        Some(String::from_utf8_lossy(name).into_owned())
    }

    /// A quoted text without its quotes, or what is left of the line. Empty where a list or nothing follows.
    fn value_after(&self, after: usize, end: usize) -> Range<usize> {
        let line = self.line_end(after, end);
        let is_blank = |at: &usize| matches!(self.byte(*at), b' ' | b'\t');
        let start = (after..line).find(|at| !is_blank(at)).unwrap_or(line);
        let quote = self.byte(start);
        if start < line && matches!(quote, b'"' | b'\'' | b'`') {
            // What goes on in the next line has a backslash before it.
            let rest = self.bytes.get(start + 1..end).unwrap_or_default();
            let close = start + 1 + string_end(rest, quote);
            let unescaped = |at: usize| self.byte(at) == b'\n' && !self.is_escaped(at);
            if close < end && !(start..close).any(unescaped) {
                return start + 1..close;
            }
        }
        let rest = self.bytes.get(start..line).unwrap_or_default();
        let remark = rest.windows(3).position(|bytes| bytes == b" //").unwrap_or(rest.len());
        let rest = rest.get(..remark).unwrap_or_default();
        let rest = rest.strip_suffix(b"*/").unwrap_or(rest).trim_ascii_end();
        let rest = rest.strip_suffix(b",").unwrap_or(rest);
        let nothing: [&[u8]; 6] = [b"{", b"[", b"null", b"true", b"false", b"{}"];
        if nothing.contains(&rest) { start..start } else { start..start + rest.len() }
    }

    fn is_escaped(&self, at: usize) -> bool {
        let before = self.bytes.get(..at).unwrap_or_default();
        let before = before.strip_suffix(b"\r").unwrap_or(before);
        before.iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1
    }

    fn line_end(&self, at: usize, end: usize) -> usize {
        let rest = self.bytes.get(at..end).unwrap_or_default();
        at + rest.iter().position(|byte| matches!(byte, b'\n' | b'\r')).unwrap_or(rest.len())
    }

    /// An address around the `://` at a place.
    fn address(&mut self, at: usize, stretch: &Range<usize>) {
        let ends = |byte: &u8| byte.is_ascii_whitespace() || b"\"'`<>".contains(byte);
        let before = self.bytes.get(stretch.start..at).unwrap_or_default();
        let scheme = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
        let length = before.iter().rev().take_while(|byte| scheme(byte)).count();
        let rest = self.bytes.get(at..stretch.end).unwrap_or_default();
        let end = at + rest.iter().position(ends).unwrap_or(rest.len());
        if length > 0 {
            self.put(None, at - length..end);
        }
    }

    fn numbered(self) -> Vec<Setting> {
        let mut numbers: HashMap<Vec<String>, usize> = HashMap::new();
        let found = self.found.into_iter().map(|(path, range)| {
            let next = numbers.entry(path.clone()).or_default();
            let number = *next;
            *next += 1;
            Setting { path, number, range }
        });
        found.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str, found: &[Setting]) -> Vec<String> {
        let one = |setting: &Setting| {
            format!("{}={}", setting.path.join("."), &text[setting.range.clone()])
        };
        found.iter().map(one).collect()
    }

    #[test]
    fn settings_in_comments_have_the_names_above_them() {
        let text = r#"// first: "1"
        { a: { 'b c': [ { // "d": 'it\'s', e: two words
          "x//y": "not // z: 1", /* f: { // g: "7"
            h = `8`
          } */ i: 1, // l: [
          // "one", 'two',
          // ], m: "9"
        } ] } } // don't: "say" https://u:p@h/ or n: null, o: {"#;
        assert_eq!(
            shown(text, &in_comments(text)),
            [
                "first=1",
                "0.a.b c.0.d=it\\'s",
                "0.a.b c.0.e=two words",
                "0.a.b c.0.f.g=7",
                "0.a.b c.0.f.h=8",
                "0.a.b c.0.l.0=one",
                "0.a.b c.0.l.0=two",
                "0.a.b c.0.m=9",
                "t=say",
                "=https://u:p@h/",
                "u=p@h/ or n: null, o: {",
                "n=null, o: {",
            ]
        );
    }

    #[test]
    fn settings_are_found_in_what_is_no_json5() {
        let text = "[remote \"origin\"]\n\turl = https://u:t@h/x.git\n{ \"a\": { \"token\": \"x\\\"y\", broken";
        let found = anywhere(text.as_bytes());
        let shown = shown(text, &found);
        for wanted in ["url=https://u:t@h/x.git", "=https://u:t@h/x.git", "0.a.token=x\\\"y"] {
            assert!(shown.iter().any(|found| found == wanted), "{wanted}: {shown:?}");
        }
        let all = anywhere(b"token: a\ntoken: b\n");
        assert_eq!(all.iter().map(|setting| setting.number).collect::<Vec<_>>(), [0, 1]);
    }
}
