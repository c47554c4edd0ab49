//! Turns the merged values into typed ones, and complaints of types into words for operators.
//!
//! Text layers (environment, command line) have no types, so the type of the field decides: a string field takes text
//! as it is, even if it looks like a number (a key of 64 digits stays a key); every other field reads it as a TOML value.

use std::fmt;

use figment::value::{Dict, Num, Tag, Value};
use serde::{
    Deserializer,
    de::{
        self, DeserializeSeed, Expected, IntoDeserializer, MapAccess, SeqAccess, Unexpected, Visitor,
        value::{MapAccessDeserializer, StrDeserializer},
    },
    forward_to_deserialize_any,
};

use super::{merged::Merged, suggest::nearest};

/// A value that does not fit its field, and the way to it.
#[derive(Debug)]
pub(super) struct Mismatch {
    /// From the innermost name outwards.
    names: Vec<String>,
    /// The tag of the innermost value, which knows its layer.
    pub(super) tag: Option<Tag>,
    pub(super) reason: String,
}

impl Mismatch {
    /// The full dotted key.
    pub(super) fn key(&self) -> String {
        let mut key = String::new();
        for name in self.names.iter().rev() {
            if !key.is_empty() && !name.starts_with('[') {
                key.push('.');
            }
            key.push_str(name);
        }
        key
    }

    fn new(reason: impl Into<String>) -> Self {
        Self { names: Vec::new(), tag: None, reason: reason.into() }
    }

    fn inside(mut self, name: impl Into<String>, tag: Tag) -> Self {
        self.names.push(name.into());
        self.tag.get_or_insert(tag);
        self
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.key(), self.reason)
    }
}

impl std::error::Error for Mismatch {}

impl de::Error for Mismatch {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string().replace('\n', ", "))
    }

    /// Names the kind of the value that was found, never the value: it could be a secret.
    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::new(format!("expected {expected}, found {}", kind(found)))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        match found {
            Unexpected::Signed(_) | Unexpected::Unsigned(_) | Unexpected::Float(_) => {
                Self::new(format!("expected {expected}, found {found}"))
            }
            _ => Self::new(format!("expected {expected}")),
        }
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::new(format!("expected one of: {}", expected.join(", ")))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        match nearest(field, expected) {
            Some(name) => Self::new(format!("there is no such key, did you mean `{name}`?")),
            None => Self::new("there is no such key"),
        }
    }

    fn missing_field(field: &'static str) -> Self {
        Self { names: vec![field.to_owned()], tag: None, reason: "this key is required".to_owned() }
    }
}

fn kind(found: Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "a boolean",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "a whole number",
        Unexpected::Float(_) => "a fraction",
        Unexpected::Char(_) | Unexpected::Str(_) => "text",
        Unexpected::Seq => "a list",
        Unexpected::Map => "a table",
        Unexpected::Unit | Unexpected::Option => "nothing",
        _ => "something else",
    }
}

/// A value on its way into a type.
#[derive(Clone, Copy)]
pub(super) struct Node<'a> {
    pub(super) value: &'a Value,
    pub(super) merged: &'a Merged,
}

impl Node<'_> {
    /// The text of a layer that has no types.
    fn untyped(&self) -> Option<&str> {
        self.value.as_str().filter(|_| self.merged.origin(self.value.tag()).is_text())
    }

    /// Text read as a TOML value. What is not one stays text, and the field's type will say what it expected.
    fn read_text(text: &str) -> Value {
        let parsed = text.trim().parse::<toml::Value>().ok();
        parsed.and_then(|value| Value::serialize(value).ok()).unwrap_or_else(|| Value::from(text))
    }
}

/// Fields that are not strings: text is read as a TOML value first.
macro_rules! typed {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
            self.deserialize_any(visitor)
        }
    )*};
}

/// Fields that are strings: text is taken as it is.
macro_rules! textual {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
            match self.value.as_str() {
                Some(text) => visitor.visit_str(text),
                None => self.deserialize_any(visitor),
            }
        }
    )*};
}

impl<'de> Deserializer<'de> for Node<'_> {
    type Error = Mismatch;

    typed! {
        deserialize_bool deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64 deserialize_unit deserialize_seq deserialize_map deserialize_ignored_any
    }

    textual! {
        deserialize_char deserialize_str deserialize_string deserialize_bytes deserialize_byte_buf
        deserialize_identifier
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        if let Some(text) = self.untyped() {
            // The parsed value carries no tag of a text layer, so this does not repeat.
            let value = Node::read_text(text);
            return Node { value: &value, merged: self.merged }.deserialize_any(visitor);
        }
        match self.value {
            Value::String(_, text) => visitor.visit_str(text),
            Value::Char(_, character) => visitor.visit_char(*character),
            Value::Bool(_, boolean) => visitor.visit_bool(*boolean),
            Value::Num(_, number) => visit_number(*number, visitor),
            Value::Empty(..) => visitor.visit_unit(),
            Value::Dict(_, entries) => visitor.visit_map(Entries::new(entries, self.merged)),
            Value::Array(_, items) => visitor.visit_seq(Items { items, next: 0, merged: self.merged }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Mismatch> {
        match self.value {
            Value::Empty(..) => visitor.visit_none(),
            _ => visitor.visit_some(self),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        match self.value {
            Value::Dict(..) => self.deserialize_any(visitor),
            _ => Err(Mismatch::new("this is a table: set its keys one by one")),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Mismatch> {
        match self.value {
            Value::String(_, name) => {
                visitor.visit_enum(IntoDeserializer::<Mismatch>::into_deserializer(name.as_str()))
            }
            Value::Dict(_, entries) => {
                visitor.visit_enum(MapAccessDeserializer::new(Entries::new(entries, self.merged)))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Mismatch> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! { unit_struct tuple tuple_struct }
}

fn visit_number<'de, V: Visitor<'de>>(number: Num, visitor: V) -> Result<V::Value, Mismatch> {
    if let Some(fraction) = number.to_f64() {
        return visitor.visit_f64(fraction);
    }
    let signed = number.to_i128().or_else(|| number.to_u128().and_then(|number| i128::try_from(number).ok()));
    match signed.map(|number| (i64::try_from(number), u64::try_from(number))) {
        Some((Ok(number), _)) => visitor.visit_i64(number),
        Some((_, Ok(number))) => visitor.visit_u64(number),
        _ => Err(Mismatch::new("the number is too large")),
    }
}

/// The keys of a table.
struct Entries<'a> {
    entries: std::collections::btree_map::Iter<'a, String, Value>,
    current: Option<(&'a String, &'a Value)>,
    merged: &'a Merged,
}

impl<'a> Entries<'a> {
    fn new(entries: &'a Dict, merged: &'a Merged) -> Self {
        Self { entries: entries.iter(), current: None, merged }
    }
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Mismatch;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Mismatch> {
        self.current = self.entries.next();
        let Some((name, value)) = self.current else { return Ok(None) };
        let key: StrDeserializer<'_, Mismatch> = name.as_str().into_deserializer();
        seed.deserialize(key).map(Some).map_err(|mismatch| mismatch.inside(name, value.tag()))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Mismatch> {
        let Some((name, value)) = self.current else { return Err(Mismatch::new("a value without a key")) };
        let node = Node { value, merged: self.merged };
        seed.deserialize(node).map_err(|mismatch| mismatch.inside(name, value.tag()))
    }
}

/// The items of a list.
struct Items<'a> {
    items: &'a [Value],
    next: usize,
    merged: &'a Merged,
}

impl<'de> SeqAccess<'de> for Items<'_> {
    type Error = Mismatch;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Mismatch> {
        let Some(value) = self.items.get(self.next) else { return Ok(None) };
        let name = format!("[{}]", self.next);
        self.next += 1;
        let node = Node { value, merged: self.merged };
        seed.deserialize(node).map(Some).map_err(|mismatch| mismatch.inside(name, value.tag()))
    }
}
