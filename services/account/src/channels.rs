//! Channels over the network: who they say a player is.
//!
//! The documents of every app are kept in memory and followed like the apps: read again every second, and at once when
//! somebody names a channel that is not there. A channel that is slow, broken or unknown to itself never makes a credential
//! wrong: what can't be told is answered as such, with a time to come back.
//!
//! In reading order:
//! - `config`: `account.channels`.
//! - `known`: the documents in memory. `editor`: how they are changed.
//! - `question`: one question over HTTP. `gate`: how many at once, and none while the channel is away.
//! - `issuer_keys`: the published keys of an OpenID provider.
//! - `metrics`: what is counted.

mod config;
mod editor;
mod gate;
mod issuer_keys;
mod known;
mod metrics;
mod question;
#[cfg(test)]
mod tests;

use std::{fmt, time::Duration};

use common::{
    clock::{SharedClock, SharedRandom, random_bytes},
    config::Environment,
    http::client::{AddressGuard, HttpClient, HttpClientLimits},
    sql::Database,
};
use prometheus::Registry;

pub use self::config::ChannelsConfig;
pub(crate) use self::editor::ShownChannel;
use self::{
    gate::Gate,
    known::{Channel, Known},
    metrics::Metrics,
};
use crate::{
    MasterKey,
    domain::{
        channel::{
            Judgement,
            credential::ChannelCredential,
            document::LoginRules,
            identity::{ChannelName, ChannelUid},
            oidc::OidcRules,
            signed_http::SignedHttpRules,
            template::Scope,
            vault::ChannelVault,
        },
        field::FieldError,
        ids::AppId,
    },
    error::AccountError,
};

/// When to come back after a channel could not tell.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// Nobody is asked to come back sooner: a hint of a few milliseconds would make clients hammer.
const RETRY_AT_LEAST: Duration = Duration::from_secs(1);

/// Every channel of every app.
#[derive(Debug)]
pub(crate) struct Channels {
    known: Known,
    outside: Outside,
    metrics: Metrics,
}

/// The way to the channels, and what a question on it may cost.
pub(super) struct Outside {
    client: HttpClient,
    guard: AddressGuard,
    config: ChannelsConfig,
    development: bool,
    clock: SharedClock,
    random: SharedRandom,
}

/// No verdict. The text is for operators: it names no URL and nothing that was sent or answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CouldNotTell {
    reason: String,
    retry_after: Duration,
}

/// Why channels can't be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChannelsStartError {
    #[error("channels can't be called: {0}")]
    Client(String),
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
    #[error(transparent)]
    Store(#[from] AccountError),
}

impl Channels {
    pub(crate) async fn load(
        config: &ChannelsConfig,
        master_key: &MasterKey,
        database: Database,
        environment: Environment,
        clock: SharedClock,
        random: SharedRandom,
        registry: &Registry,
    ) -> Result<Self, ChannelsStartError> {
        let development = environment == Environment::Development;
        let guard = AddressGuard::public_and(&config.allowed_networks, development);
        let limits = HttpClientLimits { timeout: config.timeout, longest_answer: config.longest_answer };
        let client = HttpClient::guarded(limits, guard.clone())
            .map_err(|error| ChannelsStartError::Client(error.to_string()))?;
        let outside = Outside { client, guard, config: config.clone(), development, clock, random };
        let known = Known::load(database, ChannelVault::new(master_key), development).await?;
        Ok(Self { known, outside, metrics: Metrics::register(registry)? })
    }

    /// Follows what other instances have changed.
    pub(crate) async fn refresh(&self) -> Result<(), AccountError> {
        self.known.refresh().await
    }

    /// Who the channel says that this is. A refusal of the channel is [`AccountError::WrongCredentials`], and nothing else
    /// is.
    pub(crate) async fn verify(
        &self,
        app_id: AppId,
        name: &ChannelName,
        credential: &ChannelCredential,
    ) -> Result<ChannelUid, AccountError> {
        let found = self.known.find(app_id, name).await?;
        let channel = found.filter(|channel| channel.login.is_some());
        let channel = channel.ok_or(FieldError::new("channel", "players of this app don't sign in through it"))?;
        let judged = self.judge(app_id, &channel, credential).await;
        self.metrics.count(&judged);
        match judged {
            Ok(Judgement::Accepted(uid)) => Ok(uid),
            Ok(Judgement::WrongCredential) => Err(AccountError::WrongCredentials),
            Ok(Judgement::Unclear(reason)) => {
                let (reason, retry_after) = (reason.to_owned(), RETRY_AFTER);
                Err(unclear(app_id, name, CouldNotTell { reason, retry_after }))
            }
            Err(NotJudged::CouldNotTell(could_not_tell)) => Err(unclear(app_id, name, could_not_tell)),
            Err(NotJudged::Refused(error)) => Err(error),
        }
    }

    async fn judge(
        &self,
        app_id: AppId,
        channel: &Channel,
        credential: &ChannelCredential,
    ) -> Result<Judgement, NotJudged> {
        match &channel.login {
            Some(LoginRules::Oidc(rules)) => self.outside.judge_token(rules, channel, credential).await,
            Some(LoginRules::SignedHttp(rules)) => {
                self.outside.ask_about(app_id, rules, &channel.gate, credential).await
            }
            None => Ok(Judgement::Unclear("it has no rules to judge by")),
        }
    }
}

/// What kept a credential from being judged.
#[derive(Debug)]
pub(super) enum NotJudged {
    CouldNotTell(CouldNotTell),
    /// The caller has to send something else.
    Refused(AccountError),
}

impl Outside {
    async fn judge_token(
        &self,
        rules: &OidcRules,
        channel: &Channel,
        credential: &ChannelCredential,
    ) -> Result<Judgement, NotJudged> {
        match rules.present(credential).map_err(AccountError::from)? {
            Some(presented) => {
                let judge = |keys: &_, now| rules.judge(&presented, keys, now);
                Ok(channel.keys.judge(self, &rules.jwks_uri, &channel.gate, judge).await?)
            }
            None => Ok(Judgement::WrongCredential),
        }
    }

    async fn ask_about(
        &self,
        app_id: AppId,
        rules: &SignedHttpRules,
        gate: &Gate,
        credential: &ChannelCredential,
    ) -> Result<Judgement, NotJudged> {
        let nonce = hex::encode(random_bytes::<16>(&*self.random));
        let scope = Scope { credential, app_id, now: self.clock.now(), nonce: &nonce };
        let question = rules.ask(scope).map_err(AccountError::from)?;
        let request = question::request(question)
            .ok_or(FieldError::new("credential", "has a field that can't be sent to the channel"))
            .map_err(AccountError::from)?;
        let (status, body) = gate.pass(self, request).await?;
        Ok(rules.answer.judge(status, &body, credential))
    }
}

impl From<AccountError> for NotJudged {
    fn from(error: AccountError) -> Self {
        Self::Refused(error)
    }
}

impl From<CouldNotTell> for NotJudged {
    fn from(could_not_tell: CouldNotTell) -> Self {
        Self::CouldNotTell(could_not_tell)
    }
}

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outside").field("config", &self.config).finish_non_exhaustive()
    }
}

fn unclear(app_id: AppId, name: &ChannelName, could_not_tell: CouldNotTell) -> AccountError {
    let CouldNotTell { reason, retry_after } = could_not_tell;
    let retry_after = retry_after.max(RETRY_AT_LEAST);
    AccountError::ChannelUnclear { channel: format!("{name} of app {app_id}"), reason, retry_after }
}
