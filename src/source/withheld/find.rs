//! Finding a text in the bytes of a file, however its characters are written there.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;

use crate::format::RecoveryCode;

/// A shorter text may stand in another by accident: it counts where it is a whole value.
const LONG: usize = 12;
/// So many looks at a character are enough for all secrets that a configuration has, and take seconds at most.
const MOST_LOOKS: u64 = 1 << 29;

/// Places, with the number of the text that stands there.
type Found = Vec<(Range<usize>, usize)>;

/// Every place where one of `texts` stands, as it is or with any of the escapes of JSON5, with the number of that text.
/// Of two that share bytes the longer one, and of two that are as long the first. `None` when there is too much to look
/// at.
pub(super) fn find_all(bytes: &[u8], texts: &[&str]) -> Option<Found> {
    find_within(bytes, texts, MOST_LOOKS).ok()
}

/// There is too much to look at.
#[derive(Debug, PartialEq, Eq)]
struct TooMuch;

/// How many more looks there may be.
struct Looks(u64);

impl Looks {
    fn take(&mut self) -> Result<(), TooMuch> {
        self.0 = self.0.checked_sub(1).ok_or(TooMuch)?;
        Ok(())
    }
}

fn find_within(bytes: &[u8], texts: &[&str], looks: u64) -> Result<Found, TooMuch> {
    let mut by_first: Vec<Vec<usize>> = vec![Vec::new(); 256];
    for (number, text) in texts.iter().enumerate() {
        let first = text.as_bytes().first().copied().map(usize::from);
        if let Some(texts) = first.and_then(|first| by_first.get_mut(first)) {
            texts.push(number);
        }
    }
    let of = |first: u8| by_first.get(usize::from(first)).map(Vec::as_slice).unwrap_or_default();
    let mut left = Looks(looks);
    // Where each text may begin again: behind the place where it was found last.
    let mut free = vec![0; texts.len()];
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        // A text that begins behind such lines begins with them.
        let start = at;
        let begun = after_lines(rest, &mut left)?;
        at = bytes.len() - begun.len();
        let Some(first) = begun.first() else { break };
        let escaped = after_escape(begun).map(|(c, _)| first_byte(c));
        let escaped = escaped.filter(|escaped| escaped != first).map(of);
        for number in of(*first).iter().chain(escaped.into_iter().flatten()) {
            let Some((text, free)) = texts.get(*number).zip(free.get_mut(*number)) else {
                continue;
            };
            let start = start.max(*free);
            if start > at {
                continue;
            }
            let Some(after) = after_text(begun, text, &mut left)? else { continue };
            let end = bytes.len() - after.len();
            let counts = |start: &usize| text.len() >= LONG || is_whole(bytes, *start, end);
            if let Some(start) = [start, at].into_iter().find(counts) {
                found.push((start..end, *number));
                *free = end;
            }
        }
        left.take()?;
        at += 1;
    }
    Ok(without_overlaps(found, texts))
}

/// The longest text first: one may be part of another.
fn without_overlaps(mut found: Found, texts: &[&str]) -> Found {
    let length = |number: usize| texts.get(number).map_or(0, |text| text.len());
    found.sort_by_key(|(range, number)| (Reverse(length(*number)), *number, range.start));
    let mut taken: BTreeMap<usize, (usize, usize)> = BTreeMap::new();
    for (range, number) in found {
        // Those that are taken do not overlap: only the last one that begins before the end may reach into it.
        let before = taken.range(..range.end).next_back();
        if before.is_none_or(|(_, (end, _))| *end <= range.start) {
            taken.insert(range.start, (range.end, number));
        }
    }
    taken.into_iter().map(|(start, (end, number))| (start..end, number)).collect()
}

/// What follows `text`, if it is what comes next.
fn after_text<'a>(
    bytes: &'a [u8],
    text: &str,
    left: &mut Looks,
) -> Result<Option<&'a [u8]>, TooMuch> {
    let mut rest = bytes;
    for c in text.chars() {
        rest = after_lines(rest, left)?;
        left.take()?;
        let Some(after) = after_char(rest, c) else { return Ok(None) };
        rest = after;
    }
    Ok(Some(rest))
}

/// What follows lines of a string that go on in the next one.
fn after_lines<'a>(mut rest: &'a [u8], left: &mut Looks) -> Result<&'a [u8], TooMuch> {
    const ENDS: [&[u8]; 5] =
        [b"\\\r\n", b"\\\n", b"\\\r", "\\\u{2028}".as_bytes(), "\\\u{2029}".as_bytes()];
    while let Some(after) = ENDS.iter().find_map(|end| rest.strip_prefix(*end)) {
        left.take()?;
        rest = after;
    }
    Ok(rest)
}

/// What follows the character, if it is the next one.
fn after_char(rest: &[u8], c: char) -> Option<&[u8]> {
    let escape = after_escape(rest).filter(|(escaped, _)| *escaped == c);
    let mut buffer = [0; 4];
    let plain = || rest.strip_prefix(c.encode_utf8(&mut buffer).as_bytes());
    escape.map(|(_, after)| after).or_else(plain)
}

fn first_byte(c: char) -> u8 {
    let mut buffer = [0; 4];
    c.encode_utf8(&mut buffer).as_bytes().first().copied().unwrap_or_default()
}

/// The character of the escape that is next, and what follows.
fn after_escape(rest: &[u8]) -> Option<(char, &[u8])> {
    let escape = rest.strip_prefix(b"\\")?;
    let after = escape.get(1..)?;
    let c = match escape.first()? {
        b'u' => return after_units(rest),
        b'x' => {
            let (digits, after) = after.split_at_checked(2)?;
            return Some((char::from_u32(hex(digits)?)?, after));
        }
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'v' => '\u{b}',
        b'0' => '\0',
        byte if byte.is_ascii() => char::from(*byte),
        _ => {
            // As many bytes as the character has.
            let text =
                (2..=4).find_map(|length| std::str::from_utf8(escape.get(..length)?).ok())?;
            return Some((text.chars().next()?, escape.get(text.len()..)?));
        }
    };
    Some((c, after))
}

/// The same of one or two units of UTF-16, as `\u00e9`.
fn after_units(rest: &[u8]) -> Option<(char, &[u8])> {
    let unit = |rest: &'_ [u8]| -> Option<u16> {
        u16::try_from(hex(rest.strip_prefix(b"\\u")?.get(..4)?)?).ok()
    };
    let first = unit(rest)?;
    let second = unit(rest.get(6..)?);
    let units = std::iter::once(first).chain(second);
    let c = char::decode_utf16(units).next()?.ok()?;
    Some((c, rest.get(6 * c.len_utf16()..)?))
}

fn hex(digits: &[u8]) -> Option<u32> {
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_go_on_cost_one_look_each() {
        let lines = "\\\n".repeat(10_000);
        let text = format!("{{ a: 'K{lines}ey-of-ours-1' }}{lines}");
        let found = |looks| find_within(text.as_bytes(), &["Key-of-ours-1"], looks);
        assert_eq!(found(50_000), Ok(vec![(6..6 + 20_000 + 13, 0)]));
        assert_eq!(found(10_000), Err(TooMuch));
    }

    #[test]
    fn the_longer_of_two_that_share_bytes_is_found() {
        let texts = ["begin-of-this", "this-is-the-longer-one", "longer-one-x"];
        let found = find_all(b"begin-of-this-is-the-longer-one-x begin-of-this", &texts);
        assert_eq!(found, Some(vec![(9..31, 1), (34..47, 0)]));
    }
}
