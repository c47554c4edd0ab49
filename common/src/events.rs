//! The platform's own events for a studio's data warehouse: written in the transaction of the fact that they tell of, and
//! carried on afterwards.
//!
//! A service keeps them in a table of its own, its outbox, as finished lines of JSON. [`EventOutbox::relay`] reads them in
//! their order, hands them to an [`EventSink`], which keeps them durably, and deletes them then. So no fact is without its
//! event and no event without its fact, each is kept at least once, and its `event_id` tells repeats.
//!
//! What an event says is its service's business, and where it goes the process's: neither is known here. `docs/events.md`
//! lists the events. No fact ever fails or waits because nobody carries them on: beyond `rows_max` they are left out.
//!
//! In reading order:
//! - `config`: how an outbox is configured.
//! - `table`: its statements.
//! - `event`: [`NewEvent`], one event before it is written.
//! - `outbox`: [`EventOutbox`], which writes them.
//! - `relay`: the job that carries them on.
//! - `metrics`: what is counted.

mod config;
mod event;
mod metrics;
mod outbox;
mod relay;
mod table;
#[cfg(test)]
mod tests;

pub use self::{
    config::EventsConfig,
    event::NewEvent,
    outbox::{EventOutbox, EventOutboxParts},
    relay::EventSink,
    table::EventTable,
};
