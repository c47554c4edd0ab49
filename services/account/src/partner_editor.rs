//! Changes of partners, each with its record in the audit, in one transaction. The admin API and the command line share it.

use std::{fmt, sync::Arc};

use common::{
    clock::{SharedClock, SharedRandom, random_bytes},
    config::Secret,
    sql::Database,
};

use crate::{
    app_editor::request_id,
    domain::{
        audit::{Action, Actor, AuditRecord, Details, Target},
        master_key::{self, Vault},
        partner::{PartnerChange, PartnerDetails, PartnerLimits, PartnerName, Signing},
    },
    error::AccountError,
    store::{audit, partners},
};

/// Changes partners in the database. Instances follow by themselves.
pub(crate) struct PartnerEditor {
    pub(crate) database: Database,
    pub(crate) vault: Arc<Vault>,
    pub(crate) clock: SharedClock,
    pub(crate) random: SharedRandom,
}

impl PartnerEditor {
    /// Makes a partner; answers it with its first secret, if it needs one.
    pub(crate) async fn create(
        &self,
        actor: &Actor,
        name: &PartnerName,
        signing: Signing,
        limits: PartnerLimits,
    ) -> Result<(PartnerDetails, Option<Secret>), AccountError> {
        let secret = signing.needs_secret().then(|| self.new_secret());
        let now = self.clock.now();
        let secrets = u8::from(secret.is_some());
        let partner = PartnerDetails { name: name.clone(), signing, enabled: true, limits, secrets, created_at: now };
        self.database
            .retrying(|| async {
                let mut tx = self.database.begin().await?;
                partners::insert(&mut tx, &partner).await?;
                if let Some(secret) = &secret {
                    partners::add_secret(&mut tx, name, now, |version| self.seal(name, version, secret)).await?;
                }
                audit::append(&mut tx, &record(actor, "partner.create", name, partner.recorded()), now).await?;
                Ok::<(), AccountError>(tx.commit().await?)
            })
            .await?;
        Ok((partner, secret))
    }

    /// Changes a partner; answers it as it is now.
    pub(crate) async fn update(
        &self,
        actor: &Actor,
        name: &PartnerName,
        change: &PartnerChange,
    ) -> Result<PartnerDetails, AccountError> {
        self.database
            .retrying(|| async {
                let mut tx = self.database.begin().await?;
                let before = partners::find_to_change(&mut tx, name).await?.ok_or(AccountError::NoSuchPartner)?;
                let after = before.changed(change)?;
                partners::update(&mut tx, &after).await?;
                let record = record(actor, "partner.update", name, before.difference(&after));
                audit::append(&mut tx, &record, self.clock.now()).await?;
                tx.commit().await?;
                Ok(after)
            })
            .await
    }

    /// Gives a partner a new secret and answers it. The one before stays good until the next rotation; older ones end now.
    pub(crate) async fn rotate_secret(&self, actor: &Actor, name: &PartnerName) -> Result<Secret, AccountError> {
        let secret = self.new_secret();
        self.database
            .retrying(|| async {
                let (mut tx, now) = (self.database.begin().await?, self.clock.now());
                partners::find_to_change(&mut tx, name).await?.ok_or(AccountError::NoSuchPartner)?;
                let seal = |version| self.seal(name, version, &secret);
                let version = partners::add_secret(&mut tx, name, now, seal).await?;
                let details = Details::default().with("version", version);
                audit::append(&mut tx, &record(actor, "partner.rotate_secret", name, details), now).await?;
                Ok::<(), AccountError>(tx.commit().await?)
            })
            .await?;
        Ok(secret)
    }

    fn new_secret(&self) -> Secret {
        Secret::new(hex::encode(random_bytes::<32>(&*self.random)))
    }

    fn seal(&self, partner: &PartnerName, version: i64, secret: &Secret) -> Vec<u8> {
        let place = master_key::Secret::PartnerSecret { partner, version };
        self.vault.seal(place, secret.expose().as_bytes(), &*self.random)
    }
}

impl fmt::Debug for PartnerEditor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PartnerEditor").finish_non_exhaustive()
    }
}

fn record(actor: &Actor, action: &'static str, name: &PartnerName, details: Details) -> AuditRecord {
    AuditRecord {
        actor: actor.clone(),
        action: Action::of(action),
        target: Target::partner(name),
        request_id: request_id(),
        details,
    }
}
