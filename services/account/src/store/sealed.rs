//! What is sealed under the master key, row by row, for a change of that key.

use common::{
    clock::Timestamp,
    sql::{Database, SqlError, Text, Tx},
    token::key_ring::KeyId,
};

use super::{account_id, accounts::EVERY_APP, app_id, audit, counter, partners};
use crate::{
    domain::{
        audit::AuditRecord,
        channel::identity::ChannelName,
        credential::CredentialKind,
        ids::{AccountId, AppId},
        partner::PartnerName,
        personal_data::PhoneIndex,
    },
    error::AccountError,
};

/// Everything that is sealed.
#[derive(Clone, Debug)]
pub(crate) struct SealedRows {
    database: Database,
}

/// A sealed value where it stands.
#[derive(Clone, Debug)]
pub(crate) struct SealedRow {
    pub(crate) place: Place,
    pub(crate) sealed: Vec<u8>,
}

/// Where a sealed value stands: it opens nowhere else.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    TokenKey(KeyId),
    AppSecret { app_id: AppId, version: i64 },
    SigningKey(u32),
    Channel { app_id: AppId, channel: ChannelName, version: i64 },
    PartnerSecret { partner: PartnerName, version: i64 },
}

/// A phone where it stands.
#[derive(Clone, Debug)]
pub(crate) struct PhoneRow {
    pub(crate) account_id: AccountId,
    pub(crate) index: PhoneIndex,
    pub(crate) sealed: String,
}

impl SealedRows {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Keys, secrets and documents. There are as many as fit into memory many times.
    pub(crate) async fn all_but_phones(&self) -> Result<Vec<SealedRow>, AccountError> {
        let mut rows = Vec::new();
        let found: Vec<(i64, Vec<u8>)> =
            self.database.read("SELECT key_id, sealed FROM account_token_keys").all().await?;
        for (id, sealed) in found {
            rows.push(SealedRow { place: Place::TokenKey(KeyId::new(counter(id, "key_id")?)), sealed });
        }
        let found: Vec<(i64, Vec<u8>)> =
            self.database.read("SELECT key_number, sealed FROM account_signing_keys").all().await?;
        for (number, sealed) in found {
            rows.push(SealedRow { place: Place::SigningKey(counter(number, "key_number")?), sealed });
        }
        let found: Vec<(i64, i64, Vec<u8>)> =
            self.database.read("SELECT app_id, version, sealed FROM account_app_secrets").all().await?;
        for (id, version, sealed) in found {
            rows.push(SealedRow { place: Place::AppSecret { app_id: app_id(id)?, version }, sealed });
        }
        let found: Vec<(i64, Text, i64, Vec<u8>)> =
            self.database.read("SELECT app_id, channel, version, sealed FROM account_channels").all().await?;
        for (id, channel, version, sealed) in found {
            let channel = ChannelName::parse(&String::from(channel));
            let channel = channel.map_err(|_| AccountError::Damaged("account_channels.channel"))?;
            rows.push(SealedRow { place: Place::Channel { app_id: app_id(id)?, channel, version }, sealed });
        }
        let found: Vec<(Text, i64, Vec<u8>)> =
            self.database.read("SELECT partner, version, sealed FROM account_partner_secrets").all().await?;
        for (partner, version, sealed) in found {
            rows.push(SealedRow {
                place: Place::PartnerSecret { partner: partners::name(&partner)?, version },
                sealed,
            });
        }
        Ok(rows)
    }

    /// At most `limit` phones whose index comes after this one.
    pub(crate) async fn phones_after(&self, index: &str, limit: u32) -> Result<Vec<PhoneRow>, AccountError> {
        let rows: Vec<(i64, Text, Text)> = self
            .database
            .read(
                "SELECT account_id, name, secret FROM account_credentials WHERE kind = ? AND scope = ? AND name > ? \
                 ORDER BY name LIMIT ?",
            )
            .bind(CredentialKind::Phone.as_str())
            .bind(EVERY_APP)
            .bind(index)
            .bind(i64::from(limit))
            .all()
            .await?;
        rows.into_iter()
            .map(|(id, index, sealed)| {
                let index = PhoneIndex::from_stored(index.into());
                Ok(PhoneRow { account_id: account_id(id)?, index, sealed: sealed.into() })
            })
            .collect()
    }

    /// Puts phones in the places of others, all or nothing.
    pub(crate) async fn replace_phones(&self, phones: &[(PhoneRow, PhoneRow)]) -> Result<(), AccountError> {
        self.database
            .retrying(|| async {
                let mut tx = self.database.begin().await?;
                for (old, new) in phones {
                    tx.sql(
                        "UPDATE account_credentials SET name = ?, secret = ? \
                         WHERE kind = ? AND scope = ? AND name = ? AND secret = ?",
                    )
                    .bind(new.index.as_str())
                    .bind(new.sealed.as_str())
                    .bind(CredentialKind::Phone.as_str())
                    .bind(EVERY_APP)
                    .bind(old.index.as_str())
                    .bind(old.sealed.as_str())
                    .execute()
                    .await?;
                }
                Ok(tx.commit().await?)
            })
            .await
    }

    /// Writes everything else, takes away what can't be sealed anew, and writes down that it was done: all or nothing.
    pub(crate) async fn replace(
        &self,
        rows: &[SealedRow],
        record: &AuditRecord,
        now: Timestamp,
    ) -> Result<(), AccountError> {
        self.database
            .retrying(|| async {
                let mut tx = self.database.begin().await?;
                for row in rows {
                    write(&mut tx, row).await?;
                }
                // Codes under way: what is kept of them is bound to the old key. They live for minutes.
                tx.sql("DELETE FROM account_phone_codes").execute().await?;
                lift_device_bans(&mut tx, now).await?;
                audit::append(&mut tx, record, now).await?;
                Ok(tx.commit().await?)
            })
            .await
    }

    /// How many bans of devices are in effect.
    pub(crate) async fn device_bans(&self, now: Timestamp) -> Result<u64, AccountError> {
        let (count,): (i64,) = self
            .database
            .read(
                "SELECT COUNT(*) FROM account_subject_bans \
                 WHERE kind = 'device' AND lifted_at IS NULL AND (until_at IS NULL OR until_at > ?)",
            )
            .bind(now.as_millis())
            .one()
            .await?;
        Ok(count.cast_unsigned())
    }
}

async fn write(tx: &mut Tx, row: &SealedRow) -> Result<(), SqlError> {
    let sealed = row.sealed.as_slice();
    let written = match &row.place {
        Place::TokenKey(id) => {
            let update = tx.sql("UPDATE account_token_keys SET sealed = ? WHERE key_id = ?");
            update.bind(sealed).bind(i64::from(id.get())).execute().await
        }
        Place::SigningKey(number) => {
            let update = tx.sql("UPDATE account_signing_keys SET sealed = ? WHERE key_number = ?");
            update.bind(sealed).bind(i64::from(*number)).execute().await
        }
        Place::AppSecret { app_id, version } => {
            let update = tx.sql("UPDATE account_app_secrets SET sealed = ? WHERE app_id = ? AND version = ?");
            update.bind(sealed).bind(app_id.get()).bind(*version).execute().await
        }
        Place::Channel { app_id, channel, version } => {
            let update =
                tx.sql("UPDATE account_channels SET sealed = ? WHERE app_id = ? AND channel = ? AND version = ?");
            update.bind(sealed).bind(app_id.get()).bind(channel.as_str()).bind(*version).execute().await
        }
        Place::PartnerSecret { partner, version } => {
            let update = tx.sql("UPDATE account_partner_secrets SET sealed = ? WHERE partner = ? AND version = ?");
            update.bind(sealed).bind(partner.as_str()).bind(*version).execute().await
        }
    };
    written.map(drop)
}

/// A device is banned by a digest under the old key, and there is nothing to make another one of: better a ban that is
/// shown to be over than one that is shown and does nothing.
async fn lift_device_bans(tx: &mut Tx, now: Timestamp) -> Result<(), SqlError> {
    tx.sql(
        "UPDATE account_subject_bans SET revision = revision + 1, lifted_at = ? \
         WHERE kind = 'device' AND lifted_at IS NULL",
    )
    .bind(now.as_millis())
    .execute()
    .await
    .map(drop)
}
