//! Behaviour of the two suites, on both transports.

mod both_transports;
mod drain;
mod harness;
pub(crate) mod log;
mod shedding;
mod trace;
mod wire;

pub(super) use self::harness::scrape;
