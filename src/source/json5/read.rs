//! Where in a JSON5 text its values stand.

use serde_json::Value;

use super::parse;

/// A value's place in a text, in bytes.
pub(super) struct Node {
    pub(super) start: usize,
    pub(super) end: usize,
    /// Of an object or a list.
    pub(super) items: Option<Vec<Item>>,
}

/// A field of an object, or an element of a list.
pub(super) struct Item {
    /// Of a field.
    pub(super) key: Option<String>,
    pub(super) start: usize,
    pub(super) value: Node,
    /// The comma that follows.
    pub(super) comma: Option<usize>,
}

/// Finds the places. The text has been parsed already, so it nests no deeper than that allows.
pub(super) struct Reader<'a> {
    pub(super) text: &'a str,
    pub(super) at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn document(mut self) -> Option<Node> {
        self.skip();
        let node = self.value()?;
        self.skip();
        (self.at == self.text.len()).then_some(node)
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn next(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// Passes white space and comments.
    fn skip(&mut self) {
        loop {
            let rest = self.rest();
            let blank = rest.len() - rest.trim_start_matches(is_blank).len();
            self.at += blank;
            let comment = comment(self.rest());
            self.at += comment;
            if blank + comment == 0 {
                return;
            }
        }
    }

    fn take(&mut self, wanted: char) -> bool {
        let found = self.next() == Some(wanted);
        if found {
            self.at += wanted.len_utf8();
        }
        found
    }

    fn value(&mut self) -> Option<Node> {
        let start = self.at;
        let items = match self.next()? {
            '{' => Some(self.items('}')?),
            '[' => Some(self.items(']')?),
            _ => {
                self.word()?;
                None
            }
        };
        Some(Node { start, end: self.at, items })
    }

    fn items(&mut self, close: char) -> Option<Vec<Item>> {
        self.at += 1;
        let mut items = Vec::new();
        loop {
            self.skip();
            if self.take(close) {
                return Some(items);
            }
            let start = self.at;
            let mut key = None;
            if close == '}' {
                key = Some(name(self.word()?)?);
                self.skip();
                if !self.take(':') {
                    return None;
                }
                self.skip();
            }
            let value = self.value()?;
            self.skip();
            let comma = self.at;
            let comma = self.take(',').then_some(comma);
            items.push(Item { key, start, value, comma });
            if comma.is_none() && self.next() != Some(close) {
                return None;
            }
        }
    }

    /// A text in quotes, a number, a name.
    fn word(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        let quote = rest.chars().next().filter(|first| matches!(first, '"' | '\''));
        let length = if let Some(quote) = quote {
            let mut escaped = false;
            let end = rest.char_indices().skip(1).find(|(_, char)| {
                let ends = *char == quote && !escaped;
                escaped = *char == '\\' && !escaped;
                ends
            });
            end?.0 + 1
        } else {
            let ends = |char: char| is_blank(char) || "{}[]:,/\"'".contains(char);
            rest.find(ends).unwrap_or(rest.len())
        };
        let word = rest.get(..length).filter(|word| !word.is_empty())?;
        self.at += length;
        Some(word)
    }
}

fn is_blank(char: char) -> bool {
    char.is_whitespace() || char == '\u{feff}'
}

/// How long the comment is that a text begins with.
pub(crate) fn comment(text: &str) -> usize {
    if let Some(rest) = text.strip_prefix("/*") {
        return rest.find("*/").map_or(text.len(), |end| end + 4);
    }
    if text.starts_with("//") {
        return text.find(['\n', '\r', '\u{2028}', '\u{2029}']).unwrap_or(text.len());
    }
    0
}

/// What a field is called whose name is written as `word`.
pub(crate) fn name(word: &str) -> Option<String> {
    match parse(&format!("{{{word}:0}}")).ok()? {
        Value::Object(fields) => fields.into_iter().next().map(|(name, _)| name),
        _ => None,
    }
}
