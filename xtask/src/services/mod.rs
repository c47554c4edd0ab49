//! Private servers: started on a free loopback port in a temporary directory, gone with the value that holds them.

mod mariadb;
mod nacos;
mod redis;

pub use mariadb::MariaDb;
pub use nacos::Nacos;
pub use redis::{Redis, RedisCluster, RedisSentinels};
