//! What the developer commands and the end-to-end tests share: processes that cannot outlive their owner, loopback
//! ports that two test runs never fight over, and private servers in temporary directories.
//!
//! Never here: anything the product needs at run time, and anything that touches a server it did not start.

pub mod dashboards;
pub mod manifests;
pub mod ports;
pub mod process;
pub mod services;
pub mod workspace;
