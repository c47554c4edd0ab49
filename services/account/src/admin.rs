//! What an operator does to apps and keys, without a running service: for the command line.
//!
//! Running instances notice by themselves: a new app at once, everything else within the configured intervals.

use std::sync::Arc;

use common::{
    clock::{SharedClock, SharedRandom},
    config::Secret,
    sql::{Database, SqlError},
};
use idl::account::AppInfo;

use crate::{
    MasterKey,
    app_editor::{AppDraft, AppEditor},
    config::{Config, TokenConfig},
    domain::{
        app::AppName,
        audit::Actor,
        field::FieldError,
        ids::AppId,
        key_rotation::TooManyKeys,
        master_key::Vault,
        partner::{PartnerLimits, PartnerName, Signing},
        policy::AppPolicy,
        signing_key_vault::SigningKeyVault,
    },
    error::AccountError,
    keys::{self, NewTokenKey, RotationError},
    partner_editor::PartnerEditor,
    rpc::get_app::app_info,
    signing_keys::{self, NewSigningKey},
    store::{apps::Apps, token_keys::TokenKeys},
};

/// Changes apps and keys in the database.
#[derive(Debug)]
pub struct Admin {
    database: Database,
    vault: Arc<Vault>,
    signing_key_vault: SigningKeyVault,
    clock: SharedClock,
    random: SharedRandom,
    actor: Actor,
}

/// An app and its newest secret, which is shown this once.
#[derive(Clone, Debug)]
pub struct NewApp {
    /// The app.
    pub app_id: i64,
    /// Signs the app's requests: 64 hexadecimal digits, used as they are written.
    pub app_secret: Secret,
}

/// A partner and its newest secret, which is shown this once.
#[derive(Clone, Debug)]
pub struct NewPartner {
    /// What it is called.
    pub partner: String,
    /// Signs its requests: 64 hexadecimal digits, used as they are written. None: its requests are not signed.
    pub secret: Option<Secret>,
}

/// A key that was added, and those that went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewKey {
    /// As tokens name it: a number for access tokens, a thumbprint for ID tokens.
    pub key_id: String,
    /// From when on it signs, Unix ms.
    pub signs_from: i64,
    /// The keys that no living token needed.
    pub removed: Vec<String>,
}

/// Why nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// An argument is not allowed.
    #[error(transparent)]
    Argument(#[from] FieldError),
    /// There is an app of that id.
    #[error("app {0} exists already")]
    AppExists(i64),
    /// There is no app of that id.
    #[error("there is no app {0}")]
    NoSuchApp(i64),
    /// There is a partner of that name.
    #[error("partner {0} exists already")]
    PartnerExists(String),
    /// There is no partner of that name.
    #[error("there is no partner {0}")]
    NoSuchPartner(String),
    /// The platform is full.
    #[error("there are as many partners as there can be")]
    TooManyPartners,
    /// The platform is full.
    #[error("there are as many apps as there can be")]
    TooManyApps,
    /// As many keys are in use as there may be.
    #[error(transparent)]
    TooManyKeys(#[from] KeyLimit),
    /// Somebody else rotated the keys at the same moment.
    #[error("another rotation made a key at the same moment; there is no need for a second one")]
    RotatedAlready,
    /// The database did not answer, or not as expected.
    #[error("the account store can't be changed")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// As many keys of one kind are in use as there may be.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error(transparent)]
pub struct KeyLimit(TooManyKeys);

impl Admin {
    /// Over an open, migrated database, for the command line.
    pub fn new(database: Database, master_key: &MasterKey, clock: SharedClock, random: SharedRandom) -> Self {
        let (vault, signing_key_vault) = (Arc::new(Vault::new(master_key)), SigningKeyVault::new(master_key));
        Self { database, vault, signing_key_vault, clock, random, actor: Actor::command_line() }
    }

    /// The same for what the platform makes by itself at its first start: the audit tells the two apart.
    #[must_use]
    pub fn for_first_start(self) -> Self {
        Self { actor: Actor::first_start(), ..self }
    }

    /// Whether there is any app: tells a database in use from a fresh one.
    pub async fn has_apps(&self) -> Result<bool, AdminError> {
        Ok(Apps::new(self.database.clone()).any().await?)
    }

    /// An app with its live secrets, as instances of the service know it; `None` when there is none.
    pub async fn find_app(&self, app_id: i64) -> Result<Option<AppInfo>, AdminError> {
        let Ok(id) = AppId::parse(app_id) else { return Ok(None) };
        let about = |error| AdminError::about(app_id, error);
        let apps = crate::apps::Apps::load(self.database.clone(), Arc::clone(&self.vault)).await.map_err(about)?;
        Ok(apps.find(id).await.map_err(about)?.map(|app| app_info(&app)))
    }

    /// Makes an app with the policy of a new one. Without an id it gets the next free one.
    pub async fn create_app(&self, name: &str, app_id: Option<i64>) -> Result<NewApp, AdminError> {
        let draft = AppDraft {
            name: AppName::parse(name)?,
            app_id: app_id.map(AppId::parse).transpose()?,
            delivery_url: None,
            refund_url: None,
            policy: AppPolicy::default(),
        };
        let created = self.apps().create(&self.actor, &draft).await;
        let (app, app_secret) = created.map_err(|error| AdminError::about(app_id.unwrap_or_default(), error))?;
        Ok(NewApp { app_id: app.app_id.get(), app_secret })
    }

    /// Gives an app a new secret. The one before stays good until the next rotation; older ones end now.
    pub async fn rotate_app_secret(&self, app_id: i64) -> Result<NewApp, AdminError> {
        let rotated = self.apps().rotate_secret(&self.actor, AppId::parse(app_id)?).await;
        let app_secret = rotated.map_err(|error| AdminError::about(app_id, error))?;
        Ok(NewApp { app_id, app_secret })
    }

    /// Makes a partner whose requests are signed as `signing` says: `hmac`, `md5-sorted` or `none`.
    pub async fn create_partner(&self, name: &str, signing: &str) -> Result<NewPartner, AdminError> {
        let (partner, signing) = (PartnerName::parse(name)?, Signing::parse(signing)?);
        let created = self.partners().create(&self.actor, &partner, signing, PartnerLimits::default()).await;
        let (_, secret) = created.map_err(|error| AdminError::about_partner(name, error))?;
        Ok(NewPartner { partner: name.to_owned(), secret })
    }

    /// Gives a partner a new secret. The one before stays good until the next rotation; older ones end now.
    pub async fn rotate_partner_secret(&self, name: &str) -> Result<NewPartner, AdminError> {
        let rotated = self.partners().rotate_secret(&self.actor, &PartnerName::parse(name)?).await;
        let secret = rotated.map_err(|error| AdminError::about_partner(name, error))?;
        Ok(NewPartner { partner: name.to_owned(), secret: Some(secret) })
    }

    /// Adds a key that will seal access tokens once every instance has had time to read it, and deletes the keys that
    /// no living token needs.
    pub async fn rotate_token_key(&self, tokens: &TokenConfig) -> Result<NewKey, AdminError> {
        let store = TokenKeys::new(self.database.clone());
        Ok(keys::rotate(&store, &self.vault, tokens.key_pace(), &*self.clock, &*self.random).await?.into())
    }

    /// The same for the keys that sign ID tokens: the new one is published at once, and signs once every verifier has
    /// had time to fetch it.
    pub async fn rotate_signing_key(&self, config: &Config) -> Result<NewKey, AdminError> {
        let (database, pace) = (self.database.clone(), config.id_token_pace());
        let rotated = signing_keys::rotate(database, &self.signing_key_vault, pace, &*self.clock, &*self.random);
        Ok(rotated.await?.into())
    }

    fn partners(&self) -> PartnerEditor {
        PartnerEditor {
            database: self.database.clone(),
            vault: Arc::clone(&self.vault),
            clock: Arc::clone(&self.clock),
            random: Arc::clone(&self.random),
        }
    }

    fn apps(&self) -> AppEditor {
        AppEditor {
            database: self.database.clone(),
            vault: Arc::clone(&self.vault),
            clock: Arc::clone(&self.clock),
            random: Arc::clone(&self.random),
        }
    }
}

impl AdminError {
    /// What became of something that was to be done to this app.
    fn about(app_id: i64, error: AccountError) -> Self {
        match error {
            AccountError::Field(error) => error.into(),
            AccountError::AppIdTaken => Self::AppExists(app_id),
            AccountError::NoSuchApp => Self::NoSuchApp(app_id),
            AccountError::TooManyApps => Self::TooManyApps,
            error => error.into(),
        }
    }
}

impl AdminError {
    /// What became of something that was to be done to this partner.
    fn about_partner(name: &str, error: AccountError) -> Self {
        match error {
            AccountError::PartnerTaken => Self::PartnerExists(name.to_owned()),
            AccountError::NoSuchPartner => Self::NoSuchPartner(name.to_owned()),
            AccountError::TooManyPartners => Self::TooManyPartners,
            error => error.into(),
        }
    }
}

impl From<SqlError> for AdminError {
    fn from(error: SqlError) -> Self {
        Self::Store(Box::new(error))
    }
}

impl From<AccountError> for AdminError {
    fn from(error: AccountError) -> Self {
        Self::Store(Box::new(error))
    }
}

impl From<RotationError> for AdminError {
    fn from(error: RotationError) -> Self {
        match error {
            RotationError::TooManyKeys(error) => Self::TooManyKeys(KeyLimit(error)),
            RotationError::AnotherWasFirst => Self::RotatedAlready,
            RotationError::Store(error) => error.into(),
        }
    }
}

impl From<NewTokenKey> for NewKey {
    fn from(new: NewTokenKey) -> Self {
        Self {
            key_id: new.id.get().to_string(),
            signs_from: new.signs_from.as_millis(),
            removed: new.removed.iter().map(|id| id.get().to_string()).collect(),
        }
    }
}

impl From<NewSigningKey> for NewKey {
    fn from(new: NewSigningKey) -> Self {
        Self { key_id: new.key_id, signs_from: new.signs_from.as_millis(), removed: new.removed }
    }
}

#[cfg(test)]
mod tests {
    use common::clock::Clock;
    use idl::account::TokenStatus;

    use super::{AdminError, NewKey};
    use crate::testing::{Service, config};

    common::on_each_database! {
        async fn apps_get_ids_of_their_own_or_the_one_that_was_asked_for(database: TestDatabase) {
            let service = Service::start(database).await;
            let admin = service.admin();
            let chosen = admin.create_app("Chosen", Some(7)).await.expect("made");
            assert_eq!(chosen.app_id, 7);
            let next = admin.create_app("Next", None).await.expect("made");
            assert_eq!(next.app_id, service.app_id() + 1);
            assert_ne!(next.app_secret.expose(), chosen.app_secret.expose());
            let again = admin.create_app("Chosen", Some(7)).await;
            assert!(matches!(again, Err(AdminError::AppExists(7))), "{again:?}");
        }

        async fn many_apps_made_at_once_get_different_ids(database: TestDatabase) {
            let service = Service::start(database).await;
            let admin = service.admin();
            let made = futures_util::future::join_all((0..4).map(|_| admin.create_app("Game", None))).await;
            let mut ids: Vec<i64> = made.into_iter().map(|app| app.expect("made").app_id).collect();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), 4);
        }

        async fn arguments_that_cannot_work_are_refused(database: TestDatabase) {
            let service = Service::start(database).await;
            let admin = service.admin();
            for (name, app_id) in [("", None), (" ", None), ("a\nb", None), (&*"x".repeat(129), None), ("Game", Some(0))] {
                let refused = admin.create_app(name, app_id).await;
                assert!(matches!(refused, Err(AdminError::Argument(_))), "{name:?} {refused:?}");
            }
            let unknown = admin.rotate_app_secret(4242).await;
            assert!(matches!(unknown, Err(AdminError::NoSuchApp(4242))), "{unknown:?}");
        }

        async fn partners_are_made_once_and_get_secrets_of_their_own(database: TestDatabase) {
            let service = Service::start(database).await;
            let admin = service.admin();
            let made = admin.create_partner("ads", "hmac").await.expect("made");
            let first = made.secret.expect("a secret");
            let second = admin.rotate_partner_secret("ads").await.expect("rotated").secret.expect("a secret");
            assert_ne!(first.expose(), second.expose());
            assert!(admin.create_partner("open", "none").await.expect("made").secret.is_none());
            let again = admin.create_partner("ads", "none").await;
            assert!(matches!(&again, Err(AdminError::PartnerExists(name)) if name == "ads"), "{again:?}");
            let unknown = admin.rotate_partner_secret("nobody").await;
            assert!(matches!(&unknown, Err(AdminError::NoSuchPartner(_))), "{unknown:?}");
            for (name, signing) in [("Ads", "hmac"), ("other", "rsa")] {
                let refused = admin.create_partner(name, signing).await;
                assert!(matches!(refused, Err(AdminError::Argument(_))), "{refused:?}");
            }
            let shown = format!("{first:?} {:?}", service.audit().await);
            assert!(!shown.contains(first.expose()) && shown.contains("partner.create"), "{shown}");
        }

        async fn a_new_token_key_leaves_living_tokens_good_and_old_keys_go_when_theirs_have_expired(
            database: TestDatabase
        ) {
            let service = Service::start(database).await;
            let (admin, tokens, parts) = (service.admin(), config().tokens, service.account.parts());
            let old = service.register("ann").await.expect("registered").tokens.access_token;
            let second = admin.rotate_token_key(&tokens).await.expect("rotated");
            let signs_from = (service.clock.now() + tokens.key_announce).as_millis();
            assert_eq!(second, NewKey { key_id: "2".to_owned(), signs_from, removed: Vec::new() });
            service.clock.advance(tokens.key_announce);
            parts.keys.refresh(&*parts.clock).await.expect("read");
            let new = service.register("bob").await.expect("registered").tokens.access_token;
            assert_eq!(service.status(&old).await, TokenStatus::VALID);
            assert_eq!(service.status(&new).await, TokenStatus::VALID);

            service.clock.advance(tokens.key_announce + tokens.access_ttl_max);
            let third = admin.rotate_token_key(&tokens).await.expect("rotated");
            assert_eq!((&*third.key_id, third.removed), ("3", vec!["1".to_owned()]));
            assert_eq!(service.count("SELECT MIN(key_id) FROM account_token_keys").await, 2);
            parts.keys.refresh(&*parts.clock).await.expect("read");
            assert_eq!(service.status(&old).await, TokenStatus::INVALID);
            assert_eq!(service.status(&new).await, TokenStatus::EXPIRED);
        }

        async fn what_the_command_line_does_is_written_down_without_secrets(database: TestDatabase) {
            let service = Service::start(database).await;
            service.admin().rotate_app_secret(service.app_id()).await.expect("rotated");
            let records = service.audit().await;
            let told: Vec<_> = records.iter().map(|record| (&*record.actor, &*record.action, &*record.target_id)).collect();
            let id = service.app_id().to_string();
            assert_eq!(told, [("command line", "app.rotate_secret", &*id), ("command line", "app.create", &*id)]);
            assert!(records.iter().all(|record| record.request_id.is_none()));
            let shown = format!("{records:?}");
            assert!(shown.contains("Test Game") && !shown.contains(service.app.app_secret.expose()), "{shown}");
        }

        async fn nothing_that_is_printed_shows_a_secret(database: TestDatabase) {
            let service = Service::start(database).await;
            let shown = format!("{:?} {:?}", service.app, service.admin());
            assert!(!shown.contains(service.app.app_secret.expose()), "{shown}");
        }
    }
}
