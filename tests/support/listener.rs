//! Where a process of the platform takes requests or calls.

use std::{net::Ipv4Addr, sync::Arc};

use xtask::ports::Port;

/// A loopback address and a port that nobody else takes. Clones share the port.
#[derive(Clone, Debug)]
pub(crate) struct Listener {
    host: Ipv4Addr,
    port: Arc<Port>,
}

impl Listener {
    /// A free port of 127.0.0.1.
    pub(crate) fn reserve() -> Self {
        Self { host: Ipv4Addr::LOCALHOST, port: Arc::new(Port::reserve().unwrap()) }
    }

    /// The same port of another address of this machine: Linux has all of 127.0.0.0/8.
    pub(crate) fn on(&self, host: Ipv4Addr) -> Self {
        Self { host, port: Arc::clone(&self.port) }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port.number()
    }

    /// `HOST:PORT`.
    pub(crate) fn address(&self) -> String {
        format!("{}:{}", self.host, self.port.number())
    }
}
