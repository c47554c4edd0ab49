//! A session that begins, within what the app allows.

use common::{
    clock::Timestamp,
    events::NewEvent,
    sql::{InsertRow, Query, Sql, SqlError, Text, Tx},
};

use super::{Ended, Ending, Sessions, end::mark_ended};
use crate::{
    domain::{
        client::Client,
        device::DeviceId,
        device_class::DeviceClass,
        device_limit::{DeviceLimit, LiveSession, Room},
        ids::{AccountId, AppId, SessionId},
        refresh_token::TokenDigest,
        revocation::Revocation,
    },
    error::AccountError,
    events::{self, EndedSessions},
    store::{revocations, session_batches::is_live, session_id},
};

/// Live sessions of one class that a sign-in looks at. Bounds what a lowered limit can cost one of them: beyond it the
/// next ones go on.
const MOST_LOOKED_AT: i64 = 2000;

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
    /// What a data warehouse is told of it, written with it.
    pub(crate) event: Option<NewEvent>,
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

    const BESIDE: Option<(&'static str, &'static str)> = Some((events::TABLE.insert, events::TABLE.row));

    fn has_beside(&self) -> bool {
        self.event.is_some()
    }

    fn bind_beside<'q>(&'q self, query: Query<'q>) -> Query<'q> {
        match &self.event {
            Some(event) => event.bind(query),
            None => query,
        }
    }
}

/// Writes a session within a transaction, and its event.
pub(in crate::store) async fn insert(tx: &mut Tx, session: &NewSession) -> Result<(), SqlError> {
    let statement = Sql::repeated(NewSession::INSERT, NewSession::ROW, 1, "");
    session.bind(tx.sql(statement)).execute().await?;
    match &session.event {
        Some(event) => event.insert(tx, &events::TABLE).await,
        None => Ok(()),
    }
}

impl Sessions {
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
                let (account, app) = (session.account_id, Some(session.app_id));
                let told = EndedSessions { account, app, session: None, count: ended.count };
                events::sessions_ended(&mut tx, told, ending).await?;
                tx.commit().await?;
                Ok(ended)
            })
            .await
    }
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
