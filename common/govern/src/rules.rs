//! [`Rules`]: the document that configures everything here, `playgate-govern.toml`.
//!
//! It can be replaced while a process runs, so a bad one must never replace a good one: [`Rules::parse`] reports
//! everything that is wrong, each problem by its path, and what it returns is valid as a whole. Every limit has a bound;
//! a key that is not known is a problem and not a comment. What is absent has its default, and [`Rules::effective`] shows
//! the document as it applies.
//!
//! ```toml
//! [switches]
//! shedding = false                      # everything else stays on
//!
//! [routes.login]
//! rate = { limit = 2000, per = "1s" }   # of this process, before any key is looked at
//!
//! [keys]
//! spared = ["192.0.2.0/24"]             # game servers and channels, which are many players each
//!
//! [keys.address]
//! rate = { limit = 60, per = "1m", burst = 20 }
//!
//! [keys.app]
//! rate = { limit = 2000, per = "1s" }   # of all gateways together
//! overrides.1001 = { limit = 20000, per = "1s", burst = 10000 }
//!
//! [callee.retry]                        # for all callees
//! attempts = 1
//!
//! [callees.pay.retry]                   # and for one
//! attempts = 0
//!
//! [[lanes.rules]]
//! lane = "canary"
//! percent = 1.5
//! ```

mod document;

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::{
    backup::BackupConfig,
    balance::BalanceConfig,
    breaker::BreakerConfig,
    codel::CodelConfig,
    cpu::CpuConfig,
    ejection::EjectionConfig,
    gcra::Rate,
    gradient::GradientConfig,
    keyed_limit::MAX_KEYS,
    lane::LanesConfig,
    lease::LeaseConfig,
    priority::{Class, PriorityConfig},
    problems::{Check, Problems},
    retry::RetryConfig,
    retry_after::RetryAfterConfig,
};

/// The most networks that can be spared the limits by address.
pub const MAX_SPARED: usize = 256;

/// The most apps, and the most partners, that can have a rate of their own.
pub const MAX_OVERRIDES: usize = 1024;

/// The largest document, in bytes.
pub const MAX_DOCUMENT_BYTES: usize = 256 * 1024;

/// A valid document, with every default filled in.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Rules {
    /// What is on.
    pub switches: Switches,
    /// How many requests at once.
    pub concurrency: GradientConfig,
    /// Who is let in first.
    pub priority: PriorityConfig,
    /// Who waits, and for how long.
    pub queue: CodelConfig,
    /// When CPU counts as scarce.
    pub cpu: CpuConfig,
    /// What refused callers are told.
    pub retry_after: RetryAfterConfig,
    /// Limits by class of routes.
    pub routes: BTreeMap<Class, RouteRules>,
    /// Limits by who asks.
    pub keys: KeyRules,
    /// How shared limits are leased.
    pub lease: LeaseConfig,
    /// How callees are called that [`Self::callees`] does not name.
    pub callee: CalleeRules,
    /// How single callees are called: the whole rules, with what [`Self::callee`] says where the document says nothing.
    pub callees: BTreeMap<String, CalleeRules>,
    /// Who is sent where.
    pub lanes: LanesConfig,
}

/// What is on. All is, unless an operator turns it off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "switches are what bools are for")]
pub struct Switches {
    /// Limits by route and key.
    pub limits: bool,
    /// The learned limit, its priorities and queues.
    pub shedding: bool,
    /// Lower limits when CPU is scarce.
    pub cpu: bool,
    /// Rejecting calls to callees that do not answer.
    pub breaker: bool,
    /// Leaving failing instances out.
    pub ejection: bool,
    /// Trying again.
    pub retry: bool,
    /// Second requests.
    pub backup: bool,
    /// Caps on calls under way.
    pub bulkhead: bool,
    /// Colouring requests. Off: all go to the base.
    pub lanes: bool,
}

impl Default for Switches {
    fn default() -> Self {
        Self {
            limits: true,
            shedding: true,
            cpu: true,
            breaker: true,
            ejection: true,
            retry: true,
            backup: true,
            bulkhead: true,
            lanes: true,
        }
    }
}

/// How often something may happen, as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateRule {
    /// How many come back in `per`.
    pub limit: NonZeroU32,
    /// The time in which they come back.
    #[serde(with = "humantime_serde")]
    pub per: Duration,
    /// How many may come at once; absent: as many as `limit`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burst: Option<NonZeroU32>,
}

impl RateRule {
    /// The rate that it means.
    pub fn rate(&self) -> Rate {
        Rate { limit: self.limit, per: self.per, burst: self.burst.unwrap_or(self.limit) }
    }
}

impl Check for RateRule {
    fn check(&self, problems: &mut Problems) {
        problems.number("limit", self.limit.get(), 1..=10_000_000);
        problems.duration("per", self.per, Duration::from_millis(1)..=Duration::from_secs(7 * 24 * 3600));
        if let Some(burst) = self.burst {
            problems.number("burst", burst.get(), 1..=10_000_000);
        }
    }
}

/// The limits of a class of routes, in each process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RouteRules {
    /// How many requests; absent: as many as come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<RateRule>,
    /// How many at once, below what was learned; absent: no cap of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<NonZeroU32>,
}

impl Check for RouteRules {
    fn check(&self, problems: &mut Problems) {
        if let Some(rate) = &self.rate {
            problems.within("rate", |problems| rate.check(problems));
        }
        if let Some(in_flight) = self.in_flight {
            problems.number("in_flight", in_flight.get(), 1..=100_000);
        }
    }
}

/// Limits by who asks. A kind of key without a rate is not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeyRules {
    /// Networks that are spared the limits by address and block: those of game servers and payment channels, each of
    /// which asks for many players. At most [`MAX_SPARED`].
    pub spared: Vec<IpNet>,
    /// By client address.
    pub address: KeyRule,
    /// By the block an address is in: /24 of IPv4, /64 of IPv6.
    pub address_block: KeyRule,
    /// By device.
    pub device: KeyRule,
    /// By account.
    pub account: KeyRule,
    /// By app: a shared limit that replicas lease from.
    pub app: QuotaRule,
    /// By partner: likewise.
    pub partner: QuotaRule,
}

/// The limit of one kind of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeyRule {
    /// How many requests of one key; absent: as many as come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<RateRule>,
    /// For how many keys there is room, 16 bytes each. Beyond it keys that are held back keep their places, and new ones
    /// share.
    pub capacity: usize,
}

impl Default for KeyRule {
    fn default() -> Self {
        Self { rate: None, capacity: 65_536 }
    }
}

impl Check for KeyRule {
    fn check(&self, problems: &mut Problems) {
        if let Some(rate) = &self.rate {
            problems.within("rate", |problems| rate.check(problems));
        }
        problems.number("capacity", self.capacity, 8..=MAX_KEYS);
    }
}

/// The limit of one kind of keys that all replicas share.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct QuotaRule {
    /// How many requests of one key, at all replicas together; absent: as many as come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<RateRule>,
    /// For how many keys a replica leases at one time, about 300 bytes each. Beyond it new keys share one quota.
    pub capacity: usize,
    /// The rates of single keys (an app's id, a partner's name), whether or not there is one for all. At most
    /// [`MAX_OVERRIDES`].
    pub overrides: BTreeMap<String, RateRule>,
}

impl Default for QuotaRule {
    fn default() -> Self {
        Self { rate: None, capacity: 4096, overrides: BTreeMap::new() }
    }
}

impl Check for QuotaRule {
    fn check(&self, problems: &mut Problems) {
        if let Some(rate) = &self.rate {
            problems.within("rate", |problems| rate.check(problems));
        }
        problems.number("capacity", self.capacity, 1..=MAX_KEYS);
        problems.within("overrides", |problems| {
            problems.number("", self.overrides.len(), 0..=MAX_OVERRIDES);
            for (key, rate) in self.overrides.iter().take(MAX_OVERRIDES) {
                problems.within(key.as_str(), |problems| rate.check(problems));
            }
        });
    }
}

impl Check for KeyRules {
    fn check(&self, problems: &mut Problems) {
        let Self { spared, address, address_block, device, account, app, partner } = self;
        if spared.len() > MAX_SPARED {
            problems.add("spared", format!("names {} networks, more than {MAX_SPARED}", spared.len()));
        }
        let kinds = [("address", address), ("address_block", address_block), ("device", device), ("account", account)];
        for (kind, rule) in kinds {
            problems.within(kind, |problems| rule.check(problems));
        }
        problems.within("app", |problems| {
            app.check(problems);
            for key in app.overrides.keys().filter(|key| !is_an_app(key)) {
                problems.within("overrides", |problems| problems.add(key, "is not the id of an app"));
            }
        });
        problems.within("partner", |problems| partner.check(problems));
    }
}

/// An id as it is written: a positive number without leading zeros, so that no app has two rates.
fn is_an_app(key: &str) -> bool {
    key.parse::<i64>().is_ok_and(|id| id > 0 && id.to_string() == key)
}

/// How a callee is called.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CalleeRules {
    /// When it is not asked.
    pub breaker: BreakerConfig,
    /// When one of its instances is not asked.
    pub ejection: EjectionConfig,
    /// Which of its instances is asked.
    pub balance: BalanceConfig,
    /// Whether it is asked again.
    pub retry: RetryConfig,
    /// Whether a second instance is asked.
    pub backup: BackupConfig,
    /// How many calls may be under way.
    pub in_flight: u32,
}

impl Default for CalleeRules {
    fn default() -> Self {
        Self {
            breaker: BreakerConfig::default(),
            ejection: EjectionConfig::default(),
            balance: BalanceConfig::default(),
            retry: RetryConfig::default(),
            backup: BackupConfig::default(),
            in_flight: 1024,
        }
    }
}

impl Check for CalleeRules {
    fn check(&self, problems: &mut Problems) {
        problems.within("breaker", |problems| self.breaker.check(problems));
        problems.within("ejection", |problems| self.ejection.check(problems));
        problems.within("balance", |problems| self.balance.check(problems));
        problems.within("retry", |problems| self.retry.check(problems));
        problems.within("backup", |problems| self.backup.check(problems));
        problems.number("in_flight", self.in_flight, 1..=100_000);
    }
}
