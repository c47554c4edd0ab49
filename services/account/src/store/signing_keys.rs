//! The sealed keys that sign ID tokens.

use common::{
    clock::Timestamp,
    sql::{Database, SqlError},
};

use super::at;
use crate::{
    domain::key_rotation::{Plan, Scheduled},
    error::AccountError,
};

/// The keys as they are stored.
#[derive(Clone, Debug)]
pub(crate) struct SigningKeyStore {
    database: Database,
}

/// One sealed key.
#[derive(Clone, Debug)]
pub(crate) struct SealedSigningKey {
    pub(crate) schedule: Scheduled,
    pub(crate) sealed: Vec<u8>,
}

impl SigningKeyStore {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Every key, oldest first.
    pub(crate) async fn all(&self) -> Result<Vec<SealedSigningKey>, AccountError> {
        let rows: Vec<(i64, Vec<u8>, i64)> = self
            .database
            .read("SELECT key_number, sealed, signs_from FROM account_signing_keys ORDER BY key_number")
            .all()
            .await?;
        rows.into_iter()
            .map(|(number, sealed, signs_from)| {
                let number = u32::try_from(number).map_err(|_| AccountError::Damaged("key_number"))?;
                Ok(SealedSigningKey { schedule: Scheduled { number, signs_from: at(signs_from) }, sealed })
            })
            .collect()
    }

    /// Stores the plan's new key and deletes the keys that are over, all or nothing. `false`, and nothing is changed, if
    /// there is a key of that number already, made by somebody else at the same moment.
    pub(crate) async fn carry_out(&self, plan: &Plan, sealed: &[u8], now: Timestamp) -> Result<bool, AccountError> {
        self.database
            .retrying(|| async {
                let mut tx = self.database.begin().await?;
                let added = tx
                    .sql("INSERT INTO account_signing_keys (key_number, sealed, signs_from, created_at) VALUES (?, ?, ?, ?)")
                    .bind(i64::from(plan.next.number))
                    .bind(sealed)
                    .bind(plan.next.signs_from.as_millis())
                    .bind(now.as_millis())
                    .execute()
                    .await;
                match added {
                    Ok(_) => {}
                    Err(SqlError::UniqueViolation { .. }) => return Ok(false),
                    Err(error) => return Err(error.into()),
                }
                for number in &plan.over {
                    tx.sql("DELETE FROM account_signing_keys WHERE key_number = ?").bind(i64::from(*number)).execute().await?;
                }
                tx.commit().await?;
                Ok(true)
            })
            .await
    }
}
