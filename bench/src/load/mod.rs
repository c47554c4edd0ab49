//! Load, and what it costs: the generators on one side, the servers' CPU time and memory on the other.

mod pushers;
mod usage;
mod wrk;

pub(crate) use self::{
    pushers::{Answers, Pushers},
    wrk::{as_f64, percentile},
};
pub use self::{
    usage::{cpu_time, resident_bytes},
    wrk::{Load, Observed, Order},
};
