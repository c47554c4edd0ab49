//! The RPC methods, one file each: wire to domain to wire.

pub(crate) mod get_settings;
