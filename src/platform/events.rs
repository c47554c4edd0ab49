//! The store of what partners push, in a process that has their routes.

use std::time::Duration;

use anyhow::{Context, anyhow};
use gateway::{EventStore, RouteGroup};
use ingest::{Ingest, OpenError, Parts};

use super::{
    Process, data_dir,
    shipping::{self, Shipping},
};
use crate::config::Configuration;

/// What is left of a request's time when the store gives up: a partner is told when to come again, and is not cut off.
const TO_SAY_SO: Duration = Duration::from_secs(1);

/// Opens the store, if this gateway serves partners, and ships what is in it, if that is configured. It ends after the
/// last request and before the traces do; should it end by itself, so does the process.
pub(super) async fn open(
    configuration: &Configuration,
    shipping: Option<&Shipping>,
    process: &Process,
) -> anyhow::Result<Option<EventStore>> {
    let Configuration { gateway, ingest: config, shipper, data_dir, .. } = configuration;
    if !gateway.routes.contains(&RouteGroup::Partner) {
        return Ok(None);
    }
    data_dir::make(data_dir)?;
    let mut config = config.clone();
    config.ack_timeout = config.ack_timeout.min(gateway.edge.request_timeout.saturating_sub(TO_SAY_SO).max(TO_SAY_SO));
    let parts = Parts {
        data_dir: data_dir.clone(),
        clock: process.clock.clone(),
        random: process.random.clone(),
        registry: process.registry.clone(),
    };
    shipping::tell_of_deserted(data_dir, shipping.is_some())?;
    let shipper = shipping.map(|shipping| shipping.prepare("events", data_dir, &shipper.topic, process)).transpose()?;
    let opening = config.clone();
    // It reads back what was stored last, which takes its time.
    let opened = tokio::task::spawn_blocking(move || Ingest::open(opening, parts)).await;
    let store = opened.context("the store of partners' events could not be opened")?.map_err(explained)?;
    if let Some(shipper) = shipper {
        shipping::start(shipper, process);
    }
    let (watched, closed) = (store.clone(), store.clone());
    process.lifecycle.spawn_background("partner-events", async move { watched.ended().await });
    process.lifecycle.on_flush("partner-events", async move { closed.close().await });
    Ok(Some(EventStore::new(store, &config, gateway.large_pushes_in_flight)))
}

/// What can be done about it.
fn explained(error: OpenError) -> anyhow::Error {
    match error {
        OpenError::InUse { .. } => anyhow!(
            "{error}, which takes partners' events there: give this one a `data_dir` of its own, or leave \"partner\" \
             out of its `gateway.routes`"
        ),
        OpenError::Io { .. } | OpenError::Instance { .. } | OpenError::Metrics(_) => {
            anyhow::Error::new(error).context("the store of partners' events can't be opened in `data_dir`")
        }
    }
}
