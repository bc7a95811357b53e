//! JSON5, as the host reads its configuration.

mod edit;
mod read;

pub(crate) use edit::rewrite;

pub(crate) use read::{comment, name};

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// How deep lists and objects may nest, as in `serde_json`: the parser calls itself for each, and a configuration
/// may come from a bucket that others write to.
const MAX_DEPTH: usize = 128;

/// The value of a text, which may begin with a byte order mark.
///
/// # Errors
/// The line, from 1, where it is no JSON5 or nests too deeply, where that is known. The parser's own words could quote
/// secrets.
pub(crate) fn parse(text: &str) -> Result<Value, Option<usize>> {
    tree(text)?;
    json5::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| line(&error))
}

/// As [`parse`], with every field, where a name stands more than once.
pub(crate) fn tree(text: &str) -> Result<Tree, Option<usize>> {
    json5::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| line(&error))
}

fn line(error: &json5::Error) -> Option<usize> {
    error.position().map(|at| at.line + 1)
}

/// All that stands in a text.
#[derive(Debug)]
pub(crate) enum Tree {
    /// Fields in their order, those of the same name too.
    Object(Vec<(String, Tree)>),
    /// The elements of a list.
    Array(Vec<Tree>),
    /// A text.
    Text(String),
    /// A number, a truth value, or nothing.
    Other,
}

impl Tree {
    /// Every field of this name: but for the last one they count for nothing.
    pub(crate) fn fields<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        let fields = if let Self::Object(fields) = self { fields.as_slice() } else { &[] };
        fields.iter().filter(move |(key, _)| key == name).map(|(_, field)| field)
    }

    /// The text that this is.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Level(0).deserialize(deserializer)
    }
}

/// What stands so deep.
#[derive(Clone, Copy)]
struct Level(usize);

impl Level {
    fn below<E: Error>(self) -> Result<Self, E> {
        if self.0 < MAX_DEPTH { Ok(Self(self.0 + 1)) } else { Err(E::custom("nests too deeply")) }
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Tree;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Tree, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Tree;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_str<E>(self, text: &str) -> Result<Tree, E> {
        Ok(Tree::Text(text.to_owned()))
    }

    fn visit_unit<E>(self) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_none<E>(self) -> Result<Tree, E> {
        Ok(Tree::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Tree, A::Error> {
        let below = self.below()?;
        let mut all = Vec::new();
        while let Some(item) = items.next_element_seed(below)? {
            all.push(item);
        }
        Ok(Tree::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Tree, A::Error> {
        let below = self.below()?;
        let mut all = Vec::new();
        while let Some(key) = fields.next_key::<String>()? {
            all.push((key, fields.next_value_seed(below)?));
        }
        Ok(Tree::Object(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_takes_is_read() {
        let text =
            "\u{feff}{ // comment\n a: [1, -2.5, +Infinity, 0x1f, 'x', null, true,], \"b\": {}, }";
        let value = parse(text).unwrap();
        assert_eq!(value.to_string(), r#"{"a":[1,-2.5,null,31,"x",null,true],"b":{}}"#);
        assert_eq!(parse("{\n a: 1\n oops"), Err(Some(3)));
    }

    #[test]
    fn every_field_is_in_the_tree() {
        let tree = tree("\u{feff}{ a: { b: 'x' }, 'a': { b: ['y'], \"b\": 1, b: 'z' } }").unwrap();
        let texts: Vec<_> = tree.fields("a").flat_map(|a| a.fields("b")).map(Tree::text).collect();
        assert_eq!(texts, [Some("x"), None, None, Some("z")]);
        assert_eq!(tree.fields("c").count(), 0);
    }

    /// The parser itself would go on until the stack ends, and the process with it.
    #[test]
    fn what_nests_too_deeply_is_refused() {
        let nested = |open: &str, depth: usize, close: &str| {
            parse(&[open.repeat(depth), "1".into(), close.repeat(depth)].concat())
        };
        assert!(nested("[", MAX_DEPTH, "]").is_ok() && nested("{a:", MAX_DEPTH, "}").is_ok());
        assert!(nested("[", MAX_DEPTH + 1, "]").is_err());
        for open in ["[", "{a:", "[{a:", "//\u{2028}["] {
            for depth in [10_000, 1_000_000] {
                assert!(nested(open, depth, "").is_err(), "{open} {depth}");
            }
        }
    }
}
