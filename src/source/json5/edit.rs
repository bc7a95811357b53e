//! Changing a JSON5 text so that it has another value, and otherwise the same bytes: order, comments, and white space
//! of what does not change stay.

use serde_json::{Map, Value};

use super::parse;
use super::read::{Item, Node, Reader, comment};

/// `text`, whose value is `before`, with the value `after`. What is new is written as it stands in the text `model`,
/// where that has the same value at the same place. `None` where that cannot be done.
pub(crate) fn rewrite(
    text: &str,
    before: &Value,
    after: &Value,
    model: Option<&str>,
) -> Option<String> {
    let node = Reader { text, at: 0 }.document()?;
    let model = model.and_then(|model| {
        let node = Reader { text: model, at: 0 }.document()?;
        Some(Model { text: model, node })
    });
    let mut edits = Edits { text, list: Vec::new() };
    edits.change(&node, before, after, model.as_ref().map(Model::part))?;
    let changed = edits.carried_out()?;
    // Whatever is odd about the text, such as a name that stands twice: the result is what was asked for, or none.
    (parse(&changed).ok().as_ref() == Some(after)).then_some(changed)
}

/// A text that what is new may be taken from.
struct Model<'a> {
    text: &'a str,
    node: Node,
}

/// A value in it.
#[derive(Clone, Copy)]
struct Part<'a> {
    text: &'a str,
    node: &'a Node,
}

impl Model<'_> {
    fn part(&self) -> Part<'_> {
        Part { text: self.text, node: &self.node }
    }
}

impl<'a> Part<'a> {
    fn field(self, key: &str) -> Option<Self> {
        let items = self.node.items.as_ref()?;
        let item = items.iter().rfind(|item| item.key.as_deref() == Some(key))?;
        Some(Self { node: &item.value, ..self })
    }

    fn source(self) -> Option<&'a str> {
        self.text.get(self.node.start..self.node.end)
    }
}

/// Something new among the items of an object or a list.
struct New<'a> {
    key: Option<&'a str>,
    value: &'a Value,
    part: Option<Part<'a>>,
}

/// Pieces of the text that become others.
struct Edits<'a> {
    text: &'a str,
    list: Vec<(usize, usize, String)>,
}

impl Edits<'_> {
    fn change(
        &mut self,
        node: &Node,
        before: &Value,
        after: &Value,
        part: Option<Part<'_>>,
    ) -> Option<()> {
        if before == after {
            return Some(());
        }
        match (&node.items, before, after) {
            (Some(items), Value::Object(before), Value::Object(after)) => {
                self.fields(node, items, before, after, part)
            }
            (Some(items), Value::Array(before), Value::Array(after)) => {
                self.elements(node, items, before, after)
            }
            _ => {
                let indent = self.indent(node.start).to_owned();
                self.list.push((node.start, node.end, written(after, part, &indent)));
                Some(())
            }
        }
    }

    fn fields(
        &mut self,
        node: &Node,
        items: &[Item],
        before: &Map<String, Value>,
        after: &Map<String, Value>,
        part: Option<Part<'_>>,
    ) -> Option<()> {
        let mut stays = Vec::new();
        for item in items {
            let key = item.key.as_deref()?;
            stays.push(after.contains_key(key));
            if let Some(after) = after.get(key) {
                let part = part.and_then(|part| part.field(key));
                self.change(&item.value, before.get(key)?, after, part)?;
            }
        }
        let mut new: Vec<New<'_>> = after
            .iter()
            .filter(|(key, _)| !before.contains_key(*key))
            .map(|(key, value)| {
                let part = part.and_then(|part| part.field(key));
                New { key: Some(key), value, part }
            })
            .collect();
        new.sort_by_key(|new| new.part.map_or(usize::MAX, |part| part.node.start));
        self.list(node, items, &stays, &new)
    }

    fn elements(
        &mut self,
        node: &Node,
        items: &[Item],
        before: &[Value],
        after: &[Value],
    ) -> Option<()> {
        if items.len() != before.len() {
            return None;
        }
        if before.len() == after.len() {
            for ((item, before), after) in items.iter().zip(before).zip(after) {
                self.change(&item.value, before, after, None)?;
            }
            return Some(());
        }
        let mut rest = after.iter().peekable();
        let stays: Vec<bool> =
            before.iter().map(|value| rest.next_if(|next| *next == value).is_some()).collect();
        let new: Vec<New<'_>> = rest.map(|value| New { key: None, value, part: None }).collect();
        self.list(node, items, &stays, &new)
    }

    /// Takes out the items that do not stay, and writes the new ones behind the others.
    fn list(&mut self, node: &Node, items: &[Item], stays: &[bool], new: &[New<'_>]) -> Option<()> {
        let trailing = items.last().is_some_and(|item| item.comma.is_some());
        for (item, _) in items.iter().zip(stays).filter(|(_, stays)| !**stays) {
            let (start, end) =
                self.with_line(item.start, item.comma.map_or(item.value.end, |at| at + 1));
            self.list.push((start, end, String::new()));
        }
        let last = items.iter().zip(stays).rfind(|(_, stays)| **stays).map(|(item, _)| item);
        if new.is_empty() {
            if let Some(comma) = last.and_then(|last| last.comma).filter(|_| !trailing) {
                self.list.push((comma, comma + 1, String::new()));
            }
            return Some(());
        }
        let (open, close) = (node.start + 1, node.end.checked_sub(1)?);
        let outer = self.indent(node.start).to_owned();
        let first = items.first().map_or(close, |item| item.start);
        let lines = items.is_empty() || self.text.get(open..first)?.contains('\n');
        let inner = match items.first() {
            Some(item) if lines => self.indent(item.start).to_owned(),
            _ => format!("{outer}  "),
        };
        let written: Vec<String> = new
            .iter()
            .map(|new| {
                let value = written(new.value, new.part, &inner);
                new.key
                    .map_or_else(|| value.clone(), |key| format!("{}: {value}", Value::from(key)))
            })
            .collect();
        let between = if lines { format!("\n{inner}") } else { " ".to_owned() };
        let mut text = format!(",{between}{}", written.join(&format!(",{between}")));
        let at = match last {
            None => open,
            Some(last) => self.end_of_line(last.comma.map_or(last.value.end, |at| at + 1)),
        };
        match last {
            // The comma is there, or belongs before the comment that may stand between.
            Some(Item { comma: None, value, .. }) if at > value.end => {
                self.list.push((value.end, value.end, ",".to_owned()));
                text.remove(0);
            }
            Some(Item { comma: None, .. }) => {}
            _ => {
                text.remove(0);
            }
        }
        if trailing {
            text.push(',');
        }
        if items.is_empty() && !self.text.get(open..close)?.contains('\n') {
            text.push('\n');
            text.push_str(&outer);
        }
        self.list.push((at, at, text));
        Some(())
    }

    /// The white space that the line begins with in which `at` is.
    fn indent(&self, at: usize) -> &str {
        let before = self.text.get(..at).unwrap_or_default();
        let line =
            before.rfind('\n').map_or(before, |end| before.get(end + 1..).unwrap_or_default());
        let rest = line.trim_start_matches([' ', '\t']);
        line.get(..line.len() - rest.len()).unwrap_or_default()
    }

    /// The end of the line where nothing but white space and comments is left of it, else `at`.
    fn end_of_line(&self, at: usize) -> usize {
        let mut end = at;
        loop {
            let rest = self.text.get(end..).unwrap_or_default();
            let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\r']).len();
            let rest = rest.get(blank..).unwrap_or_default();
            if rest.starts_with('\n') {
                return end;
            }
            let comment = comment(rest);
            if comment == 0 || rest.get(..comment).is_some_and(|comment| comment.contains('\n')) {
                return at;
            }
            end += blank + comment;
        }
    }

    /// The piece with the whole line, where nothing else is in it.
    fn with_line(&self, start: usize, end: usize) -> (usize, usize) {
        let indent = self.indent(start).len();
        let begins = self.text.get(..start - indent).is_some_and(|before| before.ends_with('\n'));
        let rest = self.text.get(end..).unwrap_or_default();
        let blank = rest.len() - rest.trim_start_matches([' ', '\t', '\r']).len();
        let ends = rest.get(blank..).is_some_and(|rest| rest.starts_with('\n'));
        if begins && ends { (start - indent - 1, end + blank) } else { (start, end) }
    }

    fn carried_out(mut self) -> Option<String> {
        self.list.sort_by_key(|(start, end, _)| (*start, *end));
        let (mut changed, mut at) = (String::new(), 0);
        for (start, end, new) in &self.list {
            changed.push_str(self.text.get(at..*start)?);
            changed.push_str(new);
            at = *end;
        }
        changed.push_str(self.text.get(at..)?);
        Some(changed)
    }
}

/// A value as text: as it stands in `part`, as far as that has the same value.
fn written(value: &Value, part: Option<Part<'_>>, indent: &str) -> String {
    let source = part.and_then(Part::source);
    if let Some(source) = source.filter(|source| parse(source).ok().as_ref() == Some(value)) {
        return source.to_owned();
    }
    let inner = format!("{indent}  ");
    let list = |open: char, items: Vec<String>, close: char| {
        if items.is_empty() {
            return format!("{open}{close}");
        }
        let items = items.join(&format!(",\n{inner}"));
        format!("{open}\n{inner}{items}\n{indent}{close}")
    };
    match value {
        Value::Object(fields) => {
            let write = |(key, value): (&String, &Value)| {
                let part = part.and_then(|part| part.field(key));
                format!("{}: {}", Value::from(key.as_str()), written(value, part, &inner))
            };
            list('{', fields.iter().map(write).collect(), '}')
        }
        Value::Array(items) => {
            list('[', items.iter().map(|item| written(item, None, &inner)).collect(), ']')
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rewritten(text: &str, change: impl FnOnce(&mut Value)) -> String {
        modelled(text, None, change)
    }

    fn modelled(text: &str, model: Option<&str>, change: impl FnOnce(&mut Value)) -> String {
        let before = parse(text).unwrap();
        let mut after = before.clone();
        change(&mut after);
        rewrite(text, &before, &after, model).unwrap()
    }

    #[test]
    fn a_value_changes_where_it_stands() {
        let text = "\u{feff}// mine\n{\n  z: 1, // last letter\n  'a': { b: [1, 0x2, .5,], /* in */ c: 'x\\\n y', },\n}\n";
        let changed = rewritten(text, |value| {
            value["a"]["b"][1] = json!("two");
            value["z"] = json!({ "n": null });
        });
        assert_eq!(
            changed,
            "\u{feff}// mine\n{\n  z: {\n    \"n\": null\n  }, // last letter\n  'a': { b: [1, \"two\", .5,], /* in */ c: 'x\\\n y', },\n}\n"
        );
    }

    #[test]
    fn what_is_new_comes_last() {
        let add = |value: &mut Value| value["new"] = json!([1, {}]);
        for (text, expected) in [
            ("{}", "{\n  \"new\": [\n    1,\n    {}\n  ]\n}"),
            ("{ a: 1 }", "{ a: 1, \"new\": [\n    1,\n    {}\n  ] }"),
            ("{\n\ta: 1 // one\n}", "{\n\ta: 1, // one\n\t\"new\": [\n\t  1,\n\t  {}\n\t]\n}"),
            (
                "{\n  a: 1, /* one */\n}",
                "{\n  a: 1, /* one */\n  \"new\": [\n    1,\n    {}\n  ],\n}",
            ),
            ("{\n  // nothing\n}", "{\n  \"new\": [\n    1,\n    {}\n  ]\n  // nothing\n}"),
        ] {
            assert_eq!(rewritten(text, add), expected, "{text}");
        }
    }

    #[test]
    fn what_goes_takes_its_line_and_its_comma() {
        let goes = |value: &mut Value| {
            value.as_object_mut().unwrap().remove("b");
        };
        for (text, expected) in [
            ("{ a: 1, b: 2 }", "{ a: 1  }"),
            ("{\n  a: 1,\n  b: 2\n}", "{\n  a: 1\n}"),
            ("{\n  a: 1,\n  b: 2,\n}", "{\n  a: 1,\n}"),
            ("{\n  b: 2, // two\n  a: 1\n}", "{\n   // two\n  a: 1\n}"),
            ("{ b: 2 }", "{  }"),
            ("{ b: 1, a: 1, 'b': 2 }", "{  a: 1  }"),
        ] {
            assert_eq!(rewritten(text, goes), expected, "{text}");
        }
        let both = rewritten("{\n  a: 1,\n  b: 2\n}", |value| *value = json!({ "a": 1, "c": 3 }));
        assert_eq!(both, "{\n  a: 1,\n  \"c\": 3\n}");
        let lists = rewritten("{ l: ['x', 'y', /* last */ 'z'] }", |value| {
            value["l"] = json!(["x", "z", 1, 2]);
        });
        assert_eq!(parse(&lists).unwrap(), json!({ "l": ["x", "z", 1, 2] }));
        assert!(lists.contains("/* last */"));
    }

    #[test]
    fn what_is_live_is_written_as_it_stands_there() {
        let live = "{ p: { z: 1, /* kept */ a: [2] }, q: { y: { 'k': 1 }, x: 0 } }";
        let changed = modelled("{\n  p: {}\n}", Some(live), |value| {
            value["p"] = json!({ "z": 1, "a": [2] });
            value["q"] = json!({ "y": { "k": 1 } });
        });
        assert_eq!(
            changed,
            "{\n  p: {\n    \"z\": 1,\n    \"a\": [2]\n  },\n  \"q\": {\n    \"y\": { 'k': 1 }\n  }\n}"
        );
    }

    #[test]
    fn what_cannot_be_done_is_not_done() {
        // The first of two fields of a name counts for nothing, and both would change.
        let before = json!({ "a": 2 });
        assert_eq!(
            rewrite("{ a: 1, a: 2 }", &before, &json!({ "a": 3 }), None).unwrap(),
            "{ a: 3, a: 3 }"
        );
        assert_eq!(rewrite("{ a: 1, b: }", &before, &json!({}), None), None);
        assert_eq!(rewrite("", &before, &json!({}), None), None);
    }
}
