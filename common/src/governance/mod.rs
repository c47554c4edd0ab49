//! The rules of [`govern`] as they are in force in this process, and how they change while it runs.
//!
//! The rules themselves are pure functions in `common/govern`; the layers that ask them stand in [`crate::http`] and
//! [`crate::rpc`]. What lives here is what those layers share: the document in force, the clock their moments are read
//! from, and what the rules need to run.
//!
//! In reading order:
//! - `in_force`: the rules in force, and whoever is told of others.
//! - `document`: the document that puts rules in force.
//! - `record`: what is in force, since when and from where, for people who look.
//! - [`shedding`]: who is let in.
//! - [`limits`]: who may ask how often.

mod document;
#[cfg(test)]
mod example;
mod in_force;
pub mod limits;
mod record;
pub mod shedding;

pub use govern::{priority::Class, problems::Problem, rules::Rules};

pub use self::{
    document::{RULES_DOCUMENT, RulesSource},
    in_force::Governance,
    record::{DocumentReport, EffectiveRules, RulesOrigin, RulesRecord, RulesReport},
};
