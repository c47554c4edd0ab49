//! The section `account`.

mod cleanup;
mod deletion;
mod id_token;
mod jobs;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use common::{
    config::{Invalid, Secret, Section},
    events::EventsConfig,
    sql::GroupCommitConfig,
};
use serde::{Deserialize, Serialize};

pub use self::{cleanup::CleanupConfig, deletion::DeletionConfig, id_token::IdTokenConfig, jobs::JobConfig};
use crate::{
    channels::ChannelsConfig,
    domain::{key_rotation::Pace, policy::LifetimeCaps},
    hash_pool::HashPoolConfig,
    history::HistoryConfig,
    phone_codes::PhoneConfig,
    risk::RiskConfig,
};

/// What a token's layout can hold: its lifetime is 32 bits of milliseconds.
const LONGEST_ACCESS_TTL: Duration = Duration::from_secs(30 * 24 * 3600);

/// A token that lives less than half as long as it should costs refreshes and spreads nothing better.
const LARGEST_TTL_JITTER: f64 = 0.5;

/// The account service.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the RPC server listens. Never reachable from outside the cluster: the wire is not authenticated.
    pub listen: SocketAddr,
    /// 64 hexadecimal digits that everything secret at rest is sealed under, the same on every replica. Losing it loses
    /// every session and every app secret. Absent in development: generated into `master-key` in the data directory.
    pub master_key: Option<Secret>,
    /// A file with the digits, as secrets are mounted, instead of `master_key`; white space around them is ignored. Read at the
    /// start only.
    pub master_key_file: Option<PathBuf>,
    /// Tokens and sessions.
    pub tokens: TokenConfig,
    /// ID tokens.
    pub id_token: IdTokenConfig,
    /// Password hashing.
    pub hash_pool: HashPoolConfig,
    /// Keeping off who guesses passwords or fills the platform with accounts.
    pub risk: RiskConfig,
    /// Phones, and the codes that are sent to them.
    pub phone: PhoneConfig,
    /// Channels, and what asking them may cost.
    pub channels: ChannelsConfig,
    /// How this instance follows what other instances write.
    pub follow: FollowConfig,
    /// Clearing away rows that no longer matter.
    pub cleanup: CleanupConfig,
    /// Deleting accounts whose players asked for it.
    pub deletion: DeletionConfig,
    /// What one replica at a time does for all of them.
    pub jobs: JobConfig,
    /// What is remembered of what happened to accounts.
    pub history: HistoryConfig,
    /// Events for a data warehouse.
    pub events: EventsConfig,
    /// Sign-ins that come at once are committed together, so that a burst is not one flush of the disk each.
    pub session_writes: GroupCommitConfig,
    /// Sessions that a profile lists at most, the latest first. Protects the answer's size.
    pub profile_sessions: u32,
    /// Live sessions that one account may have in one app, whatever the app allows per class of device; beyond it those end
    /// that were not used for longest. A few more may live until somebody looks. Protects the table, and the time it takes
    /// to sign an account out.
    pub sessions_per_account: u32,
    /// Devices that one account may have in one app. Protects the table.
    pub linked_devices: u32,
}

/// How long tokens and sessions live.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokenConfig {
    /// Lifetime of an access token unless its app says otherwise; each token gets up to `access_ttl_jitter` of it less.
    #[serde(with = "humantime_serde")]
    pub access_ttl: Duration,
    /// Each access token lives up to this share shorter, so that the tokens of a patch day do not all expire at one moment.
    /// 0 to 0.5.
    pub access_ttl_jitter: f64,
    /// No app may ask for a longer lifetime of its access tokens. Revocations are remembered for this long. At most 30 days.
    #[serde(with = "humantime_serde")]
    pub access_ttl_max: Duration,
    /// A session that is not used for this long ends, unless its app says otherwise.
    #[serde(with = "humantime_serde")]
    pub refresh_ttl: Duration,
    /// A session ends after this time however often it is used, unless its app says less. No app may ask for more.
    #[serde(with = "humantime_serde")]
    pub session_ttl_max: Duration,
    /// For this long a used refresh token still yields the current one. Covers answers lost on mobile networks;
    /// longer only gives a thief more time.
    #[serde(with = "humantime_serde")]
    pub refresh_grace: Duration,
    /// A new token key signs only this long after it was stored, so that every replica can open its first token.
    #[serde(with = "humantime_serde")]
    pub key_announce: Duration,
}

/// How this instance follows what other instances write.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FollowConfig {
    /// How often revocations made by other instances are read: how long a revoked token may still pass here.
    #[serde(with = "humantime_serde")]
    pub revocations_every: Duration,
    /// How long the transaction of a revocation may take at most. Rows can become visible out of order by this much;
    /// must be longer than `sql.statement_timeout`.
    #[serde(with = "humantime_serde")]
    pub revocations_overlap: Duration,
    /// How often apps and their channels are read again: how long a change of one takes to be seen here. A new one is seen
    /// at once.
    #[serde(with = "humantime_serde")]
    pub apps_every: Duration,
    /// How often the keys of access and ID tokens are read again. Well below `tokens.key_announce`.
    #[serde(with = "humantime_serde")]
    pub keys_every: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 9081)),
            master_key: None,
            master_key_file: None,
            tokens: TokenConfig::default(),
            id_token: IdTokenConfig::default(),
            hash_pool: HashPoolConfig::default(),
            risk: RiskConfig::default(),
            phone: PhoneConfig::default(),
            channels: ChannelsConfig::default(),
            follow: FollowConfig::default(),
            cleanup: CleanupConfig::default(),
            deletion: DeletionConfig::default(),
            jobs: JobConfig::default(),
            history: HistoryConfig::default(),
            events: EventsConfig::default(),
            session_writes: GroupCommitConfig::default(),
            profile_sessions: 50,
            sessions_per_account: 200,
            linked_devices: 10,
        }
    }
}

impl Default for TokenConfig {
    fn default() -> Self {
        Self {
            access_ttl: Duration::from_secs(2 * 3600),
            access_ttl_jitter: 0.05,
            access_ttl_max: Duration::from_secs(24 * 3600),
            refresh_ttl: Duration::from_secs(30 * 24 * 3600),
            session_ttl_max: Duration::from_secs(180 * 24 * 3600),
            refresh_grace: Duration::from_secs(30),
            key_announce: Duration::from_secs(60),
        }
    }
}

impl Default for FollowConfig {
    fn default() -> Self {
        Self {
            revocations_every: Duration::from_millis(500),
            revocations_overlap: Duration::from_secs(15),
            apps_every: Duration::from_secs(1),
            keys_every: Duration::from_secs(15),
        }
    }
}

impl Section for Config {
    const NAME: &'static str = "account";

    fn validate(&self) -> Result<(), Invalid> {
        if let Some(key) = &self.master_key
            && crate::MasterKey::parse(key.expose()).is_err()
        {
            return Err(Invalid::new("master_key", "must be 64 hexadecimal digits"));
        }
        self.tokens.validate()?;
        self.hash_pool.validate()?;
        self.risk.validate()?;
        self.phone.validate()?;
        self.channels.validate()?;
        self.follow.validate(&self.tokens)?;
        self.id_token.validate(&self.follow)?;
        self.cleanup.validate(&self.tokens)?;
        self.deletion.validate()?;
        self.jobs.validate()?;
        self.history.validate()?;
        self.events.validate()?;
        if self.profile_sessions == 0 {
            return Err(Invalid::new("profile_sessions", "must be at least 1"));
        }
        if self.sessions_per_account == 0 {
            return Err(Invalid::new("sessions_per_account", "must be at least 1"));
        }
        Ok(())
    }
}

impl Config {
    /// The schedule of the keys that sign ID tokens.
    pub(crate) fn id_token_pace(&self) -> Pace {
        self.id_token.pace(&self.tokens)
    }
}

impl TokenConfig {
    /// The schedule of the keys that seal access tokens.
    pub(crate) fn key_pace(&self) -> Pace {
        Pace { announce: self.key_announce, longest_token: self.access_ttl_max }
    }

    /// What no app's policy may exceed.
    pub(crate) fn caps(&self) -> LifetimeCaps {
        LifetimeCaps { access_ttl: self.access_ttl_max, session_ttl: self.session_ttl_max }
    }

    fn validate(&self) -> Result<(), Invalid> {
        for (key, value) in [("tokens.access_ttl", self.access_ttl), ("tokens.refresh_ttl", self.refresh_ttl)] {
            at_least(key, value, Duration::from_secs(1))?;
        }
        if !(0.0..=LARGEST_TTL_JITTER).contains(&self.access_ttl_jitter) {
            return Err(Invalid::new("tokens.access_ttl_jitter", "must lie between 0 and 0.5"));
        }
        let chain = [
            ("tokens.access_ttl", self.access_ttl, "tokens.access_ttl_max", self.access_ttl_max),
            ("tokens.access_ttl_max", self.access_ttl_max, "30 days", LONGEST_ACCESS_TTL),
            ("tokens.refresh_ttl", self.refresh_ttl, "tokens.session_ttl_max", self.session_ttl_max),
            ("tokens.refresh_grace", self.refresh_grace, "tokens.refresh_ttl", self.refresh_ttl),
        ];
        for (key, value, limit_name, limit) in chain {
            if value > limit {
                return Err(Invalid::new(key, format!("must not be longer than {limit_name}")));
            }
        }
        Ok(())
    }
}

impl FollowConfig {
    fn validate(&self, tokens: &TokenConfig) -> Result<(), Invalid> {
        for (key, value) in [
            ("follow.revocations_every", self.revocations_every),
            ("follow.revocations_overlap", self.revocations_overlap),
            ("follow.apps_every", self.apps_every),
            ("follow.keys_every", self.keys_every),
        ] {
            at_least(key, value, Duration::from_millis(10))?;
        }
        if self.keys_every * 2 > tokens.key_announce {
            return Err(Invalid::new("follow.keys_every", "must be at most half of tokens.key_announce"));
        }
        Ok(())
    }
}

pub(crate) fn at_least(key: &str, value: Duration, least: Duration) -> Result<(), Invalid> {
    if value < least {
        return Err(Invalid::new(key, format!("must be at least {least:?}")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_valid() {
        assert_eq!(Config::default().validate(), Ok(()));
    }

    #[test]
    fn a_value_that_cannot_work_is_refused_by_its_key() {
        let check = |change: fn(&mut Config), key: &str| {
            let mut config = Config::default();
            change(&mut config);
            assert_eq!(config.validate().map_err(|invalid| invalid.key), Err(key.to_owned()));
        };
        check(|config| config.master_key = Some(Secret::new("abc")), "master_key");
        check(|config| config.tokens.access_ttl = Duration::ZERO, "tokens.access_ttl");
        check(|config| config.tokens.access_ttl = config.tokens.access_ttl_max * 2, "tokens.access_ttl");
        check(|config| config.tokens.access_ttl_max = LONGEST_ACCESS_TTL * 2, "tokens.access_ttl_max");
        check(|config| config.tokens.access_ttl_jitter = -0.1, "tokens.access_ttl_jitter");
        check(|config| config.tokens.access_ttl_jitter = 0.6, "tokens.access_ttl_jitter");
        check(|config| config.tokens.access_ttl_jitter = f64::NAN, "tokens.access_ttl_jitter");
        check(|config| config.tokens.refresh_ttl = config.tokens.session_ttl_max * 2, "tokens.refresh_ttl");
        check(|config| config.tokens.refresh_grace = config.tokens.refresh_ttl * 2, "tokens.refresh_grace");
        check(|config| config.hash_pool.memory_kib = 1, "hash_pool.memory_kib");
        check(|config| config.follow.revocations_every = Duration::ZERO, "follow.revocations_every");
        check(|config| config.follow.keys_every = config.tokens.key_announce, "follow.keys_every");
        check(|config| config.id_token.issuer = "playgate".to_owned(), "id_token.issuer");
        check(|config| config.id_token.issuer = "https://".to_owned(), "id_token.issuer");
        check(|config| config.id_token.issuer = "https://a.example/?b".to_owned(), "id_token.issuer");
        check(|config| config.id_token.ttl = Some(Duration::ZERO), "id_token.ttl");
        check(|config| config.id_token.ttl = Some(LONGEST_ACCESS_TTL * 2), "id_token.ttl");
        check(|config| config.id_token.keys_max_age = Duration::ZERO, "id_token.keys_max_age");
        check(|config| config.id_token.keys_max_age = config.id_token.key_announce, "id_token.key_announce");
        check(|config| config.cleanup.batch = 0, "cleanup.batch");
        check(|config| config.cleanup.keep_ended_bans = config.tokens.access_ttl_max, "cleanup.keep_ended_bans");
        check(|config| config.cleanup.keep_imports = Duration::ZERO, "cleanup.keep_imports");
        check(|config| config.deletion.cooling_off = Duration::from_secs(6 * 24 * 3600), "deletion.cooling_off");
        check(|config| config.deletion.cooling_off = Duration::from_secs(31 * 24 * 3600), "deletion.cooling_off");
        check(|config| config.deletion.batch = 0, "deletion.batch");
        check(|config| config.deletion.retry_after = Duration::ZERO, "deletion.retry_after");
        check(|config| config.jobs.lease = Duration::from_secs(1), "jobs.lease");
        check(|config| config.profile_sessions = 0, "profile_sessions");
        check(|config| config.sessions_per_account = 0, "sessions_per_account");
    }

    #[test]
    fn the_master_key_never_prints() {
        let config = Config { master_key: Some(Secret::new("ab".repeat(32))), ..Config::default() };
        assert_eq!(config.validate(), Ok(()));
        assert!(!format!("{config:?}").contains("abab"));
    }
}
