//! The `[pay]` section.

use std::{
    net::{Ipv4Addr, SocketAddr},
    num::NonZeroU32,
    path::PathBuf,
    time::Duration,
};

use common::{
    config::{Invalid, Secret, Section},
    events::EventsConfig,
};
use serde::{Deserialize, Serialize};

use crate::{
    channel_calls::ChannelCallsConfig, delivery::DeliveryConfig, google::GoogleConfig, questions::QueriesConfig,
};

/// The pay service.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where `playgate serve pay` takes RPC. Cluster-internal: the wire format trusts its peers.
    pub listen: SocketAddr,
    /// How long a player may take to pay. Then the order is expired; a payment that comes all the same still counts.
    #[serde(with = "humantime_serde")]
    pub order_ttl: Duration,
    /// How long the key of a request to make an order is remembered. A repetition after that makes another order.
    #[serde(with = "humantime_serde")]
    pub keep_idempotency_keys: Duration,
    /// What the configurations of payment channels are sealed under: 64 hexadecimal digits, the same for every instance.
    /// Absent in development: one that is made at the first start and kept in `data_dir/pay-master-key`; in production
    /// then no channel can be configured.
    pub master_key: Option<Secret>,
    /// A file that holds them, in place of `master_key`.
    pub master_key_file: Option<PathBuf>,
    /// Payment channels that one app may have. Protects the table.
    pub channels_per_app: NonZeroU32,
    /// How game servers are told of paid orders.
    pub delivery: DeliveryConfig,
    /// How the interfaces of payment channels are called.
    pub channel_calls: ChannelCallsConfig,
    /// How Google's interfaces are used.
    pub google: GoogleConfig,
    /// When they are asked about orders, and for money back.
    pub queries: QueriesConfig,
    /// What one instance at a time does for all.
    pub jobs: JobsConfig,
    /// How the books are checked.
    pub ledger_check: LedgerCheckConfig,
    /// Events for a data warehouse.
    pub events: EventsConfig,
}

/// Balances against their entries, and transactions against zero. One instance at a time checks, at the pace of `pay.jobs`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LedgerCheckConfig {
    /// From the beginning of one full pass to that of the next.
    #[serde(with = "humantime_serde")]
    pub every: Duration,
    /// Rows that are read at once. Protects the database: the more, the longer a statement takes.
    pub step: NonZeroU32,
}

/// Orders that nobody paid, and what nobody needs any more.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct JobsConfig {
    /// How often they are looked for.
    #[serde(with = "humantime_serde")]
    pub every: Duration,
    /// Rows of one step. A step is a transaction: the more, the longer its locks are held.
    pub batch: NonZeroU32,
    /// How long an instance may be silent before another one takes the job for abandoned.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
    /// How long one run goes on with full batches. Protects the database from a run that never ends.
    #[serde(with = "humantime_serde")]
    pub longest_run: Duration,
    /// How long the callbacks of channels are kept, the proof of what was paid. Those of orders that are not settled stay.
    #[serde(with = "humantime_serde")]
    pub keep_callbacks: Duration,
    /// How long it is kept what came of every attempt to tell a game server. Those of orders that are not settled stay.
    #[serde(with = "humantime_serde")]
    pub keep_deliveries: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9083)),
            order_ttl: Duration::from_secs(30 * 60),
            keep_idempotency_keys: Duration::from_secs(7 * 24 * 3600),
            master_key: None,
            master_key_file: None,
            channels_per_app: NonZeroU32::new(64).unwrap_or(NonZeroU32::MIN),
            delivery: DeliveryConfig::default(),
            channel_calls: ChannelCallsConfig::default(),
            google: GoogleConfig::default(),
            queries: QueriesConfig::default(),
            jobs: JobsConfig::default(),
            ledger_check: LedgerCheckConfig::default(),
            events: EventsConfig::default(),
        }
    }
}

impl Default for LedgerCheckConfig {
    fn default() -> Self {
        Self { every: Duration::from_secs(24 * 3600), step: NonZeroU32::new(1000).unwrap_or(NonZeroU32::MIN) }
    }
}

impl Default for JobsConfig {
    fn default() -> Self {
        Self {
            every: Duration::from_secs(30),
            batch: NonZeroU32::new(100).unwrap_or(NonZeroU32::MIN),
            lease: Duration::from_secs(60),
            longest_run: Duration::from_secs(20),
            keep_callbacks: Duration::from_secs(400 * 24 * 3600),
            keep_deliveries: Duration::from_secs(90 * 24 * 3600),
        }
    }
}

impl Section for Config {
    const NAME: &'static str = "pay";

    fn validate(&self) -> Result<(), Invalid> {
        for (key, duration) in [
            ("order_ttl", self.order_ttl),
            ("keep_idempotency_keys", self.keep_idempotency_keys),
            ("jobs.every", self.jobs.every),
            ("jobs.lease", self.jobs.lease),
            ("jobs.longest_run", self.jobs.longest_run),
            ("ledger_check.every", self.ledger_check.every),
            ("jobs.keep_callbacks", self.jobs.keep_callbacks),
            ("jobs.keep_deliveries", self.jobs.keep_deliveries),
        ] {
            if duration.is_zero() {
                return Err(Invalid::new(key, "must be longer than zero"));
            }
        }
        self.events.validate()?;
        self.channel_calls.validate()?;
        self.google.validate(self.channel_calls.timeout)?;
        self.queries.validate(self.channel_calls.timeout)?;
        self.delivery.validate()
    }
}
