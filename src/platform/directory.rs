//! Where the other roles are, and where this process says that it is.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context;
use common::{
    config::watch::{ConfigWatch, Document, DynamicConfig, DynamicKind, FileDocument, WatchMetrics, WatchParts},
    discovery::{
        Discovery, DiscoveryKind, DiscoveryMetrics, Dns, StaticList,
        nacos::{Nacos, NacosParts, Registration},
    },
    governance::{RULES_DOCUMENT, Rules, RulesRecord, RulesSource},
    telemetry::{LOG_DOCUMENT, LevelHandle, follow_level},
};
use tokio::time::timeout;

use super::Process;
use crate::{config::Configuration, role::Role};

/// What a process finds the other roles with, and Nacos if anything in it uses that.
#[derive(Debug)]
pub(super) struct Directory {
    kind: DiscoveryKind,
    documents: DynamicKind,
    metrics: DiscoveryMetrics,
    watched: WatchMetrics,
    nacos: Option<Nacos>,
}

/// The document of the rules of traffic, as this process goes by it.
pub(super) struct FollowedRules {
    record: RulesRecord,
    /// Absent where documents come from nowhere.
    followed: Option<(RulesSource, ConfigWatch<Rules>)>,
    start_timeout: Duration,
}

impl Directory {
    /// Connects to nothing yet.
    pub(super) fn new(role: Role, configuration: &Configuration, process: &Process) -> anyhow::Result<Self> {
        let kind = configuration.discovery.kind_for(role == Role::All)?;
        let documents = configuration.dynamic.kind.unwrap_or(match kind {
            DiscoveryKind::Nacos => DynamicKind::Nacos,
            DiscoveryKind::InProcess | DiscoveryKind::Static | DiscoveryKind::Dns => DynamicKind::None,
        });
        let metrics = DiscoveryMetrics::register(&process.registry)?;
        let uses_nacos = kind == DiscoveryKind::Nacos || documents == DynamicKind::Nacos;
        let nacos = match uses_nacos {
            true => Some(nacos(configuration, &metrics, process)?),
            false => None,
        };
        let watched = WatchMetrics::register(&process.registry)?;
        Ok(Self { kind, documents, metrics, watched, nacos })
    }

    /// Whether the roles are called in place.
    pub(super) fn in_process(&self) -> bool {
        self.kind == DiscoveryKind::InProcess
    }

    /// What clients find their services with.
    pub(super) fn discovery(
        &self,
        configuration: &Configuration,
        process: &Process,
    ) -> anyhow::Result<Arc<dyn Discovery>> {
        let config = &configuration.discovery;
        match (self.kind, &self.nacos) {
            (DiscoveryKind::Nacos, Some(nacos)) => Ok(Arc::new(nacos.clone())),
            (DiscoveryKind::Dns, _) => {
                let Process { lifecycle, clock, random, .. } = process;
                let metrics = self.metrics.clone();
                Ok(Arc::new(Dns::open(&config.dns, metrics, lifecycle.clone(), clock.clone(), random.clone())?))
            }
            _ => Ok(Arc::new(StaticList::new(&config.static_list).measured(self.metrics.clone()))),
        }
    }

    /// Makes a server known to the other roles, from when this process is ready until it drains.
    pub(super) fn announce(&self, service: &'static str, bound: SocketAddr) {
        if let (DiscoveryKind::Nacos, Some(nacos)) = (self.kind, &self.nacos) {
            nacos.register(Registration { service, bound, version: env!("CARGO_PKG_VERSION").to_owned() });
        }
    }

    /// Lets the log's document change how much the process log says.
    pub(super) fn follow_log_level(&self, configuration: &Configuration, level: LevelHandle, process: &Process) {
        if let Some(watch) = self.document(LOG_DOCUMENT, configuration, process) {
            process.lifecycle.spawn_background("log level", follow_level(watch, level));
        }
    }

    /// Lets the document of the rules of traffic govern this process.
    pub(super) fn follow_rules(&self, configuration: &Configuration, process: &Process) -> FollowedRules {
        let config = &configuration.dynamic;
        let often = DynamicConfig { interval: config.rules_interval, ..config.clone() };
        let source = if self.documents == DynamicKind::Nacos { RulesSource::Nacos } else { RulesSource::File };
        let followed = self.read(RULES_DOCUMENT, &often, process).map(|document| (source, document));
        if let Some((source, document)) = followed.clone() {
            process.lifecycle.spawn_background("rules of traffic", process.rules.clone().follow(source, document));
        }
        FollowedRules { record: process.rules.clone(), followed, start_timeout: config.start_timeout }
    }

    /// A document that changes settings while the process runs. None where documents come from nowhere.
    pub(super) fn document<T: Document>(
        &self,
        name: &'static str,
        configuration: &Configuration,
        process: &Process,
    ) -> Option<ConfigWatch<T>> {
        self.read(name, &configuration.dynamic, process)
    }

    fn read<T: Document>(
        &self,
        name: &'static str,
        config: &DynamicConfig,
        process: &Process,
    ) -> Option<ConfigWatch<T>> {
        let parts = WatchParts {
            lifecycle: process.lifecycle.clone(),
            metrics: self.watched.clone(),
            random: process.random.clone(),
        };
        match (self.documents, &self.nacos) {
            (DynamicKind::File, _) => {
                let file = FileDocument::new(config.directory.join(name), config.max_document_bytes);
                Some(ConfigWatch::follow(name, file, config, &parts))
            }
            (DynamicKind::Nacos, Some(nacos)) => Some(ConfigWatch::follow(name, nacos.document(name), config, &parts)),
            _ => None,
        }
    }
}

impl FollowedRules {
    /// Waits until the document has been read and is in force if it is there and good, for as long as a start may wait.
    pub(super) async fn settled(&self) {
        let Some((source, document)) = &self.followed else { return };
        if timeout(self.start_timeout, self.record.settled(*source, document)).await.is_err() {
            tracing::warn!(
                document = RULES_DOCUMENT,
                waited_ms = self.start_timeout.as_millis(),
                "the rules of traffic can't be read yet: the defaults are in force until they can"
            );
        }
    }
}

fn nacos(configuration: &Configuration, metrics: &DiscoveryMetrics, process: &Process) -> anyhow::Result<Nacos> {
    let parts = NacosParts {
        lifecycle: process.lifecycle.clone(),
        registry: process.registry.clone(),
        lists: metrics.clone(),
        clock: process.clock.clone(),
        random: process.random.clone(),
    };
    Nacos::new(&configuration.nacos, &configuration.data_dir, parts).context("Nacos can't be used")
}
