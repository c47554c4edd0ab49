//! Who is let in when there is not room for all: the runtime of [`govern`]'s rules for shedding.
//!
//! A [`Gate`] stands before the routes of the public listener, and in a process that serves one role before the methods
//! of its service. A request goes in at once if its class has room, waits a moment if it has not, or is refused with a
//! time to come back. What is let in is timed, and from that the limit is learned.
//!
//! In reading order:
//! - [`gates`]: what all gates of a process share, and where they are made.
//! - [`gate`]: letting in and out; how rules, the learned limit and the processor divide the room.
//! - [`waiting`]: those who wait: how they are woken, and how they leave.
//! - [`admission`]: the room that one request has.
//! - [`ending`]: what is learned from how a request ended.
//! - [`refusal`]: why one was not let in, and when it may come back.
//! - [`processor`]: how busy the processor is.
//! - [`metrics`]: what is counted.
//!
//! Never here: a rule (they are in `common/govern`), and any knowledge of routes, bodies or transports.

mod admission;
mod ending;
mod gate;
mod gates;
mod metrics;
mod processor;
mod refusal;
#[cfg(test)]
mod tests;
mod waiting;

pub use self::{
    admission::Admission,
    ending::ending_of,
    gate::Gate,
    gates::Gates,
    refusal::{Reason, Refused},
};
