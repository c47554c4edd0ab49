//! `flood`: five times as much as the platform can take, at an even pace that waits for nobody, with everything that
//! keeps it standing and with none of it, in one run. It passes when questions about tokens are answered all the while
//! and whoever is sent away is told when to come back; and it shows what becomes of the same machine without.
//!
//! - [`mix`]: what is asked, by whom, and what a good answer is.
//! - [`generator`]: sends it, in turn (how much can be taken) or at a pace (whether or not it can be taken).
//! - `probe`: one who asks beside it, to see what everybody else sees.
//! - [`play`](mod@play): what happens, in order.
//! - [`report`]: what was seen.

mod generator;
mod mix;
mod play;
mod probe;
mod report;

pub use self::{play::play, report::Report};
