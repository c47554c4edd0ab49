//! For tools: looking into segments, following them, reading from a place on.
//!
//! All of it reads files and blocks; none of it needs the store to be open, or changes anything. What it reads of the
//! segment that is still being written may not be durable yet, and may be cut off again after a failure of the disk;
//! what it reads of complete segments stays.

mod follow;
mod inspect;
mod lag;

pub use self::{
    follow::{Follow, Position, PositionError, Stop},
    inspect::{Inspection, Range, Torn, inspect},
    lag::{Lag, lag},
};
