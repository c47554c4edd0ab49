//! Ending sessions, however many an account has: no statement changes more rows than it can within its time.

use common::sql::{Query, Sql, SqlError, Tx};

use super::{
    revocations, session_id,
    sessions::{Ended, Ending},
};
use crate::{
    domain::{
        ids::{AccountId, AppId, SessionId},
        revocation::Revocation,
    },
    error::AccountError,
    events::{self, EndedSessions},
};

/// Sessions that one statement changes at most.
pub(super) const BATCH: usize = 512;

/// Which live sessions of an account.
#[derive(Clone, Copy, Debug)]
pub(super) enum Which {
    /// Every one but this.
    AllBut(SessionId),
    /// Those in one app.
    OfApp(AppId),
}

/// Whether a session is live at a time: neither ended by itself or by its account's epoch, nor run out.
macro_rules! is_live {
    () => {
        "revoked_at IS NULL AND refresh_expires_at > ? AND token_epoch >= \
         (SELECT a.token_epoch FROM account_accounts AS a WHERE a.account_id = account_sessions.account_id)"
    };
}
pub(super) use is_live;

/// Ends them, adds them to the feed, and tells of them. Sessions that somebody else ended at the same time may be added twice, which
/// changes nothing.
pub(super) async fn end(
    tx: &mut Tx,
    account: AccountId,
    which: Which,
    ending: Ending<'_>,
) -> Result<Ended, AccountError> {
    let (mut count, mut all) = (0, Vec::new());
    loop {
        let ids = live(tx, account, which, ending).await?;
        count += mark(tx, &ids, ending).await?;
        let was_last = ids.len() < BATCH;
        all.extend(ids);
        if was_last {
            break;
        }
    }
    tell(tx, &all, ending).await?;
    let app = match which {
        Which::AllBut(_) => None,
        Which::OfApp(app) => Some(app),
    };
    events::sessions_ended(tx, EndedSessions { account, app, session: None, count }, ending).await?;
    Ok(Ended { count, revocations: all.into_iter().map(Revocation::Session).collect() })
}

/// Ends these sessions, and adds them to the feed.
pub(super) async fn end_these(tx: &mut Tx, ids: Vec<SessionId>, ending: Ending<'_>) -> Result<Ended, AccountError> {
    let mut count = 0;
    for batch in ids.chunks(BATCH) {
        count += mark(tx, batch, ending).await?;
    }
    tell(tx, &ids, ending).await?;
    Ok(Ended { count, revocations: ids.into_iter().map(Revocation::Session).collect() })
}

/// Marks at most [`BATCH`] sessions as ended, those that are not yet. Answers how many.
pub(super) async fn mark(tx: &mut Tx, ids: &[SessionId], ending: Ending<'_>) -> Result<u64, SqlError> {
    if ids.is_empty() {
        return Ok(0);
    }
    let statement = among(
        "UPDATE account_sessions SET revoked_at = ?, revoke_reason = ? WHERE revoked_at IS NULL AND session_id IN (",
        ids,
    );
    bind_ids(tx.sql(statement).bind(ending.now.as_millis()).bind(ending.reason), ids).execute().await
}

/// Ends every session of an account that is deleted and forgets what they tell of its player, page by page. Answers how
/// many were live.
pub(super) async fn anonymise(tx: &mut Tx, account: AccountId, ending: Ending<'_>) -> Result<u64, AccountError> {
    let (mut live, mut last) = (0, Vec::new());
    loop {
        let rows: Vec<(Vec<u8>, i64)> = tx
            .sql(
                "SELECT session_id, revoked_at IS NULL AND refresh_expires_at > ? FROM account_sessions \
                 WHERE account_id = ? AND session_id > ? ORDER BY session_id LIMIT ?",
            )
            .bind(ending.now.as_millis())
            .bind(account.get())
            .bind(last)
            .bind(i64::try_from(BATCH).unwrap_or(i64::MAX))
            .all()
            .await?;
        let Some((end_of_page, _)) = rows.last() else { return Ok(live) };
        last = end_of_page.clone();
        let ids = |only_live: bool| rows.iter().filter(move |(_, is_live)| *is_live != 0 || !only_live);
        let (all, of_them_live) = (parsed(ids(false))?, parsed(ids(true))?);
        live += mark(tx, &of_them_live, ending).await?;
        let wipe = among(
            "UPDATE account_sessions SET revoke_reason = ?, device_id = NULL, channel = NULL, package_name = NULL, \
             sdk_version = NULL, address = NULL, device_class = NULL WHERE session_id IN (",
            &all,
        );
        bind_ids(tx.sql(wipe).bind(ending.reason), &all).execute().await?;
    }
}

/// Adds sessions to the feed.
async fn tell(tx: &mut Tx, ids: &[SessionId], ending: Ending<'_>) -> Result<(), SqlError> {
    for batch in ids.chunks(BATCH) {
        let statement = among(revocations::INSERT_SESSIONS, batch);
        let insert = tx.sql(statement).bind(ending.now.as_millis()).bind(ending.remembered_until.as_millis());
        bind_ids(insert, batch).execute().await?;
    }
    Ok(())
}

/// At most [`BATCH`] of them.
async fn live(
    tx: &mut Tx,
    account: AccountId,
    which: Which,
    ending: Ending<'_>,
) -> Result<Vec<SessionId>, AccountError> {
    let query = match which {
        Which::AllBut(kept) => tx
            .sql(concat!(
                "SELECT session_id FROM account_sessions WHERE account_id = ? AND session_id <> ? AND ",
                is_live!(),
                " LIMIT ?"
            ))
            .bind(account.get())
            .bind(kept.as_bytes().to_vec()),
        Which::OfApp(app) => tx
            .sql(concat!(
                "SELECT session_id FROM account_sessions WHERE account_id = ? AND app_id = ? AND ",
                is_live!(),
                " LIMIT ?"
            ))
            .bind(account.get())
            .bind(app.get()),
    };
    let rows: Vec<(Vec<u8>,)> =
        query.bind(ending.now.as_millis()).bind(i64::try_from(BATCH).unwrap_or(i64::MAX)).all().await?;
    rows.iter().map(|(id,)| session_id(id)).collect()
}

fn parsed<'a>(rows: impl Iterator<Item = &'a (Vec<u8>, i64)>) -> Result<Vec<SessionId>, AccountError> {
    rows.map(|(id, _)| session_id(id)).collect()
}

/// `before`, then one placeholder per id and a bracket. A text per power of two, so that they stay few: there may be more
/// placeholders than ids.
fn among(before: &'static str, ids: &[SessionId]) -> Sql {
    Sql::repeated(before, "?", ids.len().next_power_of_two(), ")")
}

/// Binds the ids to the placeholders of [`among`]; those that are over get the last id again.
fn bind_ids<'q>(query: Query<'q>, ids: &[SessionId]) -> Query<'q> {
    let padding = ids.len().next_power_of_two() - ids.len();
    let padded = ids.iter().chain(std::iter::repeat_n(ids.last(), padding).flatten());
    padded.fold(query, |query, id| query.bind(id.as_bytes().to_vec()))
}

#[cfg(test)]
mod tests {
    use common::{clock::Clock, sql::Sql};
    use idl::account::{AccountService, EndOtherSessionsRequest, RequestDeletionRequest, TokenSet, TokenStatus};

    use super::BATCH;
    use crate::{
        domain::ids::AccountId,
        jobs::{Job, run},
        testing::{PASSWORD, Service, config, public},
    };

    const ALL: &str = "SELECT COUNT(*) FROM account_sessions";
    const LIVE: &str = "SELECT COUNT(*) FROM account_sessions WHERE revoked_at IS NULL";

    /// Signs ann in and doubles her live sessions until there are twice as many as one statement ends.
    async fn crowd(service: &Service) -> TokenSet {
        let tokens = service.login("ann", PASSWORD).await.expect("signed in").tokens;
        let double = Sql::Each {
            mysql: "INSERT INTO account_sessions (session_id, account_id, app_id, token_epoch, generation, refresh_digest, \
                 device_id, created_at, last_seen_at, refresh_expires_at, absolute_expires_at) \
                 SELECT RANDOM_BYTES(16), account_id, app_id, token_epoch, generation, refresh_digest, device_id, created_at, \
                 last_seen_at, refresh_expires_at, absolute_expires_at FROM account_sessions WHERE revoked_at IS NULL",
            sqlite: "INSERT INTO account_sessions (session_id, account_id, app_id, token_epoch, generation, refresh_digest, \
                 device_id, created_at, last_seen_at, refresh_expires_at, absolute_expires_at) \
                 SELECT randomblob(16), account_id, app_id, token_epoch, generation, refresh_digest, device_id, created_at, \
                 last_seen_at, refresh_expires_at, absolute_expires_at FROM account_sessions WHERE revoked_at IS NULL",
        };
        while service.count(LIVE).await < i64::try_from(2 * BATCH).expect("few") {
            service.database.write(double.clone()).execute().await.expect("doubled");
        }
        tokens
    }

    common::on_each_database! {
        async fn however_many_sessions_an_account_has_it_can_be_signed_out_and_deleted(database: TestDatabase) {
            let service = Service::start(database).await;
            let first = service.register("ann").await.expect("registered").tokens;
            let here = crowd(&service).await;
            let live = service.count(LIVE).await;
            assert_eq!(service.logout(&here.access_token, true).await, Ok(live));
            assert_eq!(service.count(LIVE).await, 0, "and marked so");

            let here = crowd(&service).await;
            let live = service.count(LIVE).await;
            let request = EndOtherSessionsRequest { access_token: here.access_token.clone() };
            let ended = public(service.account.end_other_sessions(request).await).expect("ended");
            assert_eq!((ended.revoked, service.count(LIVE).await), (live - 1, 1));
            assert_eq!(service.status(&here.access_token).await, TokenStatus::VALID);
            let told = "SELECT COUNT(*) FROM account_revocations WHERE session_id IS NOT NULL";
            assert_eq!(service.count(told).await, live - 1);

            let here = crowd(&service).await;
            let request = RequestDeletionRequest { access_token: here.access_token };
            public(service.account.request_deletion(request).await).expect("requested");
            let before = service.count(ALL).await;
            service.clock.advance(config().deletion.cooling_off);
            run(service.account.parts(), Job::Deletions).await.expect("deleted");
            let wiped = "SELECT COUNT(*) FROM account_sessions WHERE device_id IS NULL AND revoke_reason = 'account_deletion'";
            assert_eq!((service.count(ALL).await, service.count(wiped).await), (before, before));
            assert_ne!(service.status(&first.access_token).await, TokenStatus::VALID);
        }

        async fn what_an_epoch_has_ended_is_live_to_nobody_before_it_is_marked(database: TestDatabase) {
            let service = Service::start(database).await;
            let ann = service.register("ann").await.expect("registered").tokens;
            let (parts, now) = (service.account.parts(), service.clock.now());
            let account = AccountId::parse(ann.account_id).expect("an id");
            let live = || parts.sessions.live_in_every_app(account, now, 10);
            assert_eq!(live().await.expect("read").len(), 1);
            let end = "UPDATE account_accounts SET token_epoch = token_epoch + 1";
            service.database.write(end).execute().await.expect("ended");
            assert!(live().await.expect("read").is_empty());
        }
    }
}
