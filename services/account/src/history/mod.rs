//! What happens to accounts is written down beside the requests that it happens in.
//!
//! A request puts an event into a bounded queue and goes on; it never waits for it and never fails by it. While the
//! database is away the queue fills, and what finds no room is counted and lost: a history that holds players up would
//! be worse than one with a gap. An end of the process writes out what is queued.
//!
//! - `config`: its limits.
//! - `recorder`: where requests put events.
//! - `writer`: the task behind it.

mod config;
mod recorder;
mod writer;

pub use self::config::HistoryConfig;
pub(crate) use self::recorder::{Recorder, recorder};
