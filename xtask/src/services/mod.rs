//! Private servers: started on a free loopback port in a temporary directory, gone with the value that holds them.

mod certificates;
pub mod kafka;
mod mariadb;
mod nacos;
pub mod prometheus;
mod redis;
pub mod s3;

pub use certificates::Certificates;
pub use kafka::Kafka;
pub use mariadb::MariaDb;
pub use nacos::Nacos;
pub use prometheus::Prometheus;
pub use redis::{Redis, RedisCluster, RedisSentinels};
pub use s3::S3;
