//! [`Guard`]: who is kept out by hand, and the one way to climb a ladder. [`Risk`]: what it stands on.

use std::{net::IpAddr, time::Duration};

use common::{
    clock::SharedClock,
    config::{Environment, watch::ConfigWatch},
    shared::{Climb, Ladder, Rate, SharedError, SharedState, Standing},
};
use prometheus::Registry;

use super::{banned::BannedSubjects, config::RiskConfig, metrics::Metrics};
use crate::{
    domain::{
        client::Client,
        ids::AccountId,
        master_key::MasterKey,
        risk::{
            block_list::RiskDocument,
            judgement::{Lock, Rule},
            subject::{Network, SubjectKeys},
        },
    },
    error::AccountError,
};

/// Who may try to sign in, and who may not: the rules, over the counters that instances share.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guard<'a> {
    pub(super) risk: &'a Risk,
    pub(super) shared: &'a dyn SharedState,
}

/// The rules, and what they need.
#[derive(Debug)]
pub(crate) struct Risk {
    pub(super) keys: SubjectKeys,
    pub(super) rules: Rules,
    pub(super) metrics: Metrics,
    /// Who is kept out by a ban.
    pub(crate) banned: BannedSubjects,
    documents: ConfigWatch<RiskDocument>,
    environment: Environment,
    clock: SharedClock,
}

/// What the rules need from the process.
#[derive(Debug)]
pub(crate) struct RiskParts<'a> {
    pub(crate) master_key: &'a MasterKey,
    pub(crate) banned: BannedSubjects,
    pub(crate) documents: ConfigWatch<RiskDocument>,
    pub(crate) environment: Environment,
    pub(crate) clock: SharedClock,
    pub(crate) registry: &'a Registry,
}

/// The configuration as rules.
#[derive(Debug)]
pub(super) struct Rules {
    pub(super) account: Ladder,
    pub(super) device: Ladder,
    pub(super) address: Ladder,
    pub(super) stuffing: Ladder,
    pub(super) registrations_of_address: Rate,
    pub(super) registrations_of_device: Rate,
    pub(super) password_hashes: Rate,
}

impl Risk {
    /// The rules of `config`.
    ///
    /// # Errors
    /// When the registry has these metrics already.
    pub(crate) fn new(config: &RiskConfig, parts: RiskParts<'_>) -> Result<Self, prometheus::Error> {
        let rules = Rules {
            account: config.account(),
            device: config.device(),
            address: config.address(),
            stuffing: config.stuffing(),
            registrations_of_address: config.registrations_of_address(),
            registrations_of_device: config.registrations_of_device(),
            password_hashes: config.password_hashes(),
        };
        Ok(Self {
            keys: SubjectKeys::new(parts.master_key),
            rules,
            metrics: Metrics::register(parts.registry)?,
            banned: parts.banned,
            documents: parts.documents,
            environment: parts.environment,
            clock: parts.clock,
        })
    }

    /// The rules over these counters.
    pub(crate) fn guard<'a>(&'a self, shared: &'a dyn SharedState) -> Guard<'a> {
        Guard { risk: self, shared }
    }
}

impl Guard<'_> {
    /// Refuses whoever an operator keeps out, whatever they ask for. A ban comes first: it says why, and for how long.
    pub(crate) fn admit(&self, client: &Client) -> Result<(), AccountError> {
        let device = client.device_id.as_ref().map(|device| device.as_str());
        self.refuse_banned(address_of(client), device)?;
        match self.risk.documents.current().blocked.blocks(address_of(client), device) {
            None => Ok(()),
            Some(why) => {
                self.risk.metrics.blocked(why);
                Err(AccountError::Blocked)
            }
        }
    }

    fn refuse_banned(&self, address: Option<IpAddr>, device: Option<&str>) -> Result<(), AccountError> {
        match self.risk.banned.of(address, device, self.risk.clock.now()) {
            None => Ok(()),
            Some((what, ban)) => {
                self.risk.metrics.banned(what);
                Err(AccountError::SubjectBanned { what, ban })
            }
        }
    }

    /// Where a client counts as being. None if nobody knows, and for this machine in development: there every player
    /// of a test is at one address.
    pub(super) fn network_of(&self, client: &Client) -> Option<Network> {
        let address = address_of(client)?.to_canonical();
        let is_exempt = self.risk.environment == Environment::Development && address.is_loopback();
        (!is_exempt).then(|| Network::of(address))
    }

    /// Where a key stands. Nobody is refused because this can't be told.
    pub(super) async fn standing(&self, key: Option<&str>) -> Standing {
        match key {
            Some(key) => self.answered(self.shared.standing(key).await).unwrap_or_default(),
            None => Standing::default(),
        }
    }

    /// Notes a failure. A lock that was there before is answered: then the attempt should not have been judged.
    pub(super) async fn climb(
        &self,
        rule: Rule,
        ladder: &Ladder,
        key: Option<&str>,
        account_id: Option<AccountId>,
    ) -> Option<Lock> {
        match self.answered(self.shared.climb(key?, ladder).await)? {
            Climb::Locked(left) => Some(Lock { rule, left }),
            Climb::Climbed(Standing { failures, locked_for }) => {
                if !locked_for.is_zero() {
                    self.risk.metrics.locked_by(rule);
                    let (ladder, account_id) = (rule.label(), account_id.map(AccountId::get));
                    let locked_for_ms = u64::try_from(locked_for.as_millis()).unwrap_or(u64::MAX);
                    tracing::info!(ladder, account_id, failures, locked_for_ms, "too many failed logins, locked");
                }
                None
            }
        }
    }

    /// Forgets a key's failures. For how long it is locked if it is.
    pub(super) async fn forgive(&self, key: Option<&str>) -> Option<Duration> {
        self.answered(self.shared.forgive(key?).await).flatten()
    }

    /// What a caller is told about a lock.
    pub(super) fn refuse(&self, lock: Lock) -> AccountError {
        self.risk.metrics.refused_by(lock.rule);
        match lock.rule {
            Rule::Stuffing => AccountError::AddressLimited { retry_after: lock.left },
            Rule::KnownDevice | Rule::Account | Rule::Device | Rule::Address | Rule::DeviceSecret => {
                AccountError::TooManyFailures { retry_after: lock.left }
            }
        }
    }

    /// An answer of the shared state, if there is one.
    pub(super) fn answered<T>(&self, answer: Result<T, SharedError>) -> Option<T> {
        answer.inspect_err(|_| self.risk.metrics.unanswered.inc()).ok()
    }
}

fn address_of(client: &Client) -> Option<IpAddr> {
    client.address.as_deref()?.parse().ok()
}
