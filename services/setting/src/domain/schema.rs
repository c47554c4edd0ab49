//! JSON Schemas of settings (draft 2020-12), kept to what can be checked in bounded time and without a look elsewhere.
//!
//! A pattern is matched in linear time. A schema may refer to its own parts and to nothing else, and not in a circle,
//! so its size with every reference followed is known before it is used; that size times the size of a value bounds
//! the work of a check.

use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use crate::domain::problem::Shown;

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// Nodes of a schema when each reference is replaced by what it names.
const NODES_MAX: usize = 10_000;

/// Steps from the root to a node of a schema, references included.
const DEPTH_MAX: usize = 64;

/// Memory of one compiled pattern, and of what matching it may cache.
const PATTERN_BYTES_MAX: usize = 1 << 18;

/// Keywords that give a part of a schema another address, or let it be chosen while a value is checked.
const MOVING_KEYWORDS: [&str; 6] =
    ["$id", "$anchor", "$dynamicRef", "$dynamicAnchor", "$recursiveRef", "$recursiveAnchor"];

/// Keywords for which the checker goes through what lies beside them once more: inside each other they multiply.
const MULTIPLYING_KEYWORDS: [&str; 2] = ["unevaluatedProperties", "unevaluatedItems"];

/// What it takes to make a node and a pattern ready, in steps of a check.
const NODE_WORK: usize = 100;
const PATTERN_WORK: usize = 20_000;

/// A schema that is ready to check values.
#[derive(Debug)]
pub(super) struct Schema {
    validator: Validator,
    nodes: usize,
}

impl Schema {
    /// Takes what it needs from `work_left`. The error continues a sentence.
    pub(super) fn compile(schema: &Value, work_left: &mut usize) -> Result<Self, String> {
        let mut walk = Walk { root: schema, nodes: 0, patterns: 0 };
        walk.visit(schema, 0)?;
        let Walk { nodes, patterns, .. } = walk;
        *work_left = work_left
            .checked_sub(nodes * NODE_WORK + patterns * PATTERN_WORK)
            .ok_or("takes too long to be made ready, together with the schemas before it")?;
        let validator = jsonschema::options()
            .with_draft(Draft::Draft202012)
            .with_pattern_options(
                PatternOptions::regex().size_limit(PATTERN_BYTES_MAX).dfa_size_limit(PATTERN_BYTES_MAX),
            )
            .build(schema)
            .map_err(|error| format!("is not a JSON Schema: {}", place_and_reason(&error)))?;
        Ok(Self { validator, nodes })
    }

    /// An upper bound, give or take a factor, of the steps a check of `value` takes.
    pub(super) fn work(&self, value: &Value) -> usize {
        self.nodes.saturating_mul(size(value))
    }

    /// The error continues a sentence.
    pub(super) fn check(&self, value: &Value) -> Result<(), String> {
        self.validator.validate(value).map_err(|error| format!("does not fit the schema: {}", place_and_reason(&error)))
    }
}

fn place_and_reason(error: &jsonschema::ValidationError<'_>) -> String {
    // The value itself may be as long as the document: the text is without it.
    let reason = error.masked().to_string();
    let reason = Shown(&reason);
    match error.instance_path().as_str() {
        "" => reason.to_string(),
        place => format!("at {}: {reason}", Shown(place)),
    }
}

/// Nodes of a value; a long text counts for more, because patterns go through it.
fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 1,
        Value::String(text) => 1 + text.len() / 8,
        Value::Array(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Object(members) => 1 + members.iter().map(|(name, member)| name.len() / 8 + size(member)).sum::<usize>(),
    }
}

/// Goes through a schema with its references followed.
struct Walk<'s> {
    root: &'s Value,
    nodes: usize,
    patterns: usize,
}

impl<'s> Walk<'s> {
    fn visit(&mut self, node: &'s Value, depth: usize) -> Result<(), String> {
        self.nodes += 1;
        if self.nodes > NODES_MAX || depth > DEPTH_MAX {
            return Err(format!(
                "is too large, or refers to itself: with every reference followed it may have {NODES_MAX} nodes and \
                 {DEPTH_MAX} levels"
            ));
        }
        match node {
            Value::Array(items) => items.iter().try_for_each(|item| self.visit(item, depth + 1)),
            Value::Object(members) => members.iter().try_for_each(|(name, member)| {
                self.keyword(name, member, depth)?;
                self.visit(member, depth + 1)
            }),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
        }
    }

    fn keyword(&mut self, name: &str, member: &'s Value, depth: usize) -> Result<(), String> {
        if MOVING_KEYWORDS.contains(&name) {
            return Err(format!("has {name}, which is not taken: $ref with #/… reaches every part of a schema"));
        }
        if MULTIPLYING_KEYWORDS.contains(&name) {
            return Err(format!("has {name}, which is not taken: the time of a check would double with each level"));
        }
        match (name, member) {
            ("pattern", Value::String(_)) => self.patterns += 1,
            ("patternProperties", Value::Object(patterns)) => self.patterns += patterns.len(),
            ("$schema", Value::String(dialect)) if dialect.trim_end_matches('#') != DIALECT => {
                return Err(format!("has a $schema other than {DIALECT}"));
            }
            ("$ref", Value::String(reference)) => {
                let named = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
                let Some(named) = named else {
                    return Err(format!(
                        "has the $ref {:?}, which is no part of it: only #/… is followed",
                        Shown(reference).to_string()
                    ));
                };
                self.visit(named, depth + 1)?;
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
