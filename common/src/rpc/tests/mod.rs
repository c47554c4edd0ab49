//! Behaviour of the two suites, on both transports.

mod both_transports;
mod drain;
mod harness;
mod instances;
pub(crate) mod log;
mod outages;
mod repeats;
mod shedding;
mod trace;
mod wire;

pub(super) use self::harness::scrape;
