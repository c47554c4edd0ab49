//! Private servers: started on a free loopback port in a temporary directory, gone with the value that holds them.

mod mariadb;

pub use mariadb::MariaDb;
