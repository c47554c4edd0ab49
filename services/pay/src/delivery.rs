//! Telling game servers of paid orders and of refunds, until they acknowledge.
//!
//! Every instance has one worker. It is woken by payments of its own instance, looks for what is due besides, and sends as
//! many at once as it may, of each app only a few: a game server that is slow or gone delays nobody else's players.
//!
//! In reading order:
//! - `config`: `pay.delivery`.
//! - `wake`: how a payment wakes the worker.
//! - `sender`: one attempt.
//! - `worker`: what is sent when, and what becomes of it.

mod config;
mod sender;
#[cfg(test)]
mod tests;
mod wake;
mod worker;

pub use self::config::DeliveryConfig;
pub(crate) use self::{
    sender::{Sender, SenderStartError},
    wake::{Ringing, Wake, bell},
    worker::{Worker, WorkerParts},
};
