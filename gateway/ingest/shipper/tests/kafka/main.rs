//! The shipper against a broker: whatever happens to either, every stored event arrives, and those of a partner in their
//! order.

#![expect(clippy::unwrap_used, reason = "a panic here is a failed test")]
#![expect(clippy::disallowed_methods, reason = "a shipper that runs beside its test has no request to belong to")]

mod on_kafka;
mod support;
