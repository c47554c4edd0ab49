//! Private Redis servers: loopback only, nothing on disk, so that a restart has forgotten everything.
//!
//! - `node`: [`Redis`], one server.
//! - `cluster`: [`RedisCluster`], three masters that share the slots.
//! - `sentinel`: [`RedisSentinels`], a master, its replica, and three sentinels that decide which is which.
//! - `command`: just enough of the protocol to set them up.

mod cluster;
mod command;
mod node;
mod sentinel;

pub use self::{cluster::RedisCluster, node::Redis, sentinel::RedisSentinels};
