//! A whole platform: one process on embedded defaults, four that share a MariaDB server, or a fleet.
//!
//! In reading order:
//! - `shape`: what a platform is made of.
//! - `running`: [`Platform`], what a story does with one.
//! - `builder`: [`Builder`], what a story wants to be different about it.
//! - `one_process` and `many_processes`: how the shapes are started.
//! - `settings` and `operator`: what the processes are configured with, and what an operator types beforehand.

mod builder;
mod many_processes;
mod one_process;
mod operator;
mod running;
mod settings;
mod shape;

pub(crate) use self::{builder::Builder, running::Platform, shape::Shape};
