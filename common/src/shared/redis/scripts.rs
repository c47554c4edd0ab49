//! What has to be atomic, in Lua. Each script names the one key it touches, so that a cluster knows where to run it.

use std::sync::LazyLock;

use redis::Script;

/// Whose clock decides: the server's, because replicas whose clocks differ would charge each other.
const SERVER_NOW: &str = "local time = redis.call('TIME') local now = time[1] * 1000000 + time[2]\n";

const GCRA_RULE: &str = include_str!("gcra.lua");

const CLIMB_RULE: &str = include_str!("climb.lua");

/// Key: a rate. Arguments: interval, capacity and charge in microseconds. Answers whether it may happen, then what
/// remains or how long to wait, then how far the stored time is ahead of now.
pub(super) static GCRA: LazyLock<Script> = LazyLock::new(|| Script::new(&format!("{SERVER_NOW}{GCRA_RULE}")));

/// Key: a rate. Arguments: those of [`govern::lease::script_arguments`]. Answers the units granted, and the microseconds
/// until the next one would be there.
pub(super) static LEASE: LazyLock<Script> = LazyLock::new(|| Script::new(govern::lease::SCRIPT));

/// Key: a counter. Arguments: what to add, and the milliseconds that a new counter lives. Answers the value and the
/// milliseconds left.
pub(super) static INCREMENT: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("increment.lua")));

/// Key: a ladder's number. Arguments: the window, then failures and wait of each rung, in milliseconds. Answers whether
/// the failure was counted, the failures, the milliseconds of the lock, and those that the number lives.
pub(super) static CLIMB: LazyLock<Script> = LazyLock::new(|| Script::new(&format!("{SERVER_NOW}{CLIMB_RULE}")));

/// Key: a ladder's number. Answers the failures and the milliseconds of the lock.
pub(super) static STANDING: LazyLock<Script> =
    LazyLock::new(|| Script::new(&format!("{SERVER_NOW}{}", include_str!("standing.lua"))));

/// Key: a ladder's number. Answers the milliseconds of the lock; without one the number is gone.
pub(super) static FORGIVE: LazyLock<Script> =
    LazyLock::new(|| Script::new(&format!("{SERVER_NOW}{}", include_str!("forgive.lua"))));

/// Key: a ladder's number, which is gone afterwards. Answers the failures and the milliseconds of the lock that was.
pub(super) static UNLOCK: LazyLock<Script> =
    LazyLock::new(|| Script::new(&format!("{SERVER_NOW}{}", include_str!("unlock.lua"))));

/// Key: a stream. Arguments: its bound, and the entry. Answers the entry's id.
pub(super) static APPEND: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("append.lua")));

/// The rule with the time as its fourth argument, to hold it against the same rule in Rust.
#[cfg(test)]
pub(super) static GCRA_AT: LazyLock<Script> =
    LazyLock::new(|| Script::new(&format!("local now = tonumber(ARGV[4])\n{GCRA_RULE}")));

/// The same for ladders: the time comes before the arguments.
#[cfg(test)]
pub(super) static CLIMB_AT: LazyLock<Script> =
    LazyLock::new(|| Script::new(&format!("local now = tonumber(table.remove(ARGV, 1))\n{CLIMB_RULE}")));
