//! Shipping what stores keep to Kafka, in a process that has such stores.

use std::path::Path;

use anyhow::Context;
use ingest::Progress;
use shipper::{Parts, Shipper, ShipperConfig, ShipperMetrics, TopicTemplate};

use super::Process;

/// What all stores of a process are shipped with.
#[derive(Debug)]
pub(super) struct Shipping {
    config: ShipperConfig,
    metrics: ShipperMetrics,
}

impl Shipping {
    /// `None` when nothing is shipped. Once per process.
    pub(super) fn of(config: &ShipperConfig, process: &Process) -> anyhow::Result<Option<Self>> {
        if !config.is_on() {
            return Ok(None);
        }
        let metrics = ShipperMetrics::register(&process.registry)?;
        Ok(Some(Self { config: config.clone(), metrics }))
    }

    /// Holds what is stored in `data_dir` until it is shipped: before the store is opened. `name` is the store's in logs and
    /// metrics.
    pub(super) fn prepare(
        &self,
        name: &'static str,
        data_dir: &Path,
        topic: &TopicTemplate,
        process: &Process,
    ) -> anyhow::Result<Shipper> {
        let parts = Parts {
            name,
            data_dir: data_dir.to_owned(),
            topic: topic.clone(),
            clock: process.clock.clone(),
            random: process.random.clone(),
            metrics: self.metrics.clone(),
        };
        Shipper::open(self.config.clone(), parts).context("stored events can't be shipped to Kafka")
    }
}

/// Ships until the process ends. To be called before the flush of the store is added: flushes run backwards, so that what
/// the store completes last is still shipped.
pub(super) fn start(shipper: Shipper, process: &Process) {
    let running = shipper.clone();
    process.lifecycle.spawn_background("shipper", async move { running.run().await });
    process.lifecycle.on_flush("shipper", async move { shipper.close().await });
}

/// Says so when segments are held for a destination that nobody ships to any more: they would fill the disk.
pub(super) fn tell_of_deserted(data_dir: &Path, is_shipped: bool) -> anyhow::Result<()> {
    for progress in Progress::all(data_dir).context("the checkpoints of shippers can't be listed")? {
        if !(is_shipped && progress.destination() == Shipper::DESTINATION) {
            tracing::warn!(
                checkpoint = %progress.path().display(),
                "segments are kept for a destination that this process does not ship to; remove its checkpoint if nobody does"
            );
        }
    }
    Ok(())
}
