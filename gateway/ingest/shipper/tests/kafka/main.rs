//! The shipper against a broker: whatever happens to either, every stored event arrives, and those of a partner in their
//! order.

mod on_kafka;
mod support;
