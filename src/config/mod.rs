//! The whole configuration: every section, and what holds between them.

#[cfg(test)]
mod example;
pub(crate) mod master_key;
mod production;
mod root;

pub(crate) use self::{
    production::{check_for_role, check_master_key},
    root::Configuration,
};
