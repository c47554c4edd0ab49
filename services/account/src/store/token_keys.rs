//! The sealed keys of the ring.

use common::{
    clock::Timestamp,
    sql::{Database, SqlError},
};

use super::at;
use crate::{domain::key_ring::KeyId, error::AccountError};

/// The keys as they are stored.
#[derive(Clone, Debug)]
pub(crate) struct TokenKeys {
    database: Database,
}

/// One sealed key.
#[derive(Clone, Debug)]
pub(crate) struct SealedKey {
    pub(crate) id: KeyId,
    pub(crate) sealed: Vec<u8>,
    pub(crate) signs_from: Timestamp,
}

impl TokenKeys {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// Every key, oldest first.
    pub(crate) async fn all(&self) -> Result<Vec<SealedKey>, AccountError> {
        let rows: Vec<(i64, Vec<u8>, i64)> = self
            .database
            .read("SELECT key_id, sealed, signs_from FROM account_token_keys ORDER BY key_id")
            .all()
            .await?;
        rows.into_iter()
            .map(|(id, sealed, signs_from)| {
                let id = u32::try_from(id).map_err(|_| AccountError::Damaged("key_id"))?;
                Ok(SealedKey { id: KeyId::new(id), sealed, signs_from: at(signs_from) })
            })
            .collect()
    }

    /// Stores a key unless there is one of that id already, made by another instance at the same moment: then `false`.
    pub(crate) async fn add(&self, key: &SealedKey, now: Timestamp) -> Result<bool, SqlError> {
        let added = self
            .database
            .write("INSERT INTO account_token_keys (key_id, sealed, signs_from, created_at) VALUES (?, ?, ?, ?)")
            .bind(i64::from(key.id.get()))
            .bind(key.sealed.as_slice())
            .bind(key.signs_from.as_millis())
            .bind(now.as_millis())
            .execute()
            .await;
        match added {
            Ok(_) => Ok(true),
            Err(SqlError::UniqueViolation { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Deletes a key whose last token has expired.
    pub(crate) async fn remove(&self, id: KeyId) -> Result<(), SqlError> {
        self.database
            .write("DELETE FROM account_token_keys WHERE key_id = ?")
            .bind(i64::from(id.get()))
            .execute()
            .await
            .map(drop)
    }
}
