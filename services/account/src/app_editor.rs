//! Changes of apps, each with its record in the audit, in one transaction. The admin API and the command line share it.

use std::{fmt, sync::Arc};

use common::{
    clock::{SharedClock, SharedRandom, random_bytes},
    config::Secret,
    context::RequestContext,
    sql::Database,
};

use crate::{
    domain::{
        app::{AppName, DeliveryUrl},
        app_details::{AppChange, AppDetails},
        audit::{Action, Actor, AuditRecord, Details, Target},
        ids::AppId,
        master_key::{self, Vault},
        policy::{AppPolicy, LifetimeCaps},
    },
    error::AccountError,
    store::{
        apps::{self, Apps, SealedSecret},
        audit,
    },
};

/// How often an id that somebody else took meanwhile is replaced by the next one.
const ID_ATTEMPTS: usize = 10;

/// The version of an app's first secret.
const FIRST_VERSION: i64 = 1;

/// Changes apps in the database. Instances follow by themselves.
pub(crate) struct AppEditor {
    pub(crate) database: Database,
    pub(crate) vault: Arc<Vault>,
    pub(crate) clock: SharedClock,
    pub(crate) random: SharedRandom,
}

/// An app that is to be made.
#[derive(Clone, Debug)]
pub(crate) struct AppDraft {
    pub(crate) name: AppName,
    /// Absent: the next free one.
    pub(crate) app_id: Option<AppId>,
    pub(crate) delivery_url: Option<DeliveryUrl>,
    pub(crate) refund_url: Option<DeliveryUrl>,
    pub(crate) policy: AppPolicy,
}

impl AppEditor {
    /// Makes an app; answers it with its first secret.
    pub(crate) async fn create(&self, actor: &Actor, draft: &AppDraft) -> Result<(AppDetails, Secret), AccountError> {
        if let Some(app_id) = draft.app_id {
            return self.try_create(actor, draft, app_id).await;
        }
        let apps = Apps::new(self.database.clone());
        let mut attempts = 1;
        loop {
            let next = AppId::parse(apps.next_id().await?)?;
            match self.try_create(actor, draft, next).await {
                Err(AccountError::AppIdTaken) if attempts < ID_ATTEMPTS => attempts += 1,
                outcome => return outcome,
            }
        }
    }

    /// Changes an app; answers it as it is now.
    pub(crate) async fn update(
        &self,
        actor: &Actor,
        app_id: AppId,
        change: &AppChange,
        caps: LifetimeCaps,
    ) -> Result<AppDetails, AccountError> {
        self.database
            .retrying(|| async {
                let mut tx = self.database.begin().await?;
                let before = apps::find_to_change(&mut tx, app_id).await?.ok_or(AccountError::NoSuchApp)?;
                let after = before.changed(change.clone(), caps)?;
                apps::update(&mut tx, &after).await?;
                let record = record(actor, "app.update", app_id, before.difference(&after));
                audit::append(&mut tx, &record, self.clock.now()).await?;
                tx.commit().await?;
                Ok(after)
            })
            .await
    }

    /// Gives an app a new secret and answers it. The one before stays good until the next rotation; older ones end now.
    pub(crate) async fn rotate_secret(&self, actor: &Actor, app_id: AppId) -> Result<Secret, AccountError> {
        let app_secret = self.new_secret();
        self.database
            .retrying(|| async {
                let (mut tx, now) = (self.database.begin().await?, self.clock.now());
                let seal = |version| self.seal(app_id, version, &app_secret);
                let version = apps::rotate_secret(&mut tx, app_id, now, seal).await?.ok_or(AccountError::NoSuchApp)?;
                let details = Details::default().with("version", version);
                audit::append(&mut tx, &record(actor, "app.rotate_secret", app_id, details), now).await?;
                Ok::<(), AccountError>(tx.commit().await?)
            })
            .await?;
        Ok(app_secret)
    }

    async fn try_create(
        &self,
        actor: &Actor,
        draft: &AppDraft,
        app_id: AppId,
    ) -> Result<(AppDetails, Secret), AccountError> {
        let (app_secret, now) = (self.new_secret(), self.clock.now());
        let app = AppDetails {
            app_id,
            name: draft.name.as_str().to_owned(),
            enabled: true,
            delivery_url: draft.delivery_url.as_ref().map(|url| url.as_str().to_owned()),
            refund_url: draft.refund_url.as_ref().map(|url| url.as_str().to_owned()),
            policy: draft.policy.clone(),
            created_at: now,
        };
        let secret = SealedSecret { version: FIRST_VERSION, sealed: self.seal(app_id, FIRST_VERSION, &app_secret) };
        self.database
            .retrying(|| async {
                let mut tx = self.database.begin().await?;
                apps::insert(&mut tx, &app, &secret).await?;
                audit::append(&mut tx, &record(actor, "app.create", app_id, app.recorded()), now).await?;
                Ok::<(), AccountError>(tx.commit().await?)
            })
            .await?;
        Ok((app, app_secret))
    }

    fn new_secret(&self) -> Secret {
        Secret::new(hex::encode(random_bytes::<32>(&*self.random)))
    }

    fn seal(&self, app_id: AppId, version: i64, secret: &Secret) -> Vec<u8> {
        let row = master_key::Secret::AppSecret { app_id, version };
        self.vault.seal(row, secret.expose().as_bytes(), &*self.random)
    }
}

impl fmt::Debug for AppEditor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AppEditor").finish_non_exhaustive()
    }
}

fn record(actor: &Actor, action: &'static str, app_id: AppId, details: Details) -> AuditRecord {
    AuditRecord {
        actor: actor.clone(),
        action: Action::of(action),
        target: Target::app(app_id),
        request_id: request_id(),
        details,
    }
}

/// The id of the request that this is done for, as its caller was told.
pub(crate) fn request_id() -> Option<String> {
    RequestContext::current().map(|context| context.trace_id.to_string())
}
