//! JSON objects from outside, read strictly: no second meaning for one text. Pure.
//!
//! `serde_json` takes the last of two equal names; readers that take the first would see another
//! object. Here a name that stands twice, at any depth, is an error (RFC 8259 §4, RFC 8725 §2.4).

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// What is wrong with a text that should be one JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonFault {
    /// Nothing at all.
    #[error("the body is empty, a JSON object is needed")]
    Empty,
    /// Not JSON: cut off, trailing text, bad UTF-8, lone surrogates, nested too deep …
    #[error("the body is not valid JSON")]
    Syntax,
    /// JSON, but `null`, an array or a scalar.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// A name stands twice in one object.
    #[error("a name stands twice in one JSON object")]
    DuplicateName,
}

/// Reads one JSON object and nothing behind it.
///
/// # Errors
/// [`JsonFault`], which never holds a byte of the text.
pub fn parse_object(text: &[u8]) -> Result<Map<String, Value>, JsonFault> {
    if text.is_empty() {
        return Err(JsonFault::Empty);
    }
    let mut duplicate = false;
    let mut reader = serde_json::Deserializer::from_slice(text);
    let strict = Strict {
        duplicate: &mut duplicate,
    };
    let value = strict
        .deserialize(&mut reader)
        .and_then(|value| reader.end().map(|()| value));
    match value {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(JsonFault::NotAnObject),
        Err(_) if duplicate => Err(JsonFault::DuplicateName),
        Err(_) => Err(JsonFault::Syntax),
    }
}

struct Strict<'a> {
    duplicate: &'a mut bool,
}

impl Strict<'_> {
    fn again(&mut self) -> Strict<'_> {
        Strict {
            duplicate: self.duplicate,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self.again())? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<Value, A::Error> {
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(self.again())?;
            if object.insert(name, value).is_some() {
                *self.duplicate = true;
                return Err(serde::de::Error::custom("duplicate name"));
            }
        }
        Ok(Value::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_one_clean_object_is_read() {
        let deep = "[".repeat(100_000);
        let table: &[(&[u8], JsonFault)] = &[
            (b"", JsonFault::Empty),
            (b"{", JsonFault::Syntax),
            (b"{\"a\":1", JsonFault::Syntax),
            (b"{\"a\":1} x", JsonFault::Syntax),
            (b"{}{}", JsonFault::Syntax),
            (b"\xef\xbb\xbf{}", JsonFault::Syntax),
            (b"{\"a\":\"\\ud800\"}", JsonFault::Syntax),
            (b"{\"a\":\"\xff\"}", JsonFault::Syntax),
            (b"{\"a\":01}", JsonFault::Syntax),
            (b"{\"a\":1,}", JsonFault::Syntax),
            (b"{'a':1}", JsonFault::Syntax),
            (b"{\"a\":NaN}", JsonFault::Syntax),
            (b"{\"a\":\"\n\"}", JsonFault::Syntax),
            (deep.as_bytes(), JsonFault::Syntax),
            (b"null", JsonFault::NotAnObject),
            (b"[]", JsonFault::NotAnObject),
            (b"\"a\"", JsonFault::NotAnObject),
            (b"1", JsonFault::NotAnObject),
            (b"{\"a\":1,\"a\":1}", JsonFault::DuplicateName),
            (b"{\"a\":1,\"\\u0061\":2}", JsonFault::DuplicateName),
            (b"{\"x\":[{\"a\":1,\"a\":2}]}", JsonFault::DuplicateName),
        ];
        for (text, fault) in table {
            let shown = String::from_utf8_lossy(text.get(..30).unwrap_or(text));
            assert_eq!(parse_object(text), Err(*fault), "{shown}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_what_serde_json_reads(text in r#"\{("[ab]":(1|-2.5|"x"|null|true|\[1,\{\}\]),?){0,3}\}"#) {
            if let Ok(object) = parse_object(text.as_bytes()) {
                prop_assert_eq!(Value::Object(object), serde_json::from_str::<Value>(&text).unwrap());
            }
        }

        #[test]
        fn no_bytes_panic(text in any::<Vec<u8>>()) {
            let _ = parse_object(&text);
        }
    }
}
