//! Asking payment channels: about orders that nobody was told of, and for money back.
//!
//! What has to be asked lies in a table (see [`crate::store::questions`]); one instance at a time works through what is due.
//! Of each channel of an app only a few questions are under way at once, and one that keeps failing is left alone for a
//! moment: a channel that hangs delays nobody else's.
//!
//! In reading order:
//! - `config`: `pay.queries`.
//! - `metrics`: what is counted.
//! - `asker`: one question, from the network to its answer.
//! - `round`: what is asked when, and what becomes of it.

mod asker;
mod config;
mod metrics;
mod round;
#[cfg(test)]
mod tests;

pub use self::config::QueriesConfig;
pub(crate) use self::{
    asker::Asker,
    metrics::QuestionMetrics,
    round::{Questions, QuestionsParts},
};
