//! The whole configuration: every section, and what holds between them.

#[cfg(test)]
mod example;
mod production;
mod root;

pub(crate) use self::{production::check_for_role, root::Configuration};
