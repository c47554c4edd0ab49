//! Reads JSON into a tree: no member twice, no nesting without end.
//!
//! A member that is there twice is refused rather than the last one taken: whoever reviewed the document may have read
//! the first.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::domain::problem::{Collector, Path};

/// Reads `bytes`, or says what is wrong with them.
pub(super) fn read(bytes: &[u8], nesting_max: usize, problems: &mut Collector) -> Option<Value> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let root = Node { path: &Path::Root, left: nesting_max, nesting_max, problems: &mut *problems };
    match root.deserialize(&mut reader).and_then(|value| reader.end().map(|()| value)) {
        Ok(value) => Some(value),
        Err(error) => {
            problems.add(&Path::Root, format!("is not JSON: {error}"));
            None
        }
    }
}

/// One value of the tree that is being read.
struct Node<'a> {
    path: &'a Path<'a>,
    /// Arrays and objects that may still begin.
    left: usize,
    nesting_max: usize,
    problems: &'a mut Collector,
}

impl Node<'_> {
    /// Whether another array or object may begin here.
    fn descends(&mut self) -> bool {
        if self.left == 0 {
            self.problems.add(self.path, format!("is nested deeper than {} levels", self.nesting_max));
        }
        self.left > 0
    }
}

impl<'de> DeserializeSeed<'de> for Node<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Node<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut items: A) -> Result<Value, A::Error> {
        if !self.descends() {
            while items.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(Value::Null);
        }
        let mut read = Vec::new();
        loop {
            let path = self.path.index(read.len());
            let item =
                Node { path: &path, left: self.left - 1, nesting_max: self.nesting_max, problems: &mut *self.problems };
            let Some(item) = items.next_element_seed(item)? else { return Ok(Value::Array(read)) };
            read.push(item);
        }
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut members: A) -> Result<Value, A::Error> {
        if !self.descends() {
            while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(Value::Null);
        }
        let mut read = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let path = self.path.member(&name);
            let member =
                Node { path: &path, left: self.left - 1, nesting_max: self.nesting_max, problems: &mut *self.problems };
            let value = members.next_value_seed(member)?;
            if read.contains_key(&name) {
                self.problems.add(&path, "is there twice");
            } else {
                read.insert(name, value);
            }
        }
        Ok(Value::Object(read))
    }
}
