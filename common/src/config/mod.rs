//! Layered configuration: defaults < file < environment < command line.

mod secret;
mod section;

pub use self::{
    secret::Secret,
    section::{Invalid, Section},
};
