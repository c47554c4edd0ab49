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
//! [keys.address]
//! rate = { limit = 60, per = "1m", burst = 20 }
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

use std::{collections::BTreeMap, num::NonZeroU32, time::Duration};

use serde::{Deserialize, Serialize, de::DeserializeOwned};

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
    problems::{Check, Problem, Problems},
    retry::RetryConfig,
    retry_after::RetryAfterConfig,
};

/// The largest document, in bytes.
pub const MAX_DOCUMENT_BYTES: usize = 256 * 1024;

/// The most callees that can be named.
const MAX_CALLEES: usize = 64;

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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KeyRules {
    /// By client address.
    pub address: KeyRule,
    /// By the block an address is in: /24 of IPv4, /64 of IPv6.
    pub address_block: KeyRule,
    /// By device.
    pub device: KeyRule,
    /// By account.
    pub account: KeyRule,
    /// By app: a shared limit that replicas lease from.
    pub app: KeyRule,
    /// By partner: likewise.
    pub partner: KeyRule,
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

impl Check for KeyRules {
    fn check(&self, problems: &mut Problems) {
        let Self { address, address_block, device, account, app, partner } = self;
        let kinds = [
            ("address", address),
            ("address_block", address_block),
            ("device", device),
            ("account", account),
            ("app", app),
            ("partner", partner),
        ];
        for (kind, rule) in kinds {
            problems.within(kind, |problems| rule.check(problems));
        }
    }
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

impl Rules {
    /// Reads a document.
    ///
    /// # Errors
    /// Everything that is wrong with it. Of a part whose values have the wrong type or an unknown key the first such
    /// value is told, of all other parts every value.
    pub fn parse(document: &str) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::default();
        if document.len() > MAX_DOCUMENT_BYTES {
            problems.add("", format!("it has {} bytes, more than {MAX_DOCUMENT_BYTES}", document.len()));
            return Err(problems.into_found());
        }
        let mut table = match document.parse::<toml::Table>() {
            Ok(table) => table,
            Err(error) => {
                problems.add("", error.to_string().trim_end());
                return Err(problems.into_found());
            }
        };
        let rules = Self::from_table(&mut table, &mut problems);
        for unknown in table.keys() {
            problems.add(unknown, "is not a part of the document");
        }
        let found = problems.into_found();
        if found.is_empty() { Ok(rules) } else { Err(found) }
    }

    /// How `callee` is called.
    pub fn callee(&self, callee: &str) -> &CalleeRules {
        self.callees.get(callee).unwrap_or(&self.callee)
    }

    /// The document as it applies, every default and every inherited value written out. Parsing it gives the same rules.
    ///
    /// # Errors
    /// None for rules that came from [`Self::parse`] or are the defaults; what TOML can't hold, for those built by hand.
    pub fn effective(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }

    /// Takes the parts it knows out of the table.
    fn from_table(table: &mut toml::Table, problems: &mut Problems) -> Self {
        let callee_table = table.get("callee").cloned();
        Self {
            switches: read(table, "switches", problems),
            concurrency: part(table, "concurrency", problems),
            priority: part(table, "priority", problems),
            queue: part(table, "queue", problems),
            cpu: part(table, "cpu", problems),
            retry_after: part(table, "retry_after", problems),
            routes: routes(table, problems),
            keys: part(table, "keys", problems),
            lease: part(table, "lease", problems),
            callee: part(table, "callee", problems),
            callees: callees(table, callee_table.as_ref(), problems),
            lanes: part(table, "lanes", problems),
        }
    }
}

/// Takes a part out of the table, with its types; the default if it is absent or wrong.
fn read<T: DeserializeOwned + Default>(table: &mut toml::Table, key: &str, problems: &mut Problems) -> T {
    table.remove(key).and_then(|value| typed(value, key, problems)).unwrap_or_default()
}

/// As [`read`], and with its values.
fn part<T: DeserializeOwned + Default + Check>(table: &mut toml::Table, key: &str, problems: &mut Problems) -> T {
    let part: T = read(table, key, problems);
    problems.within(key, |problems| part.check(problems));
    part
}

fn typed<T: DeserializeOwned>(value: toml::Value, key: &str, problems: &mut Problems) -> Option<T> {
    match serde_path_to_error::deserialize(value) {
        Ok(typed) => Some(typed),
        Err(error) => {
            let path = error.path().to_string();
            let reason = error.into_inner().to_string();
            // What follows on further lines says the path again.
            let reason = reason.lines().next().unwrap_or_default();
            problems.within(key, |problems| problems.add(if path == "." { "" } else { &path }, reason));
            None
        }
    }
}

fn routes(table: &mut toml::Table, problems: &mut Problems) -> BTreeMap<Class, RouteRules> {
    let named: toml::Table = read(table, "routes", problems);
    let mut routes = BTreeMap::new();
    problems.within("routes", |problems| {
        for (name, value) in named {
            let Some(class) = Class::SHED_ORDER.into_iter().find(|class| class.name() == name) else {
                let known = Class::SHED_ORDER.map(Class::name).join(", ");
                problems.add(&name, format!("is none of {known}"));
                continue;
            };
            let Some(route) = typed::<RouteRules>(value, &name, problems) else { continue };
            problems.within(name, |problems| route.check(problems));
            routes.insert(class, route);
        }
    });
    routes
}

/// The rules of single callees, laid over those of all.
fn callees(
    table: &mut toml::Table,
    all: Option<&toml::Value>,
    problems: &mut Problems,
) -> BTreeMap<String, CalleeRules> {
    let named: toml::Table = read(table, "callees", problems);
    let mut callees = BTreeMap::new();
    problems.within("callees", |problems| {
        problems.number("", named.len(), 0..=MAX_CALLEES);
        for (name, own) in named.into_iter().take(MAX_CALLEES) {
            // What is wrong with the rules for all has been told; here only what is this callee's own.
            let Some(_) = typed::<CalleeRules>(own.clone(), &name, problems) else { continue };
            let merged = laid_over(all.cloned(), own);
            let Ok(callee) = CalleeRules::deserialize(merged) else { continue };
            problems.within(name.as_str(), |problems| callee.check(problems));
            callees.insert(name, callee);
        }
    });
    callees
}

/// `own` where it says something, `all` elsewhere; tables are merged, values are replaced.
fn laid_over(all: Option<toml::Value>, own: toml::Value) -> toml::Value {
    match (all, own) {
        (Some(toml::Value::Table(mut all)), toml::Value::Table(own)) => {
            for (key, value) in own {
                let merged = laid_over(all.remove(&key), value);
                all.insert(key, merged);
            }
            toml::Value::Table(all)
        }
        (_, own) => own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(document: &str) -> Vec<String> {
        Rules::parse(document).expect_err("something is wrong").iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_empty_document_is_the_defaults_and_they_are_valid() {
        let rules = Rules::parse("").expect("valid");
        assert_eq!(rules, Rules::default());
        assert_eq!(rules.callee("anybody"), &CalleeRules::default());
    }

    #[test]
    fn what_is_effective_reads_as_the_same_rules() {
        let document = r#"
            switches.backup = false
            concurrency = { initial = 50, queue = { fixed = 4 } }
            routes.login.rate = { limit = 2000, per = "1s" }
            routes.pay_callback.in_flight = 100
            keys.address = { rate = { limit = 60, per = "1m", burst = 20 }, capacity = 1000 }
            callee.retry.attempts = 2
            callees.pay.retry.ratio = 0.2
            [[lanes.rules]]
            lane = "canary"
            header = { name = "X-Canary", equals = "1" }
            accounts = [1, 2]
            percent = 1.5
        "#;
        let rules = Rules::parse(document).expect("valid");
        let effective = rules.effective().expect("it can be written");
        assert_eq!(Rules::parse(&effective), Ok(rules));
        for part in ["probe_interval = \"250ms\"", "[callees.pay.breaker]", "[keys.partner]", "target = \"5ms\""] {
            assert!(effective.contains(part), "{part} in\n{effective}");
        }
        let defaults = Rules::default().effective().expect("they can be written");
        assert_eq!(Rules::parse(&defaults), Ok(Rules::default()));
    }

    #[test]
    fn a_callee_has_the_rules_of_all_where_it_has_none_of_its_own() {
        let rules = Rules::parse(
            "callee.retry = { attempts = 2, ratio = 0.2 }\ncallee.in_flight = 9\ncallees.pay.retry.attempts = 0",
        )
        .expect("valid");
        let pay = rules.callee("pay");
        assert_eq!((pay.retry.attempts, pay.in_flight), (0, 9));
        assert!((pay.retry.ratio - 0.2).abs() < 1e-9);
        assert_eq!(rules.callee("setting").retry.attempts, 2);
    }

    #[test]
    fn every_problem_is_told_by_its_path_and_not_only_the_first() {
        let found = problems(
            r#"
            switches.limts = true
            concurrency = { min = 50, max = 10 }
            priority = { login = 0.1 }
            queue.target = "soon"
            keys.address.rate = { limit = 1, per = "0s" }
            keys.device.capacity = 100000000
            callees.pay.breaker.k = 0.5
            callees.account.breker = {}
            routes.logn = {}
            nonsense = 1
            [[lanes.rules]]
            lane = "canary"
            [[lanes.rules]]
            lane = "blue"
            percent = 101
            "#,
        );
        let expected = [
            "switches.limts: unknown field",
            "concurrency.min: 50 is above `max` (10)",
            "priority.login: is below",
            "queue.target: invalid value: string \"soon\", expected a duration",
            "routes.logn: is none of ingest, settings, login",
            "keys.address.rate.per: 0ns is not within 1ms and",
            "keys.device.capacity: 100000000 is not within",
            "callees.account.breker: unknown field",
            "callees.pay.breaker.k: 0.5 is not within 1.01 and 10",
            "lanes.rules[0]: has no condition",
            "lanes.rules[1].percent: 101 is not within 0 and 100",
            "nonsense: is not a part",
        ];
        for expected in expected {
            assert!(found.iter().any(|problem| problem.starts_with(expected)), "{expected} in {found:#?}");
        }
        assert_eq!(found.len(), expected.len(), "{found:#?}");
    }

    #[test]
    fn what_is_no_toml_or_too_large_is_refused_as_a_whole() {
        assert!(problems("a = ").first().is_some_and(|problem| problem.contains("line 1")));
        assert!(problems(&" ".repeat(MAX_DOCUMENT_BYTES + 1)).first().is_some_and(|problem| problem.contains("bytes")));
    }

    #[test]
    fn a_problem_of_all_callees_is_told_once() {
        let found = problems("callee.breaker.k = 'x'\ncallees.pay.in_flight = 1\ncallees.account.in_flight = 1");
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn numbers_that_are_none_are_outside_every_range() {
        for document in ["priority.login = nan", "callee.retry.ratio = inf", "cpu.threshold = nan"] {
            assert!(!problems(document).is_empty(), "{document}");
        }
    }
}
