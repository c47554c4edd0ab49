//! Load, and what it costs: the generator on one side, the servers' CPU time and memory on the other.

mod usage;
mod wrk;

pub(crate) use self::wrk::{as_f64, percentile};
pub use self::{
    usage::{cpu_time, resident_bytes},
    wrk::{Load, Observed, Order},
};
