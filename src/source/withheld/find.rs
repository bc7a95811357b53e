//! Finding a text in the bytes of a file, however its characters are written there.

use std::ops::Range;

use crate::format::RecoveryCode;

/// A shorter text may stand in another by accident: it counts where it is a whole value.
const LONG: usize = 12;

/// Every place where `text` stands, as it is or with any of the escapes of JSON5.
pub(super) fn find_all(bytes: &[u8], text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let first = text.as_bytes().first().copied();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let end =
            (Some(*byte) == first || *byte == b'\\').then(|| end_of(bytes, at, text)).flatten();
        match end.filter(|end| text.len() >= LONG || is_whole(bytes, at, *end)) {
            Some(end) => {
                found.push(at..end);
                at = end;
            }
            None => at += 1,
        }
    }
    found
}

/// Where `text` ends, if it begins at `at`.
fn end_of(bytes: &[u8], at: usize, text: &str) -> Option<usize> {
    let mut rest = bytes.get(at..)?;
    for c in text.chars() {
        while let Some(after) = continued(rest) {
            rest = after;
        }
        rest = after_char(rest, c)?;
    }
    Some(bytes.len() - rest.len())
}

/// What follows a line of a string that goes on in the next one.
fn continued(rest: &[u8]) -> Option<&[u8]> {
    rest.strip_prefix(b"\\\r\n").or_else(|| rest.strip_prefix(b"\\\n"))
}

/// What follows the character, if it is the next one.
fn after_char(rest: &[u8], c: char) -> Option<&[u8]> {
    let mut buffer = [0; 4];
    let plain = c.encode_utf8(&mut buffer).as_bytes();
    let escape = rest.strip_prefix(b"\\").and_then(|escape| after_escape(escape, c, plain));
    escape.or_else(|| rest.strip_prefix(plain))
}

/// The same after a backslash.
fn after_escape<'a>(escape: &'a [u8], c: char, plain: &[u8]) -> Option<&'a [u8]> {
    let mut units = [0; 2];
    let hex = |digits: &[u8]| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    match escape.first()? {
        b'u' => {
            let mut rest = escape;
            for (number, unit) in c.encode_utf16(&mut units).iter().enumerate() {
                rest = rest.strip_prefix(if number == 0 { b"u" as &[u8] } else { b"\\u" })?;
                let (digits, after) = rest.split_at_checked(4)?;
                rest = after;
                if hex(digits)? != u32::from(*unit) {
                    return None;
                }
            }
            Some(rest)
        }
        b'x' => {
            let (digits, after) = escape.get(1..)?.split_at_checked(2)?;
            (hex(digits)? == u32::from(c)).then_some(after)
        }
        letter => {
            let named = match letter {
                b'b' => '\u{8}',
                b'f' => '\u{c}',
                b'n' => '\n',
                b'r' => '\r',
                b't' => '\t',
                b'v' => '\u{b}',
                b'0' => '\0',
                _ => return escape.strip_prefix(plain),
            };
            (named == c).then(|| escape.get(1..)).flatten()
        }
    }
}

fn is_whole(bytes: &[u8], start: usize, end: usize) -> bool {
    let before = start.checked_sub(1).and_then(|at| bytes.get(at));
    let edge = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\'' | b'`');
    before.is_none_or(|byte| edge(byte) || *byte == b'=')
        && bytes.get(end).is_none_or(|byte| edge(byte) || *byte == b',')
}

/// Every recovery code: it says of itself that it is one.
pub(super) fn recovery_codes(bytes: &[u8]) -> Vec<Range<usize>> {
    let part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let mut found = Vec::new();
    let mut at = 0;
    for run in bytes.chunk_by(|a, b| part(*a) == part(*b)) {
        let text = std::str::from_utf8(run).ok().filter(|text| (35..=60).contains(&text.len()));
        if text.is_some_and(|text| RecoveryCode::parse(text).is_ok()) {
            found.push(at..at + run.len());
        }
        at += run.len();
    }
    found
}
