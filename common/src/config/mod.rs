//! Layered configuration: defaults < file < environment < command line.
//!
//! [`load()`] is the way in. Nothing here reads the process's environment or arguments by itself, and nothing here knows
//! any section: those live in the crates that use them.

mod deployment;
mod error;
mod layer;
mod load;
mod merged;
mod origin;
mod print;
mod root;
mod secret;
mod section;
mod suggest;
mod value;
pub mod watch;

pub use self::{
    deployment::Environment,
    error::LoadError,
    load::{ConfigFile, DEFAULT_FILE, LoadOptions, Loaded, load},
    origin::{Origin, Provenance},
    root::{Root, validate_section},
    secret::Secret,
    section::{Invalid, Section},
};
