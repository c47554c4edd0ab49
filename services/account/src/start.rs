//! From a configuration and an open database to a service that can answer.

use std::{
    num::NonZeroU32,
    sync::{Arc, Mutex},
};

use common::{
    clock::{SharedClock, SharedRandom},
    config::{Environment, watch::ConfigWatch},
    events::{EventOutbox, EventOutboxParts},
    lifecycle::{BackgroundTask, RequestTasks},
    shared::{Feed, SharedState},
    sql::{Database, GroupCommit, JobLeases, MigrationSet, SegmentPlan, Segments, SqlError},
};
use prometheus::Registry;
use sqlx::migrate::Migrator;
use tokio_util::sync::CancellationToken;

use crate::{
    Account, Config, MasterKey,
    announcements::Announcements,
    app_editor::AppEditor,
    apps::Apps,
    channels::{Channels, ChannelsStartError},
    domain::{
        master_key::Vault,
        personal_data::PersonalData,
        risk::{block_list::RiskDocument, subject::SubjectKeys},
        signing_key_vault::SigningKeyVault,
    },
    error::AccountError,
    events,
    hash_pool::{HashPool, HashPoolStartError},
    history::recorder,
    jobs::{self, JobMetrics},
    keys::{self, Keys},
    partner_editor::PartnerEditor,
    partners::Partners,
    password_upgrades::PasswordUpgrades,
    phone_codes::{Budget, Delivery, DeliveryStartError},
    revocations::{self, Revocations},
    risk::{BannedSubjects, Risk, RiskParts},
    rpc::{refresh::RefreshMetrics, verify_token::VerdictMetrics},
    service::Parts,
    signing_keys::SigningKeyRing,
    store::{
        accounts::Accounts, audit::Audit, bans::Bans, deletions::Deletions, history::Histories, links::Links,
        passwords::Passwords, phone_codes::PhoneCodes, sessions::Sessions,
    },
};

static MYSQL: Migrator = sqlx::migrate!("migrations/mysql");
static SQLITE: Migrator = sqlx::migrate!("migrations/sqlite");

/// Account ids count from here. Blocks are small enough that a restart leaves no large gap, and large enough that a
/// storm of registrations does not wait for reservations.
pub(crate) const ACCOUNT_IDS: SegmentPlan =
    SegmentPlan { name: "account", first_id: 100_001, block_size: NonZeroU32::new(1000).unwrap() };

/// Why the service did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The database holds secrets that were sealed under another master key.
    #[error(
        "account.master_key is not the one this database was used with: {0}. Start with the old key (the file \
         master-key in the data directory, if it was generated), or with an empty database"
    )]
    WrongMasterKey(String),
    /// The database did not answer, or not as expected.
    #[error("the account store can't be read")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The hash pool did not start.
    #[error(transparent)]
    HashPool(#[from] HashPoolStartError),
    /// Phone codes can't be sent as configured.
    #[error("{0}")]
    PhoneCodes(String),
    /// Channels can't be called.
    #[error("{0}")]
    Channels(String),
    /// A metric of the same name is registered already.
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

/// The tables of this service, prefix `account_`. They need `common::sql::platform_migrations` besides.
pub fn migrations() -> MigrationSet {
    MigrationSet { name: "account", mysql: &MYSQL, sqlite: &SQLITE }
}

/// What the service stands on.
#[derive(Debug)]
pub struct Resources {
    /// Where everything lies that must not be lost.
    pub database: Database,
    /// Through it instances tell each other of revocations at once; without one they read the database every
    /// `follow.revocations_every`.
    pub feed: Option<Arc<dyn Feed>>,
    /// Counters and limits that instances share, and that may be lost.
    pub shared: Arc<dyn SharedState>,
    /// Who is kept out by hand, as it changes.
    pub risk_documents: ConfigWatch<RiskDocument>,
    /// Tracks what goes on after a request was answered.
    pub tasks: RequestTasks,
    /// Development logs phone codes unless told otherwise, and exempts this machine from limits per address.
    pub environment: Environment,
    /// The time.
    pub clock: SharedClock,
    /// For secrets and jitter.
    pub random: SharedRandom,
    /// Where the service's metrics are registered.
    pub registry: Registry,
}

/// Loads keys, apps and revocations. When it returns, every token can be judged: the service is ready.
///
/// The caller runs [`Account::background`]; without it nobody signs in, and other instances' revocations are not seen.
pub async fn open(config: Config, master_key: &MasterKey, resources: Resources) -> Result<Account, StartError> {
    let Resources { database, feed, shared, risk_documents, tasks, environment, clock, random, registry } = resources;
    let banned = BannedSubjects::load(database.clone(), SubjectKeys::new(master_key), clock.now()).await?;
    let (documents, risk_clock) = (risk_documents, clock.clone());
    let risk = RiskParts { master_key, banned, documents, environment, clock: risk_clock, registry: &registry };
    let vault = Arc::new(Vault::new(master_key));
    // The keys first: they tell a wrong master key from damage.
    let announce = config.tokens.key_announce;
    let keys = Keys::load(database.clone(), Arc::clone(&vault), announce, &*clock, &*random).await?;
    let signing_key_vault = SigningKeyVault::new(master_key);
    let signing_keys = SigningKeyRing::load(database.clone(), signing_key_vault, &*clock, &*random).await?;
    let overlap = config.follow.revocations_overlap;
    let revocations = Revocations::load(database.clone(), overlap, &*clock, &registry).await?;
    // The writers end when their fronts are gone, with the service.
    let endless = CancellationToken::new();
    let (session_writer, write_sessions) = GroupCommit::new(database.clone(), config.session_writes, endless);
    let (recorder, write_history) =
        recorder(&config.history, database.clone(), clock.clone(), random.clone(), &registry)?;
    let events = EventOutbox::new(
        &config.events,
        EventOutboxParts {
            service: "account",
            database: database.clone(),
            table: &events::TABLE,
            jobs: &jobs::TABLE,
            clock: clock.clone(),
            random: random.clone(),
            registry: &registry,
        },
    )?;
    let writers = vec![
        BackgroundTask::new("account-session-writer", write_sessions),
        BackgroundTask::new("account-history-writer", write_history),
    ];
    Ok(Account::new(Parts {
        keys,
        signing_keys,
        may_issue_id_tokens: environment == Environment::Development || config.id_token.has_chosen_issuer(),
        revocations,
        announcements: feed.map(|feed| Announcements::new(feed, &registry)).transpose()?,
        apps: Apps::load(database.clone(), Arc::clone(&vault)).await?,
        partners: Partners::load(database.clone(), Arc::clone(&vault)).await?,
        channels: Channels::load(
            &config.channels,
            master_key,
            database.clone(),
            environment,
            clock.clone(),
            random.clone(),
            &registry,
        )
        .await?,
        app_editor: AppEditor {
            database: database.clone(),
            vault: Arc::clone(&vault),
            clock: Arc::clone(&clock),
            random: Arc::clone(&random),
        },
        partner_editor: PartnerEditor {
            database: database.clone(),
            vault: Arc::clone(&vault),
            clock: Arc::clone(&clock),
            random: Arc::clone(&random),
        },
        audit: Audit::new(database.clone()),
        hash_pool: HashPool::start(&config.hash_pool, Arc::clone(&random), &registry)?,
        upgrades: PasswordUpgrades::register(&registry)?,
        account_ids: Segments::open(&database, ACCOUNT_IDS).await?,
        accounts: Accounts::new(database.clone()),
        links: Links::new(database.clone()),
        passwords: Passwords::new(database.clone()),
        bans: Bans::new(database.clone()),
        sessions: Sessions::new(database.clone(), session_writer),
        phone_code_store: PhoneCodes::new(database.clone()),
        phone_budget: Budget::new(config.phone.budget, environment == Environment::Development),
        phone_codes: Delivery::start(&config.phone, environment, tasks, clock.clone(), random.clone(), &registry)?,
        personal_data: PersonalData::new(master_key),
        deletions: Deletions::new(database.clone(), events.clone()),
        events,
        recorder,
        histories: Histories::new(database.clone()),
        writers: Mutex::new(writers),
        jobs: JobLeases::new(database, &jobs::TABLE),
        job_metrics: JobMetrics::register(&registry)?,
        risk: Risk::new(&config.risk, risk)?,
        verdicts: VerdictMetrics::register(&registry)?,
        refreshes: RefreshMetrics::register(&registry)?,
        config,
        shared,
        clock,
        random,
        vault,
    }))
}

impl From<keys::LoadError> for StartError {
    fn from(error: keys::LoadError) -> Self {
        match error {
            keys::LoadError::WrongMasterKey(_) => Self::WrongMasterKey(error.to_string()),
            keys::LoadError::Store(error) => error.into(),
        }
    }
}

impl From<revocations::LoadError> for StartError {
    fn from(error: revocations::LoadError) -> Self {
        match error {
            revocations::LoadError::Store(error) => error.into(),
            revocations::LoadError::Metrics(error) => error.into(),
        }
    }
}

impl From<DeliveryStartError> for StartError {
    fn from(error: DeliveryStartError) -> Self {
        match error {
            DeliveryStartError::Webhook(_) => Self::PhoneCodes(error.to_string()),
            DeliveryStartError::Metrics(error) => error.into(),
        }
    }
}

impl From<ChannelsStartError> for StartError {
    fn from(error: ChannelsStartError) -> Self {
        match error {
            ChannelsStartError::Client(_) => Self::Channels(error.to_string()),
            ChannelsStartError::Metrics(error) => error.into(),
            ChannelsStartError::Store(error) => error.into(),
        }
    }
}

impl From<AccountError> for StartError {
    fn from(error: AccountError) -> Self {
        Self::Store(Box::new(error))
    }
}

impl From<SqlError> for StartError {
    fn from(error: SqlError) -> Self {
        Self::Store(Box::new(error))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use common::{
        clock::{SystemRandom, testing::ManualClock},
        sql::Database,
    };

    use super::{StartError, open};
    use crate::{
        Account, MasterKey,
        testing::{Service, config, migrate_all, resources, status_on},
    };

    async fn start(database: Database, master_key: &MasterKey) -> Result<Account, StartError> {
        open(config(), master_key, resources(database, &Arc::new(ManualClock::default()))).await
    }

    common::on_each_database! {
        async fn instances_that_start_at_once_on_an_empty_database_agree_on_one_key_of_each_kind(database: TestDatabase) {
            migrate_all(&database).await;
            let master_key = MasterKey::generate(&SystemRandom);
            let mut replicas = Vec::new();
            for _ in 0..4 {
                replicas.push(database.replica().await);
            }
            let starts = replicas.into_iter().map(|replica| start(replica, &master_key));
            for started in futures_util::future::join_all(starts).await {
                started.expect("starts");
            }
            let keys: Vec<(i64,)> = database.read("SELECT key_id FROM account_token_keys").all().await.expect("read");
            assert_eq!(keys, [(1,)]);
            let signing = database.read("SELECT key_number FROM account_signing_keys");
            let signing: Vec<(i64,)> = signing.all().await.expect("read");
            assert_eq!(signing, [(1,)]);
        }

        async fn a_restart_keeps_every_token_good(database: TestDatabase) {
            let service = Service::start(database).await;
            let tokens = service.register("ann").await.expect("registered").tokens;
            let restarted = service.replica().await;
            let status = status_on(&restarted, service.app_id(), &tokens.access_token).await;
            assert_eq!(status, idl::account::TokenStatus::VALID);
        }

        async fn another_master_key_stops_the_start_and_says_which_key_is_wrong(database: TestDatabase) {
            migrate_all(&database).await;
            start(database.clone(), &MasterKey::generate(&SystemRandom)).await.expect("the first start");
            let error = start(database.clone(), &MasterKey::generate(&SystemRandom)).await.expect_err("another key");
            assert!(matches!(error, StartError::WrongMasterKey(_)), "{error}");
            assert!(error.to_string().starts_with("account.master_key is not the one"), "{error}");
        }

        async fn a_database_without_the_tables_stops_the_start(database: TestDatabase) {
            let error = start(database.clone(), &MasterKey::generate(&SystemRandom)).await.expect_err("no tables");
            assert!(matches!(error, StartError::Store(_)), "{error}");
        }
    }
}
