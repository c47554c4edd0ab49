//! `orders` and `callbacks`: what it costs to make an order, and to take a payment until the game server has heard of it, on
//! a MariaDB that flushes at every commit.
//!
//! - `shop`: players who buy and the channel that calls, over HTTP.
//! - `game_server`: who is told.
//! - `bare_sql`: the same statements on the same tables, by a driver and nothing else: the database's own limit.
//! - `closed_loop`: so many at once, each the next as soon as its last is answered.
//! - `groups`: who is measured beside whom.

mod bare_sql;
mod closed_loop;
mod game_server;
mod groups;
mod shop;

pub use self::groups::{callbacks, orders};
