//! Codes that were sent to phones. The database decides: of any number of right guesses one counts, and no number of
//! wrong ones exceeds the tries.

use common::{
    clock::Timestamp,
    sql::{Database, Sql, SqlError, Tx},
};

use super::{at, bytes};
use crate::{
    domain::{
        code_tries::{Guesser, SourceKey, Tally, TryLimits},
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
    /// Guesses in all.
    pub(crate) tries: u32,
    /// Whoever asked for it.
    pub(crate) asker: SourceKey,
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
                "UPDATE account_phone_codes SET code_digest = ?, tries_left = ?, asker = ?, tally = NULL, \
                 redeemed_at = NULL, resend_at = ?, expires_at = ? WHERE phone = ? AND app_id = ? AND scene = ? AND resend_at <= ?",
            )
            .bind(code.digest.as_bytes())
            .bind(i64::from(code.tries))
            .bind(code.asker.as_bytes())
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
                "INSERT INTO account_phone_codes (code_digest, tries_left, asker, resend_at, expires_at, phone, \
                 app_id, scene) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            )
            .bind(code.digest.as_bytes())
            .bind(i64::from(code.tries))
            .bind(code.asker.as_bytes())
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

    /// Is this the code, and is this the one call that may use it? A wrong one costs whoever guesses a try.
    pub(crate) async fn redeem(
        &self,
        purpose: Purpose<'_>,
        guess: &CodeDigest,
        guesser: Guesser,
        limits: TryLimits,
        now: Timestamp,
    ) -> Result<bool, AccountError> {
        let attempt = || async {
            let mut tx = self.database.begin().await?;
            // To the end of the transaction nobody else guesses at this code: guesses that come at once are counted one
            // after the other, each before the next one is compared.
            let Some(code) = locked(&mut tx, purpose, now).await? else { return Ok(false) };
            let mut tally = code.tally()?;
            if code.tries_left <= 0 || !tally.charge(guesser, code.asker()?, limits) {
                return Ok(false);
            }
            let is_right = code.code_digest == guess.as_bytes();
            let redeemed_at = is_right.then(|| now.as_millis());
            pay(&mut tx, purpose, &tally, redeemed_at).await?;
            tx.commit().await?;
            Ok(is_right)
        };
        self.database.retrying(attempt).await
    }
}

/// The code for this purpose, if it is still to be used, which nobody else looks at before the end of the transaction.
async fn locked(tx: &mut Tx, purpose: Purpose<'_>, now: Timestamp) -> Result<Option<OpenCode>, SqlError> {
    let statement = Sql::Each {
        mysql: "SELECT code_digest, tries_left, asker, tally FROM account_phone_codes \
                WHERE phone = ? AND app_id = ? AND scene = ? AND redeemed_at IS NULL AND expires_at > ? FOR UPDATE",
        sqlite: "SELECT code_digest, tries_left, asker, tally FROM account_phone_codes \
                 WHERE phone = ? AND app_id = ? AND scene = ? AND redeemed_at IS NULL AND expires_at > ?",
    };
    tx.sql(statement)
        .bind(purpose.phone.as_str())
        .bind(purpose.app_id.get())
        .bind(purpose.scene.as_str())
        .bind(now.as_millis())
        .optional()
        .await
}

/// Writes a guess down.
async fn pay(tx: &mut Tx, purpose: Purpose<'_>, tally: &Tally, redeemed_at: Option<i64>) -> Result<(), SqlError> {
    tx.sql(
        "UPDATE account_phone_codes SET tries_left = tries_left - 1, tally = ?, redeemed_at = ? \
         WHERE phone = ? AND app_id = ? AND scene = ?",
    )
    .bind(tally.to_bytes())
    .bind(redeemed_at)
    .bind(purpose.phone.as_str())
    .bind(purpose.app_id.get())
    .bind(purpose.scene.as_str())
    .execute()
    .await
    .map(drop)
}

#[derive(sqlx::FromRow)]
struct OpenCode {
    code_digest: Vec<u8>,
    /// Guesses in all. What other versions of this program left of it holds, too.
    tries_left: i64,
    asker: Option<Vec<u8>>,
    tally: Option<Vec<u8>>,
}

impl OpenCode {
    fn asker(&self) -> Result<Option<SourceKey>, AccountError> {
        self.asker.as_deref().map(|asker| bytes(asker, "asker").map(SourceKey::from_bytes)).transpose()
    }

    fn tally(&self) -> Result<Tally, AccountError> {
        match &self.tally {
            Some(stored) => Tally::from_bytes(stored).ok_or(AccountError::Damaged("tally")),
            None => Ok(Tally::default()),
        }
    }
}
