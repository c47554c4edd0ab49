//! The partners, in memory: they are few, and kept as apps are.
//!
//! The whole table is read again every few seconds, and at once when somebody asks for a partner that is not there. While
//! the database is away the last known partners stay good.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use common::sql::Database;

use crate::{
    domain::{
        app::AppSecret,
        master_key::{Secret, Vault},
        partner::{Partner, PartnerDetails, PartnerName},
    },
    error::AccountError,
    shared_read::SharedRead,
    store::{apps::SealedSecret, partners::StoredPartner},
};

/// Every partner this instance knows.
#[derive(Debug)]
pub(crate) struct Partners {
    pub(crate) store: crate::store::partners::Partners,
    vault: Arc<Vault>,
    known: ArcSwap<HashMap<PartnerName, Arc<Partner>>>,
    reads: SharedRead,
}

impl Partners {
    pub(crate) async fn load(database: Database, vault: Arc<Vault>) -> Result<Self, AccountError> {
        let partners = Self {
            store: crate::store::partners::Partners::new(database),
            vault,
            known: ArcSwap::default(),
            reads: SharedRead::default(),
        };
        partners.refresh().await?;
        Ok(partners)
    }

    /// The partner; `None` when there certainly is none.
    pub(crate) async fn find(&self, name: &PartnerName) -> Result<Option<Arc<Partner>>, AccountError> {
        if let Some(partner) = self.known.load().get(name) {
            return Ok(Some(Arc::clone(partner)));
        }
        self.refresh().await?;
        Ok(self.known.load().get(name).cloned())
    }

    /// Reads every partner again.
    pub(crate) async fn refresh(&self) -> Result<(), AccountError> {
        let read = async {
            self.known.store(Arc::new(self.read().await?));
            Ok(())
        };
        self.reads.run(read).await
    }

    async fn read(&self) -> Result<HashMap<PartnerName, Arc<Partner>>, AccountError> {
        let stored = self.store.all().await?;
        stored.into_iter().map(|partner| Ok((partner.details.name.clone(), Arc::new(self.unseal(partner)?)))).collect()
    }

    fn unseal(&self, stored: StoredPartner) -> Result<Partner, AccountError> {
        let StoredPartner { details: PartnerDetails { name, signing, enabled, limits, .. }, secrets } = stored;
        let unseal_secret = |secret: &SealedSecret| {
            let place = Secret::PartnerSecret { partner: &name, version: secret.version };
            let text = self.vault.open(place, &secret.sealed);
            let text = text.and_then(|text| String::from_utf8(text.to_vec()).ok());
            text.map(AppSecret::new).ok_or(AccountError::Damaged("a partner's secret"))
        };
        let secrets = secrets.iter().map(unseal_secret).collect::<Result<_, _>>()?;
        Ok(Partner { name, signing, enabled, limits, secrets })
    }
}
