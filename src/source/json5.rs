//! JSON5, as the host reads its configuration.

mod edit;
mod read;

pub(crate) use edit::rewrite;

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
    let text = text.trim_start_matches('\u{feff}');
    let line = |error: json5::Error| error.position().map(|at| at.line + 1);
    json5::from_str::<Shallow>(text).map_err(line)?;
    json5::from_str(text).map_err(line)
}

/// Anything that does not nest too deeply; what it is goes by the board.
struct Shallow;

impl<'de> Deserialize<'de> for Shallow {
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
    type Value = Shallow;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Shallow, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Shallow;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Shallow, E> {
        Ok(Shallow)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Shallow, E> {
        Ok(Shallow)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Shallow, E> {
        Ok(Shallow)
    }

    fn visit_i128<E>(self, _: i128) -> Result<Shallow, E> {
        Ok(Shallow)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Shallow, E> {
        Ok(Shallow)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Shallow, E> {
        Ok(Shallow)
    }

    fn visit_str<E>(self, _: &str) -> Result<Shallow, E> {
        Ok(Shallow)
    }

    fn visit_unit<E>(self) -> Result<Shallow, E> {
        Ok(Shallow)
    }

    fn visit_none<E>(self) -> Result<Shallow, E> {
        Ok(Shallow)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Shallow, A::Error> {
        let below = self.below()?;
        while items.next_element_seed(below)?.is_some() {}
        Ok(Shallow)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Shallow, A::Error> {
        let below = self.below()?;
        while fields.next_key_seed(below)?.is_some() {
            fields.next_value_seed(below)?;
        }
        Ok(Shallow)
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
