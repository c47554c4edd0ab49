//! What JSON must not contain, whatever it is read into: a key twice in one object, text that is not UTF-8, endless
//! nesting.
//!
//! serde looks only at the fields it knows. A key that comes twice means one thing to us and another to whoever reads
//! the same bytes differently, which is how signed requests are smuggled, so it is refused everywhere in the document.

use std::{borrow::Cow, collections::HashSet, fmt};

use serde::{
    Deserializer,
    de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor},
};

/// Reads a whole document and keeps nothing of it.
///
/// # Errors
/// When it is not one well-formed JSON value (RFC 8259), nests deeper than 128 levels, or has a key twice.
pub(super) fn check_shape(document: &[u8]) -> Result<(), serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(document);
    Shape.deserialize(&mut reader)?;
    reader.end()
}

struct Shape;

/// Most objects have no more keys than this. So few are compared faster than they are hashed, without memory from the
/// heap.
const COMPARED: usize = 8;

/// The keys of one object. Beyond the first few they are hashed: whoever sends many must not make us compare them all.
#[derive(Default)]
struct Keys<'de> {
    first: [Option<Cow<'de, str>>; COMPARED],
    further: HashSet<Cow<'de, str>>,
}

/// A key, borrowed from the document unless it has escapes.
struct Key;

impl<'de> DeserializeSeed<'de> for Shape {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Shape {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<(), A::Error> {
        while sequence.next_element_seed(Shape)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut keys = Keys::default();
        while let Some(key) = map.next_key_seed(Key)? {
            if !keys.insert(key) {
                return Err(A::Error::custom("a key comes twice in one object"));
            }
            map.next_value_seed(Shape)?;
        }
        Ok(())
    }
}

impl<'de> Keys<'de> {
    /// `false`: it is there already.
    fn insert(&mut self, key: Cow<'de, str>) -> bool {
        for place in &mut self.first {
            match place {
                Some(other) if *other == key => return false,
                Some(_) => {}
                None => {
                    *place = Some(key);
                    return true;
                }
            }
        }
        self.further.insert(key)
    }
}

impl<'de> DeserializeSeed<'de> for Key {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Key {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key")
    }

    fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(key))
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(key.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_key_that_comes_twice_is_found_at_every_depth_and_in_every_spelling() {
        for bad in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":{"b":[{"c":1,"c":2}]}}"#,
            r#"[{"a":1},{"a":1,"b":2,"a":3}]"#,
            r#"{"a":1,"\u0061":2}"#,
        ] {
            assert!(check_shape(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(check_shape(br#"{"a":{"a":1},"b":[{"a":1},{"a":2}]}"#).is_ok(), "the same key in different objects");
    }

    #[test]
    fn a_key_that_comes_twice_is_found_among_few_and_among_many() {
        for count in 1..3 * COMPARED {
            let keys: Vec<String> = (0..count).map(|key| format!("\"{key}\":1")).collect();
            assert!(check_shape(format!("{{{}}}", keys.join(",")).as_bytes()).is_ok(), "{count}");
            for twice in &keys {
                assert!(check_shape(format!("{{{},{twice}}}", keys.join(",")).as_bytes()).is_err(), "{count} {twice}");
            }
        }
    }

    #[test]
    fn what_is_not_one_json_value_is_refused() {
        let deep = "[".repeat(100_000);
        let cases: &[&[u8]] = &[
            b"",
            b"{",
            b"{} {}",
            b"{'a':1}",
            b"{\"a\":1,}",
            b"\"\xff\xfe\"",
            b"{\"\xc3\x28\":1}",
            br#""\ud800""#,
            b"nul",
            b"1e999",
            deep.as_bytes(),
        ];
        for bad in cases {
            assert!(check_shape(bad).is_err(), "{:?}", bad.get(..20));
        }
    }

    fn value() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            ".{0,8}".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Into::into),
                prop::collection::btree_map(".{0,8}", inner, 0..4).prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_well_formed_value_passes(value in value()) {
            prop_assert!(check_shape(value.to_string().as_bytes()).is_ok());
        }
    }
}
