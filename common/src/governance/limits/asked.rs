//! [`Limits`]: what the layers and handlers ask.

use std::{hash::Hash, net::IpAddr, num::NonZeroU32, sync::Arc, time::Duration};

use arc_swap::ArcSwap;
use govern::{
    gcra::{Decision, Rate},
    keyed_limit::address_block,
    priority::Class,
    rate_limit_headers::Fields,
    rules::Rules,
};
use ipnet::IpNet;
use prometheus::Registry;
use tokio::time::{Instant, sleep};
use volo::FastStr;

use super::{Kind, keyed::Keyed, metrics::Metrics, quotas::Quotas, routes::Routes};
use crate::{
    clock::SharedRandom, error_code::PublicError, governance::Governance, lifecycle::RequestTasks, shared::SharedState,
};

/// How often tables are walked to count their keys.
const KEYS_COUNTED_EVERY: Duration = Duration::from_secs(10);

/// A caller that was let in is told of a limit when no more than one of so many units is left to it.
const WORTH_TELLING: u32 = 4;

/// What limits need from their process.
#[derive(Clone, Debug)]
pub struct LimitsParts {
    /// The rules in force, and the moments they are applied at.
    pub governance: Governance,
    /// Where the quotas of apps and partners are leased from.
    pub shared: Arc<dyn SharedState>,
    /// How many gateways share those quotas; one if `shared` is this process's own. Each limits alone at its part while
    /// the shared state is away.
    pub replicas: NonZeroU32,
    /// Tracks questions that are on their way.
    pub tasks: RequestTasks,
    /// Spreads those who are told to come back.
    pub random: SharedRandom,
    /// Clients on this machine are spared the limits by address: for development.
    pub spares_loopback: bool,
}

/// The limits of a process. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Limits(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    governance: Governance,
    random: SharedRandom,
    spares_loopback: bool,
    spared: ArcSwap<Vec<IpNet>>,
    address: Keyed,
    block: Keyed,
    routes: Routes,
    device: Keyed,
    account: Keyed,
    app: Quotas<i64>,
    partner: Quotas<FastStr>,
    metrics: Metrics,
}

/// Where a caller that was let in stands with the limit that is nearest to being used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    kind: Kind,
    rate: Rate,
    decision: Decision,
}

/// Whose requests are counted together where a token is presented.
#[derive(Hash)]
enum Player<'a> {
    Account(i64),
    Token(&'a str),
}

impl Limits {
    /// Limits that follow the rules in force.
    ///
    /// # Errors
    /// When the registry has these metrics already.
    pub fn new(parts: LimitsParts, registry: &Registry) -> Result<Self, prometheus::Error> {
        let metrics = Metrics::register(registry)?;
        let limits = Self(Arc::new(Inner {
            spared: ArcSwap::default(),
            address: Keyed::default(),
            block: Keyed::default(),
            routes: Routes::default(),
            device: Keyed::default(),
            account: Keyed::default(),
            app: Quotas::new("quota:app", &parts, metrics.app_leases()),
            partner: Quotas::new("quota:partner", &parts, metrics.partner_leases()),
            metrics,
            governance: parts.governance,
            random: parts.random,
            spares_loopback: parts.spares_loopback,
        }));
        // Not the limits themselves: they hold the governance that would hold them.
        let followed = Arc::downgrade(&limits.0);
        limits.0.governance.follow(move |rules| {
            if let Some(limits) = followed.upgrade() {
                limits.follow(rules);
            }
        });
        Ok(limits)
    }

    /// What can be said by the head of a request alone, before anything is done for it: of a client at `address` (absent:
    /// nobody knows which client it is) that asks a route of a class (absent: of none), which is looked up if it matters.
    /// Answers what the caller should be told, if that is worth telling.
    ///
    /// The address first, then its block, then the class: who is refused for itself must not use up what it shares.
    ///
    /// # Errors
    /// The refusal.
    pub fn at_the_edge(
        &self,
        class: impl FnOnce() -> Option<Class>,
        address: Option<IpAddr>,
    ) -> Result<Option<Standing>, PublicError> {
        let now = self.0.governance.now();
        let mut nearest = None;
        if let Some(address) = address.filter(|address| self.0.limits_address(*address)) {
            nearest = self.judge(Kind::Address, self.0.address.check(&address, now))?;
            let block = self.judge(Kind::AddressBlock, self.0.block.check(&address_block(address), now))?;
            nearest = Standing::nearer(nearest, block);
        }
        if self.0.routes.is_on()
            && let Some(class) = class()
        {
            let route = self.judge(Kind::Route, self.0.routes.check(class, now))?;
            nearest = Standing::nearer(nearest, route);
        }
        Ok(nearest.filter(Standing::is_worth_telling))
    }

    /// What a device may, that says to be this one. Whoever knows the id of another's device could use its share up, so a
    /// share is of the device in its network.
    ///
    /// # Errors
    /// The refusal.
    pub fn device(&self, app_id: i64, device_id: &str, address: IpAddr) -> Result<(), PublicError> {
        let key = (app_id, device_id, address_block(address));
        self.judge(Kind::Device, self.0.device.check(&key, self.0.governance.now())).map(drop)
    }

    /// What the player with this token may. `account` is asked who that is if it matters, and answers only for tokens that
    /// are good: otherwise an old token could use up the share of its account. Without an answer each token is counted
    /// for itself.
    ///
    /// # Errors
    /// The refusal.
    pub fn player(&self, token: &str, account: impl FnOnce() -> Option<i64>) -> Result<(), PublicError> {
        if !self.0.account.is_on() {
            return Ok(());
        }
        let player = account().map_or(Player::Token(token), Player::Account);
        self.judge(Kind::Account, self.0.account.check(&player, self.0.governance.now())).map(drop)
    }

    /// What an app may that has shown its secret. Waits at most `lease.patience` for the shared state.
    ///
    /// # Errors
    /// The refusal. Never because the shared state is away: then this process decides alone.
    pub async fn app(&self, app_id: i64) -> Result<(), PublicError> {
        let taken = self.0.app.take(&app_id).await;
        self.judge(Kind::App, taken).map(drop)
    }

    /// What a partner may push, in requests. Waits as [`app`](Self::app) does.
    ///
    /// # Errors
    /// The refusal.
    pub async fn partner(&self, name: &FastStr) -> Result<(), PublicError> {
        let taken = self.0.partner.take(name).await;
        self.judge(Kind::Partner, taken).map(drop)
    }

    /// Gives back leased units that are not needed and counts keys, as long as the process lives.
    pub async fn keep(self) {
        let mut counted = Instant::now();
        loop {
            sleep(self.0.governance.current().lease.ttl).await;
            self.0.app.tidy().await;
            self.0.partner.tidy().await;
            if counted.elapsed() >= KEYS_COUNTED_EVERY {
                self.count_keys();
                counted = Instant::now();
            }
        }
    }

    /// Gives back all leased units: at the end of the process, after its last request.
    pub async fn give_back(self) {
        self.0.app.give_back_all().await;
        self.0.partner.give_back_all().await;
    }

    fn count_keys(&self) {
        let now = self.0.governance.now();
        let Inner { address, block, device, account, app, partner, metrics, .. } = &*self.0;
        for (kind, keyed) in
            [(Kind::Address, address), (Kind::AddressBlock, block), (Kind::Device, device), (Kind::Account, account)]
        {
            metrics.keys(kind, keyed.active(now));
        }
        metrics.keys(Kind::App, app.held());
        metrics.keys(Kind::Partner, partner.held());
    }

    /// Counts a decision and turns it into a refusal, if it is one. `None`: there was nothing to decide.
    fn judge(&self, kind: Kind, decided: Option<(Rate, Decision)>) -> Result<Option<Standing>, PublicError> {
        let Some((rate, decision)) = decided else { return Ok(None) };
        self.0.metrics.count(kind, decision.is_allowed());
        let standing = Standing { kind, rate, decision };
        match decision {
            Decision::Allowed { .. } => Ok(Some(standing)),
            Decision::Refused { retry_after } => Err(self.refusal(standing, retry_after)),
        }
    }

    fn refusal(&self, standing: Standing, retry_after: Duration) -> PublicError {
        let spread = self.0.governance.current().retry_after.pause_of_limit(retry_after, self.0.random.fraction());
        let refusal = PublicError::new(standing.kind.code()).limited(standing.fields(), spread);
        match standing.kind.message() {
            Some(message) => refusal.message(FastStr::from_static_str(message)),
            None => refusal,
        }
    }
}

impl Inner {
    fn follow(&self, rules: &Rules) {
        let Rules { keys, routes, lease, switches, .. } = rules;
        let is_on = switches.limits;
        self.spared.store(Arc::new(keys.spared.clone()));
        self.address.follow(&keys.address, is_on);
        self.block.follow(&keys.address_block, is_on);
        self.routes.follow(routes, is_on);
        self.device.follow(&keys.device, is_on);
        self.account.follow(&keys.account, is_on);
        self.app.follow(&keys.app, *lease, is_on, |app| app.parse().ok());
        self.partner.follow(&keys.partner, *lease, is_on, |name| Some(FastStr::new(name)));
    }

    fn limits_address(&self, address: IpAddr) -> bool {
        (self.address.is_on() || self.block.is_on())
            && !(self.spares_loopback && address.is_loopback())
            && !self.spared.load().iter().any(|network| network.contains(&address))
    }
}

impl Standing {
    /// What the caller is told.
    pub fn fields(&self) -> Fields {
        self.kind.policy().fields(self.rate, &self.decision)
    }

    /// The one of which the smaller share is left.
    fn nearer(one: Option<Self>, other: Option<Self>) -> Option<Self> {
        match (one, other) {
            (Some(one), Some(other)) => {
                let is_nearer =
                    other.left() * u64::from(one.rate.burst.get()) < one.left() * u64::from(other.rate.burst.get());
                Some(if is_nearer { other } else { one })
            }
            (one, other) => one.or(other),
        }
    }

    fn is_worth_telling(&self) -> bool {
        self.left() * u64::from(WORTH_TELLING) <= u64::from(self.rate.burst.get())
    }

    fn left(&self) -> u64 {
        match self.decision {
            Decision::Allowed { remaining, .. } => u64::from(remaining),
            Decision::Refused { .. } => 0,
        }
    }
}
