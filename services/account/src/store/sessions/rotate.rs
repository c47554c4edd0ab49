//! What a refresh reads and writes.

use common::{clock::Timestamp, sql::Text};

use super::{Sessions, device_class};
use crate::{
    domain::{
        device_class::DeviceClass,
        ids::{AccountId, SessionId},
        refresh_token::TokenDigest,
        rotation::{PastRotation, SessionState},
    },
    error::AccountError,
    store::{account_id, app_id, at, bytes, counter, earlier_rotations},
};

/// A session as a refresh needs it.
#[derive(Clone, Debug)]
pub(crate) struct StoredSession {
    pub(crate) account_id: AccountId,
    pub(crate) device_id: Option<String>,
    pub(crate) device_class: DeviceClass,
    pub(crate) channel: Option<String>,
    pub(crate) created_at: Timestamp,
    /// Why it was ended before its time.
    pub(crate) revoke_reason: Option<String>,
    pub(crate) state: SessionState,
}

/// What a rotation writes.
#[derive(Clone, Debug)]
pub(crate) struct NextToken {
    pub(crate) digest: TokenDigest,
    pub(crate) predecessor: TokenDigest,
    pub(crate) sealed_successor: Vec<u8>,
    pub(crate) rotated_at: Timestamp,
    pub(crate) refresh_expires_at: Timestamp,
}

impl Sessions {
    /// The session, with its account's epoch now.
    pub(crate) async fn find(&self, id: SessionId) -> Result<Option<StoredSession>, AccountError> {
        let row: Option<SessionRow> = self
            .database
            .read(
                "SELECT s.account_id, s.app_id, s.token_epoch, a.token_epoch AS account_epoch, s.generation, \
                 s.refresh_digest, s.predecessor_digest, s.sealed_successor, s.rotated_at, s.earlier_rotations, \
                 s.refresh_expires_at, s.absolute_expires_at, s.revoked_at, s.revoke_reason, s.device_id, s.device_class, s.channel, s.created_at \
                 FROM account_sessions AS s \
                 JOIN account_accounts AS a ON a.account_id = s.account_id WHERE s.session_id = ?",
            )
            .bind(id.as_bytes().as_slice())
            .optional()
            .await?;
        row.map(StoredSession::try_from).transpose()
    }

    /// Replaces the current token if it still is the one that was `read`. `false`: another request was first.
    pub(crate) async fn rotate(
        &self,
        id: SessionId,
        read: &SessionState,
        next: &NextToken,
    ) -> Result<bool, AccountError> {
        let changed = self
            .database
            .write(
                "UPDATE account_sessions SET generation = generation + 1, refresh_digest = ?, predecessor_digest = ?, \
                 sealed_successor = ?, rotated_at = ?, earlier_rotations = ?, last_seen_at = ?, refresh_expires_at = ? \
                 WHERE session_id = ? AND generation = ? AND refresh_digest = ? AND revoked_at IS NULL",
            )
            .bind(next.digest.as_bytes())
            .bind(next.predecessor.as_bytes())
            .bind(next.sealed_successor.as_slice())
            .bind(next.rotated_at.as_millis())
            .bind(earlier_rotations::pack(read.earlier_rotations()))
            .bind(next.rotated_at.as_millis())
            .bind(next.refresh_expires_at.as_millis())
            .bind(id.as_bytes().as_slice())
            .bind(i64::from(read.generation))
            .bind(read.current.as_bytes())
            .execute()
            .await?;
        Ok(changed == 1)
    }
}

#[derive(sqlx::FromRow)]
struct SessionRow {
    account_id: i64,
    app_id: i64,
    token_epoch: i64,
    account_epoch: i64,
    generation: i64,
    refresh_digest: Vec<u8>,
    predecessor_digest: Option<Vec<u8>>,
    sealed_successor: Option<Vec<u8>>,
    rotated_at: Option<i64>,
    earlier_rotations: Option<Vec<u8>>,
    refresh_expires_at: i64,
    absolute_expires_at: i64,
    revoked_at: Option<i64>,
    revoke_reason: Option<Text>,
    device_id: Option<Text>,
    device_class: Option<Text>,
    channel: Option<Text>,
    created_at: i64,
}

impl TryFrom<SessionRow> for StoredSession {
    type Error = AccountError;

    fn try_from(row: SessionRow) -> Result<Self, AccountError> {
        let generation = counter(row.generation, "generation")?;
        let mut rotations = Vec::new();
        if let (Some(predecessor), Some(sealed_successor), Some(rotated_at)) =
            (row.predecessor_digest, row.sealed_successor, row.rotated_at)
        {
            rotations.push(PastRotation {
                generation: generation.saturating_sub(1),
                predecessor: TokenDigest::from_bytes(bytes(&predecessor, "predecessor_digest")?),
                sealed_successor,
                rotated_at: at(rotated_at),
            });
        }
        rotations.extend(row.earlier_rotations.map(|packed| earlier_rotations::unpack(&packed)).unwrap_or_default());
        Ok(Self {
            account_id: account_id(row.account_id)?,
            device_id: row.device_id.map(String::from),
            device_class: device_class(row.device_class),
            channel: row.channel.map(String::from),
            created_at: at(row.created_at),
            revoke_reason: row.revoke_reason.map(String::from),
            state: SessionState {
                app_id: app_id(row.app_id)?,
                epoch: counter(row.token_epoch, "token_epoch")?,
                account_epoch: counter(row.account_epoch, "token_epoch")?,
                generation,
                current: TokenDigest::from_bytes(bytes(&row.refresh_digest, "refresh_digest")?),
                rotations,
                refresh_expires_at: at(row.refresh_expires_at),
                absolute_expires_at: at(row.absolute_expires_at),
                revoked: row.revoked_at.is_some(),
            },
        })
    }
}
