//! The layers on top of each other: for each key the highest value, and where it came from.
//!
//! Holds secrets in the clear, so it lives only until the typed configuration exists and is never printed.

use std::collections::BTreeMap;

use figment::{
    Figment, Profile, Provider,
    value::{Dict, Tag, Value},
};

use super::{
    layer::Layer,
    origin::{Origin, Provenance},
};

/// Every layer, merged.
pub(super) struct Merged {
    layers: Figment,
    values: Value,
}

impl Merged {
    /// Merges `layers`, the lowest first.
    pub(super) fn new(layers: Vec<Layer>) -> Self {
        let layers = layers.into_iter().fold(Figment::new(), Figment::merge);
        // Our layers can't fail to give their data, and all of them give it for figment's default profile.
        let values = layers.data().ok().and_then(|mut data| data.remove(&Profile::Default)).unwrap_or_default();
        Self { layers, values: Value::from(values) }
    }

    pub(super) fn values(&self) -> &Value {
        &self.values
    }

    /// The layer of a value.
    pub(super) fn origin(&self, tag: Tag) -> Origin {
        Origin::from_metadata(self.layers.get_metadata(tag))
    }

    /// The layer of every key that is not at its default.
    pub(super) fn provenance(&self) -> Provenance {
        let mut chosen = BTreeMap::new();
        if let Value::Dict(_, entries) = &self.values {
            self.collect("", entries, &mut chosen);
        }
        Provenance::new(chosen)
    }

    fn collect(&self, path: &str, entries: &Dict, chosen: &mut BTreeMap<String, Origin>) {
        for (name, value) in entries {
            let key = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            match (value, self.origin(value.tag())) {
                (Value::Dict(_, inner), _) => self.collect(&key, inner, chosen),
                (_, Origin::Default) => {}
                (_, origin) => {
                    chosen.insert(key, origin);
                }
            }
        }
    }
}
