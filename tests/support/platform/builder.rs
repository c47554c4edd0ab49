//! What a story wants to be different about its platform.

use super::{Platform, Shape, many_processes, one_process};
use crate::support::{DnsServer, role::Settings};

/// How a platform is to be started.
pub(crate) struct Builder {
    pub(super) shape: Shape,
    pub(super) extra: Settings,
    pub(super) own_mariadb: bool,
    pub(super) dns: Option<String>,
}

impl Builder {
    pub(super) fn new(shape: Shape) -> Self {
        Self { shape, extra: Vec::new(), own_mariadb: false, dns: None }
    }

    /// Sets a configuration key of every role.
    pub(crate) fn set(mut self, key: &str, value: &str) -> Self {
        self.extra.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Gives the platform a MariaDB server nobody else uses, so that it can be killed.
    pub(crate) fn with_own_mariadb(mut self) -> Self {
        self.own_mariadb = true;
        self
    }

    /// Lets processes of their own find each other through this server. The accounts are at 127.0.0.2, 127.0.0.3 and so
    /// on.
    pub(crate) fn found_by_dns(mut self, server: &DnsServer) -> Self {
        self.dns = Some(server.address());
        self
    }

    /// Starts it. Every process is ready then, and every gateway has found every instance.
    pub(crate) async fn start(self) -> Platform {
        let directory = tempfile::Builder::new().prefix("playgate-story-").tempdir().unwrap();
        match self.shape {
            Shape::AllInOne => one_process::start(self, directory).await,
            Shape::FourRolesMariadb | Shape::FleetOnNacos => many_processes::start(self, directory).await,
        }
    }
}
