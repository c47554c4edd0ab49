//! What `bench` measures with, and what its peers share.
//!
//! A claim is a ratio: our server and a peer under the same load, in turn, in the same run, on the same machine. The
//! unit that compares is CPU time per request over all server processes, because generator and servers share the cores;
//! requests per second stand beside it.
//!
//! In reading order:
//! - [`peer`]: the question and the answer every peer speaks.
//! - [`client`]: one HTTP request at a time, to set a scenario up and to check that its answers are right.
//! - [`signing`]: server requests as game servers sign them.
//! - [`platform`]: the platform under test, in one process or in four.
//! - [`database`]: a MariaDB for it, as durable as in production.
//! - [`bare`]: the ingredients that bound a scenario, alone: hashing, syncing.
//! - [`load`]: wrk, and what it saw; CPU time and memory from `/proc`.
//! - [`scenario`]: who is measured under what load.
//! - `settings`: the settings that are read, and how.
//! - [`ingest`]: what partners push, and what becomes of too much of it.
//! - [`rounds`]: measuring in turns, medians and ratios.
//! - `caller`: requests that are timed one by one, for what the generator can't play.
//! - [`purchases`]: orders and payments, beside their SQL.
//! - [`contention`]: what logins do to verifications.
//! - [`storm`]: the worst patch day.
//! - [`mod@flood`]: five times as much as can be taken.
//! - [`footprint`]: memory at rest, time to start.
//! - [`report`]: the table and the JSON file.
//!
//! Never here: anything the product needs at run time.

pub mod bare;
mod caller;
pub mod client;
pub mod contention;
pub mod database;
pub mod flood;
pub mod footprint;
pub mod ingest;
pub mod load;
pub mod peer;
pub mod platform;
pub mod purchases;
pub mod report;
pub mod rounds;
pub mod scenario;
mod settings;
pub mod signing;
pub mod storm;
