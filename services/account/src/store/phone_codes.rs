//! Codes that were sent to phones. The database decides: of any number of right guesses one counts, and no number of
//! wrong ones exceeds the tries.

use common::{
    clock::Timestamp,
    sql::{Database, SqlError},
};

use super::at;
use crate::{
    domain::{
        ids::AppId,
        personal_data::{CodeDigest, PhoneIndex},
        phone_code::Scene,
    },
    error::AccountError,
};

/// Codes that were sent to phones.
#[derive(Clone, Debug)]
pub(crate) struct PhoneCodes {
    database: Database,
}

/// What a code is for. There is one at a time for each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Purpose<'a> {
    pub(crate) phone: &'a PhoneIndex,
    pub(crate) app_id: AppId,
    pub(crate) scene: Scene,
}

/// A code that is about to be sent.
#[derive(Clone, Debug)]
pub(crate) struct NewCode {
    pub(crate) digest: CodeDigest,
    pub(crate) tries: u32,
    pub(crate) resend_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

impl PhoneCodes {
    pub(crate) fn new(database: Database) -> Self {
        Self { database }
    }

    /// When the next code may be sent; `None`: now, as far as this is known.
    pub(crate) async fn resend_at(&self, purpose: Purpose<'_>) -> Result<Option<Timestamp>, AccountError> {
        let row: Option<(i64,)> = self
            .database
            .read("SELECT resend_at FROM account_phone_codes WHERE phone = ? AND app_id = ? AND scene = ?")
            .bind(purpose.phone.as_str())
            .bind(purpose.app_id.get())
            .bind(purpose.scene.as_str())
            .optional()
            .await?;
        Ok(row.map(|(resend_at,)| at(resend_at)))
    }

    /// Puts the code in place of an earlier one. `false`: another one was put there meanwhile, or not long enough ago.
    pub(crate) async fn issue(
        &self,
        purpose: Purpose<'_>,
        code: &NewCode,
        now: Timestamp,
    ) -> Result<bool, AccountError> {
        let replaced = self
            .database
            .write(
                "UPDATE account_phone_codes SET code_digest = ?, tries_left = ?, redeemed_at = NULL, resend_at = ?, \
                 expires_at = ? WHERE phone = ? AND app_id = ? AND scene = ? AND resend_at <= ?",
            )
            .bind(code.digest.as_bytes())
            .bind(i64::from(code.tries))
            .bind(code.resend_at.as_millis())
            .bind(code.expires_at.as_millis())
            .bind(purpose.phone.as_str())
            .bind(purpose.app_id.get())
            .bind(purpose.scene.as_str())
            .bind(now.as_millis())
            .execute()
            .await?;
        if replaced > 0 {
            return Ok(true);
        }
        let inserted = self
            .database
            .write(
                "INSERT INTO account_phone_codes (code_digest, tries_left, resend_at, expires_at, phone, app_id, \
                 scene) VALUES (?, ?, ?, ?, ?, ?, ?)",
            )
            .bind(code.digest.as_bytes())
            .bind(i64::from(code.tries))
            .bind(code.resend_at.as_millis())
            .bind(code.expires_at.as_millis())
            .bind(purpose.phone.as_str())
            .bind(purpose.app_id.get())
            .bind(purpose.scene.as_str())
            .execute()
            .await;
        match inserted {
            Ok(_) => Ok(true),
            Err(SqlError::UniqueViolation { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Is this the code, and is this the one call that may use it? A wrong one costs a try.
    pub(crate) async fn redeem(
        &self,
        purpose: Purpose<'_>,
        guess: &CodeDigest,
        now: Timestamp,
    ) -> Result<bool, AccountError> {
        // The try is paid before the guess is compared: otherwise guesses that come at once would all be compared
        // before the first of them is counted.
        let paid = self
            .database
            .write(
                "UPDATE account_phone_codes SET tries_left = tries_left - 1 \
                 WHERE phone = ? AND app_id = ? AND scene = ? AND tries_left > 0 AND redeemed_at IS NULL \
                 AND expires_at > ?",
            )
            .bind(purpose.phone.as_str())
            .bind(purpose.app_id.get())
            .bind(purpose.scene.as_str())
            .bind(now.as_millis())
            .execute()
            .await?;
        if paid == 0 {
            return Ok(false);
        }
        let redeemed = self
            .database
            .write(
                "UPDATE account_phone_codes SET redeemed_at = ? WHERE phone = ? AND app_id = ? AND scene = ? \
                 AND code_digest = ? AND redeemed_at IS NULL AND expires_at > ?",
            )
            .bind(now.as_millis())
            .bind(purpose.phone.as_str())
            .bind(purpose.app_id.get())
            .bind(purpose.scene.as_str())
            .bind(guess.as_bytes())
            .bind(now.as_millis())
            .execute()
            .await?;
        Ok(redeemed == 1)
    }
}
