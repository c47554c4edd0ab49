//! Accounts of another platform, from a file of JSON lines: for the command line. The format is in `docs/import.md`.
//!
//! **Invariants**
//! - A line becomes one account with everything that belongs to it, or nothing.
//! - How far an import has come is written together with the accounts: one that is killed at any moment goes on where it
//!   stopped, and one that is repeated makes nothing twice.
//! - Memory does not grow with the file. Neither a password hash nor any other value of a line is ever repeated.
//!
//! In reading order:
//! - `record`: a line becomes an account, or is refused.
//! - `input`, `lines`: where lines come from.
//! - `rejects`: where refused ones are named.
//! - `sorting`: who is new, who is there, and whose name is somebody else's.
//! - `run`: lines into batches into the database.

mod input;
mod lines;
mod record;
mod rejects;
mod run;
mod sorting;

pub use self::run::{Import, ImportError, Progress, Summary};
pub(crate) use self::{input::ImportId, record::Record};
