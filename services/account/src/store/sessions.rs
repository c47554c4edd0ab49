//! Sign-ins, the rotation of their refresh tokens, and their end.

use common::{
    clock::Timestamp,
    sql::{Database, GroupCommit, InsertRow, Query, Sql, SqlError, Text, Tx},
};

use super::{
    account_id, app_id, at, audit, bytes, counter, earlier_rotations, revocations, session_batches,
    session_batches::{BATCH, Which, is_live},
    session_id,
};
use crate::{
    domain::{
        audit::AuditRecord,
        client::Client,
        device::DeviceId,
        device_class::DeviceClass,
        device_limit::{DeviceLimit, LiveSession, Room},
        ids::{AccountId, AppId, SessionId},
        refresh_token::TokenDigest,
        revocation::Revocation,
        rotation::{PastRotation, SessionState},
    },
    error::AccountError,
};

/// Live sessions of one class that a sign-in looks at. Bounds what a lowered limit can cost one of them: beyond it the
/// next ones go on.
const MOST_LOOKED_AT: i64 = 2000;

/// So far the sessions that a new epoch ends are counted. Bounds what the number may cost.
const MOST_COUNTED: i64 = 10_000;

/// Sign-ins.
#[derive(Clone, Debug)]
pub(crate) struct Sessions {
    database: Database,
    /// Sign-ins that come at once are committed together.
    writer: GroupCommit<NewSession>,
}

/// A session that begins.
#[derive(Clone, Debug)]
pub(crate) struct NewSession {
    pub(crate) session_id: SessionId,
    pub(crate) account_id: AccountId,
    pub(crate) app_id: AppId,
    pub(crate) epoch: u32,
    pub(crate) refresh_digest: TokenDigest,
    pub(crate) client: Client,
    pub(crate) created_at: Timestamp,
    pub(crate) refresh_expires_at: Timestamp,
    pub(crate) absolute_expires_at: Timestamp,
}

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

/// A live session as its owner and operators see it.
#[derive(Clone, Debug)]
pub(crate) struct ListedSession {
    pub(crate) session_id: SessionId,
    pub(crate) app_id: AppId,
    pub(crate) device_id: Option<String>,
    pub(crate) device_class: DeviceClass,
    pub(crate) channel: Option<String>,
    pub(crate) address: Option<String>,
    pub(crate) created_at: Timestamp,
    pub(crate) last_seen_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

/// Why and when sessions end, and for how long that has to be remembered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending<'a> {
    pub(crate) reason: &'a str,
    pub(crate) now: Timestamp,
    /// No access token issued until now lives longer.
    pub(crate) remembered_until: Timestamp,
}

/// The sessions that were ended: how many, and what to tell the index of this instance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ended {
    pub(crate) count: u64,
    pub(crate) revocations: Vec<Revocation>,
}

/// The columns of [`ListedRow`].
macro_rules! listed_columns {
    () => {
        "session_id, app_id, device_id, device_class, channel, address, created_at, last_seen_at, refresh_expires_at"
    };
}

impl InsertRow for NewSession {
    const INSERT: &'static str = "INSERT INTO account_sessions (session_id, account_id, app_id, token_epoch, generation, refresh_digest, device_id, \
         device_class, channel, package_name, sdk_version, address, created_at, last_seen_at, refresh_expires_at, \
         absolute_expires_at) VALUES ";
    const ROW: &'static str = "(?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

    fn bind<'q>(&'q self, query: Query<'q>) -> Query<'q> {
        let client = &self.client;
        query
            .bind(self.session_id.as_bytes().as_slice())
            .bind(self.account_id.get())
            .bind(self.app_id.get())
            .bind(i64::from(self.epoch))
            .bind(self.refresh_digest.as_bytes())
            .bind(client.device_id.as_ref().map(DeviceId::as_str))
            .bind(client.device_class.as_str())
            .bind(client.channel.as_deref())
            .bind(client.package_name.as_deref())
            .bind(client.sdk_version.as_deref())
            .bind(client.address.as_deref())
            .bind(self.created_at.as_millis())
            .bind(self.created_at.as_millis())
            .bind(self.refresh_expires_at.as_millis())
            .bind(self.absolute_expires_at.as_millis())
    }
}

/// Writes a session within a transaction.
pub(super) async fn insert(tx: &mut Tx, session: &NewSession) -> Result<(), SqlError> {
    let statement = Sql::repeated(NewSession::INSERT, NewSession::ROW, 1, "");
    session.bind(tx.sql(statement)).execute().await.map(drop)
}

impl Sessions {
    pub(crate) fn new(database: Database, writer: GroupCommit<NewSession>) -> Self {
        Self { database, writer }
    }

    /// Begins a session of an account that exists.
    pub(crate) async fn begin(&self, session: NewSession) -> Result<(), AccountError> {
        Ok(self.writer.write(session).await?)
    }

    /// Begins a session of an account that exists, and ends those of its app and device class that have to make room
    /// for it. Answers what was ended.
    pub(crate) async fn begin_within(
        &self,
        session: &NewSession,
        limit: DeviceLimit,
        ending: Ending<'_>,
    ) -> Result<Ended, AccountError> {
        self.database
            .retrying(|| async {
                let mut tx = self.database.begin().await?;
                let live = live_of_class(&mut tx, session, ending.now).await?;
                let device_id = session.client.device_id.as_ref().map(|device_id| device_id.as_str());
                let Room::After(to_end) = limit.room(&live, device_id) else {
                    return Err(AccountError::DeviceLimitReached);
                };
                insert(&mut tx, session).await?;
                let mut ended = Ended::default();
                for id in to_end {
                    ended.count += mark_ended(&mut tx, id, session.app_id, ending).await?;
                    ended.revocations.push(Revocation::Session(id));
                }
                for revocation in &ended.revocations {
                    revocations::append(&mut tx, revocation, ending.now, ending.remembered_until).await?;
                }
                tx.commit().await?;
                Ok(ended)
            })
            .await
    }

    /// Why a session was ended before its time; `None` if it was not, or is not known any more.
    pub(crate) async fn revoke_reason(&self, id: SessionId) -> Result<Option<String>, AccountError> {
        let row: Option<(Option<Text>,)> = self
            .database
            .read("SELECT revoke_reason FROM account_sessions WHERE session_id = ?")
            .bind(id.as_bytes().as_slice())
            .optional()
            .await?;
        Ok(row.and_then(|(reason,)| reason).map(String::from))
    }

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

    /// Whether the device has signed in to the account before, as far back as sessions are kept. Without an account the
    /// same question is asked, in vain, so that the time taken does not tell which usernames exist.
    pub(crate) async fn knows_device(
        &self,
        account_id: Option<AccountId>,
        device_id: &DeviceId,
    ) -> Result<bool, AccountError> {
        let row: Option<(i64,)> = self
            .database
            .read("SELECT account_id FROM account_sessions WHERE account_id = ? AND device_id = ? LIMIT 1")
            .bind(account_id.map_or(0, AccountId::get))
            .bind(device_id.as_str())
            .optional()
            .await?;
        Ok(row.is_some())
    }

    /// The devices that the account knows, the latest used first, at most `limit`.
    pub(crate) async fn known_devices(&self, account_id: AccountId, limit: u32) -> Result<Vec<String>, AccountError> {
        let rows: Vec<(Text,)> = self
            .database
            .read(
                "SELECT device_id FROM account_sessions WHERE account_id = ? AND device_id IS NOT NULL \
                 GROUP BY device_id ORDER BY MAX(last_seen_at) DESC LIMIT ?",
            )
            .bind(account_id.get())
            .bind(i64::from(limit))
            .all()
            .await?;
        Ok(rows.into_iter().map(|(device_id,)| device_id.into()).collect())
    }

    /// The live sessions of an account in an app, the latest first, at most `limit`.
    pub(crate) async fn live(
        &self,
        account_id: AccountId,
        app_id: AppId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<ListedSession>, AccountError> {
        let rows: Vec<ListedRow> = self
            .database
            .read(concat!(
                "SELECT ",
                listed_columns!(),
                " FROM account_sessions WHERE account_id = ? AND app_id = ? AND ",
                is_live!(),
                " ORDER BY last_seen_at DESC LIMIT ?"
            ))
            .bind(account_id.get())
            .bind(app_id.get())
            .bind(now.as_millis())
            .bind(i64::from(limit))
            .all()
            .await?;
        rows.into_iter().map(ListedSession::try_from).collect()
    }

    /// The live sessions of an account in every app, the latest first, at most `limit`.
    pub(crate) async fn live_in_every_app(
        &self,
        account_id: AccountId,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<ListedSession>, AccountError> {
        let rows: Vec<ListedRow> = self
            .database
            .read(concat!(
                "SELECT ",
                listed_columns!(),
                " FROM account_sessions WHERE account_id = ? AND ",
                is_live!(),
                " ORDER BY last_seen_at DESC LIMIT ?"
            ))
            .bind(account_id.get())
            .bind(now.as_millis())
            .bind(i64::from(limit))
            .all()
            .await?;
        rows.into_iter().map(ListedSession::try_from).collect()
    }

    /// Ends one session of an app. One that has ended already, or never was, counts as none.
    pub(crate) async fn end_one(&self, id: SessionId, app: AppId, ending: Ending<'_>) -> Result<Ended, AccountError> {
        self.database
            .retrying(|| async {
                let mut tx = self.database.begin().await?;
                let count = mark_ended(&mut tx, id, app, ending).await?;
                if count == 0 {
                    return Ok(Ended::default());
                }
                let revocation = Revocation::Session(id);
                revocations::append(&mut tx, &revocation, ending.now, ending.remembered_until).await?;
                tx.commit().await?;
                Ok(Ended { count, revocations: vec![revocation] })
            })
            .await
    }

    /// Ends one session of an account in an app. One that has ended already, never was or is another's counts as none.
    pub(crate) async fn end_own(
        &self,
        id: SessionId,
        account: AccountId,
        app: AppId,
        ending: Ending<'_>,
    ) -> Result<Ended, AccountError> {
        // A session never changes hands, so what is read here still holds below.
        if self.owner(id).await? == Some(account) { self.end_one(id, app, ending).await } else { Ok(Ended::default()) }
    }

    /// Whose session it is; `None` if it is not known any more, or never was.
    pub(crate) async fn owner(&self, id: SessionId) -> Result<Option<AccountId>, AccountError> {
        let row: Option<(i64,)> = self
            .database
            .read("SELECT account_id FROM account_sessions WHERE session_id = ?")
            .bind(id.as_bytes().as_slice())
            .optional()
            .await?;
        row.map(|(owner,)| account_id(owner)).transpose()
    }

    /// Ends one session of an account, in whichever app, and writes that down. One that has ended already, never was or is
    /// another's counts as none, and nothing is recorded.
    pub(crate) async fn end_one_of(
        &self,
        account: AccountId,
        id: SessionId,
        record: &AuditRecord,
        ending: Ending<'_>,
    ) -> Result<Ended, AccountError> {
        self.database
            .retrying(|| async {
                let mut tx = self.database.begin().await?;
                let count = tx
                    .sql(
                        "UPDATE account_sessions SET revoked_at = ?, revoke_reason = ? \
                         WHERE session_id = ? AND account_id = ? AND revoked_at IS NULL",
                    )
                    .bind(ending.now.as_millis())
                    .bind(ending.reason)
                    .bind(id.as_bytes().as_slice())
                    .bind(account.get())
                    .execute()
                    .await?;
                if count == 0 {
                    return Ok(Ended::default());
                }
                audit::append(&mut tx, record, ending.now).await?;
                let revocation = Revocation::Session(id);
                revocations::append(&mut tx, &revocation, ending.now, ending.remembered_until).await?;
                tx.commit().await?;
                Ok(Ended { count, revocations: vec![revocation] })
            })
            .await
    }

    /// Ends every live session of an account but one, in all apps.
    pub(crate) async fn end_others(
        &self,
        account: AccountId,
        kept: SessionId,
        ending: Ending<'_>,
    ) -> Result<Ended, AccountError> {
        self.database
            .retrying(|| async {
                let mut tx = self.database.begin().await?;
                let ended = session_batches::end(&mut tx, account, Which::AllBut(kept), ending).await?;
                tx.commit().await?;
                Ok(ended)
            })
            .await
    }

    /// Ends every live session of an account in one app.
    pub(crate) async fn end_all_of_app(
        &self,
        account: AccountId,
        app: AppId,
        ending: Ending<'_>,
    ) -> Result<Ended, AccountError> {
        self.database
            .retrying(|| async {
                let mut tx = self.database.begin().await?;
                let ended = session_batches::end(&mut tx, account, Which::OfApp(app), ending).await?;
                tx.commit().await?;
                Ok(ended)
            })
            .await
    }

    /// Ends live sessions of an account in an app beyond the `most` that were used last: at most one batch, the next look
    /// goes on.
    pub(crate) async fn end_beyond(
        &self,
        account: AccountId,
        app: AppId,
        most: u32,
        ending: Ending<'_>,
    ) -> Result<Ended, AccountError> {
        let beyond: Vec<(Vec<u8>,)> = self
            .database
            .read(concat!(
                "SELECT session_id FROM account_sessions WHERE account_id = ? AND app_id = ? AND ",
                is_live!(),
                " ORDER BY last_seen_at DESC, session_id DESC LIMIT ? OFFSET ?"
            ))
            .bind(account.get())
            .bind(app.get())
            .bind(ending.now.as_millis())
            .bind(i64::try_from(BATCH).unwrap_or(i64::MAX))
            .bind(i64::from(most))
            .all()
            .await?;
        if beyond.is_empty() {
            return Ok(Ended::default());
        }
        let beyond = beyond.iter().map(|(id,)| session_id(id)).collect::<Result<Vec<_>, _>>()?;
        self.database
            .retrying(|| async {
                let mut tx = self.database.begin().await?;
                let ended = session_batches::end_these(&mut tx, beyond.clone(), ending).await?;
                tx.commit().await?;
                Ok(ended)
            })
            .await
    }

    /// Ends every session of an account, in all apps, by starting a new epoch. Nothing is ended of an account that does
    /// not exist. A `record` is written down with the number of sessions beside it, which is exact up to
    /// [`MOST_COUNTED`].
    ///
    /// The epoch is what ends them. Their rows are marked afterwards, which may fail, and then changes only what their
    /// owner is told.
    pub(crate) async fn end_all(
        &self,
        account: AccountId,
        ending: Ending<'_>,
        record: Option<&AuditRecord>,
    ) -> Result<Ended, AccountError> {
        let ended = self.database.retrying(|| self.begin_epoch(account, ending, record)).await?;
        if ended.count > 0
            && let Err(error) = self.mark_earlier_epochs(account, ending).await
        {
            tracing::warn!(account_id = account.get(), %error, "sessions that have ended could not all be marked so");
        }
        Ok(ended)
    }

    async fn begin_epoch(
        &self,
        account: AccountId,
        ending: Ending<'_>,
        record: Option<&AuditRecord>,
    ) -> Result<Ended, AccountError> {
        let mut tx = self.database.begin().await?;
        tx.sql("UPDATE account_accounts SET token_epoch = token_epoch + 1 WHERE account_id = ?")
            .bind(account.get())
            .execute()
            .await?;
        let epoch: Option<(i64,)> = tx
            .sql("SELECT token_epoch FROM account_accounts WHERE account_id = ?")
            .bind(account.get())
            .optional()
            .await?;
        let Some((epoch,)) = epoch else { return Ok(Ended::default()) };
        let (count,): (i64,) = tx
            .sql(
                "SELECT COUNT(*) FROM (SELECT session_id FROM account_sessions WHERE account_id = ? \
                 AND token_epoch = ? AND revoked_at IS NULL AND refresh_expires_at > ? LIMIT ?) AS live",
            )
            .bind(account.get())
            .bind(epoch - 1)
            .bind(ending.now.as_millis())
            .bind(MOST_COUNTED)
            .one()
            .await?;
        let count = count.cast_unsigned();
        if let Some(record) = record {
            let details = record.details.clone().with("revoked", count);
            audit::append(&mut tx, &AuditRecord { details, ..record.clone() }, ending.now).await?;
        }
        let revocation = Revocation::Account { account_id: account, epoch: counter(epoch, "token_epoch")? };
        revocations::append(&mut tx, &revocation, ending.now, ending.remembered_until).await?;
        tx.commit().await?;
        Ok(Ended { count, revocations: vec![revocation] })
    }

    /// Marks the sessions that a new epoch has ended, batch by batch, each by itself.
    async fn mark_earlier_epochs(&self, account: AccountId, ending: Ending<'_>) -> Result<(), AccountError> {
        loop {
            let ids: Vec<(Vec<u8>,)> = self
                .database
                .read(
                    "SELECT session_id FROM account_sessions WHERE account_id = ? AND revoked_at IS NULL \
                     AND refresh_expires_at > ? AND token_epoch < \
                     (SELECT a.token_epoch FROM account_accounts AS a WHERE a.account_id = account_sessions.account_id) \
                     LIMIT ?",
                )
                .bind(account.get())
                .bind(ending.now.as_millis())
                .bind(i64::try_from(BATCH).unwrap_or(i64::MAX))
                .all()
                .await?;
            let ids = ids.iter().map(|(id,)| session_id(id)).collect::<Result<Vec<_>, _>>()?;
            self.database
                .retrying(|| async {
                    let mut tx = self.database.begin().await?;
                    session_batches::mark(&mut tx, &ids, ending).await?;
                    tx.commit().await
                })
                .await?;
            if ids.len() < BATCH {
                return Ok(());
            }
        }
    }
}

/// Marks a session as ended; answers 0 for one that has ended already, or never was.
async fn mark_ended(tx: &mut Tx, id: SessionId, app: AppId, ending: Ending<'_>) -> Result<u64, SqlError> {
    tx.sql(
        "UPDATE account_sessions SET revoked_at = ?, revoke_reason = ? \
         WHERE session_id = ? AND app_id = ? AND revoked_at IS NULL",
    )
    .bind(ending.now.as_millis())
    .bind(ending.reason)
    .bind(id.as_bytes().as_slice())
    .bind(app.get())
    .execute()
    .await
}

/// The live sessions that a new one shares its limit with, oldest first. From here to the end of the transaction no
/// other limited session of the account begins.
async fn live_of_class(tx: &mut Tx, session: &NewSession, now: Timestamp) -> Result<Vec<LiveSession>, AccountError> {
    let lock = Sql::Each {
        mysql: "SELECT account_id FROM account_accounts WHERE account_id = ? FOR UPDATE",
        sqlite: "SELECT account_id FROM account_accounts WHERE account_id = ?",
    };
    let _: Option<(i64,)> = tx.sql(lock).bind(session.account_id.get()).optional().await?;
    let rows: Vec<(Vec<u8>, Option<Text>)> = tx
        .sql(concat!(
            "SELECT session_id, device_id FROM account_sessions WHERE account_id = ? AND app_id = ? \
             AND COALESCE(device_class, ?) = ? AND ",
            is_live!(),
            " ORDER BY created_at, session_id LIMIT ?"
        ))
        .bind(session.account_id.get())
        .bind(session.app_id.get())
        .bind(DeviceClass::default().as_str())
        .bind(session.client.device_class.as_str())
        .bind(now.as_millis())
        .bind(MOST_LOOKED_AT)
        .all()
        .await?;
    let live = |(id, device_id): (Vec<u8>, Option<Text>)| {
        Ok(LiveSession { session_id: session_id(&id)?, device_id: device_id.map(String::from) })
    };
    rows.into_iter().map(live).collect()
}

/// The class of a row; what a later version wrote there counts as the default.
fn device_class(stored: Option<Text>) -> DeviceClass {
    stored.and_then(|class| DeviceClass::parse(&class).ok()).unwrap_or_default()
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

#[derive(sqlx::FromRow)]
struct ListedRow {
    session_id: Vec<u8>,
    app_id: i64,
    device_id: Option<Text>,
    device_class: Option<Text>,
    channel: Option<Text>,
    address: Option<Text>,
    created_at: i64,
    last_seen_at: i64,
    refresh_expires_at: i64,
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

impl TryFrom<ListedRow> for ListedSession {
    type Error = AccountError;

    fn try_from(row: ListedRow) -> Result<Self, AccountError> {
        Ok(Self {
            session_id: session_id(&row.session_id)?,
            app_id: app_id(row.app_id)?,
            device_id: row.device_id.map(String::from),
            device_class: device_class(row.device_class),
            channel: row.channel.map(String::from),
            address: row.address.map(String::from),
            created_at: at(row.created_at),
            last_seen_at: at(row.last_seen_at),
            expires_at: at(row.refresh_expires_at),
        })
    }
}
