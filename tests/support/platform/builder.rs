//! What a story wants to be different about its platform.

use super::{Platform, Shape, many_processes, one_process};
use crate::support::role::Settings;

/// How a platform is to be started.
pub(crate) struct Builder {
    pub(super) shape: Shape,
    pub(super) extra: Settings,
    pub(super) own_mariadb: bool,
}

impl Builder {
    pub(super) fn new(shape: Shape) -> Self {
        Self { shape, extra: Vec::new(), own_mariadb: false }
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

    /// Starts it. Every process is ready then, and every gateway has found every instance.
    pub(crate) async fn start(self) -> Platform {
        let directory = tempfile::Builder::new().prefix("playgate-story-").tempdir().unwrap();
        match self.shape {
            Shape::AllInOne => one_process::start(self, directory).await,
            Shape::FourRolesMariadb | Shape::FleetOnNacos => many_processes::start(self, directory).await,
        }
    }
}
