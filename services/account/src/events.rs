//! What the service tells a studio's data warehouse of: kinds and fields of its events.
//!
//! `docs/events.md` lists them for those who read them: a kind never changes its meaning, and fields are only added. What
//! must never be in one: a secret, a token, a phone, a name to sign in with, a device, an address, what operators write for
//! themselves. None of these could be taken back from a warehouse when an account is deleted.

use common::{
    clock::Timestamp,
    event_table,
    events::{EventOutbox, EventTable, NewEvent},
    sql::{SqlError, Tx},
};
use serde::Serialize;

use crate::{
    domain::{
        end_reason::EndReason,
        ids::{AccountId, AppId, SessionId},
        revocation::Ban,
    },
    sign_in::Entry,
    store::sessions::{Ending, NewSession},
};

/// Where events wait.
pub(crate) const TABLE: EventTable = event_table!("account_events");

/// `account.registered`, `account.login`.
#[derive(Serialize)]
struct SignedIn<'a> {
    app_id: i64,
    account_id: i64,
    session_id: String,
    credential: &'static str,
    device_class: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    package_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sdk_version: Option<&'a str>,
}

/// `account.sessions_ended`.
#[derive(Serialize)]
struct SessionsEnded {
    account_id: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<String>,
    count: u64,
    reason: &'static str,
}

/// `account.banned`.
#[derive(Serialize)]
struct Banned<'a> {
    account_id: i64,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
}

/// `account.deletion_requested`.
#[derive(Serialize)]
struct DeletionRequested {
    account_id: i64,
    executes_at: i64,
}

/// `account.ban_lifted`, `account.deletion_cancelled`.
#[derive(Serialize)]
struct OfAccount {
    account_id: i64,
}

/// `account.deleted`.
#[derive(Serialize)]
struct Deleted {
    account_id: i64,
    sessions_ended: u64,
}

/// Which sessions have ended. What is not said is all of them, or not known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndedSessions {
    pub(crate) account: AccountId,
    pub(crate) app: Option<AppId>,
    pub(crate) session: Option<SessionId>,
    pub(crate) count: u64,
}

/// The event of a session that begins, to be stored with it.
pub(crate) fn signed_in(outbox: &EventOutbox, session: &NewSession, entry: Entry) -> Option<NewEvent> {
    let kind = match entry {
        Entry::Registration(_) => "account.registered",
        Entry::SignIn(_) => "account.login",
    };
    outbox.event(kind, session.created_at, || SignedIn {
        app_id: session.app_id.get(),
        account_id: session.account_id.get(),
        session_id: session.session_id.to_string(),
        credential: entry.by().as_str(),
        device_class: session.client.device_class.as_str(),
        channel: session.client.channel.as_deref(),
        package_name: session.client.package_name.as_deref(),
        sdk_version: session.client.sdk_version.as_deref(),
    })
}

/// Sessions have ended before their time; none is nothing to tell.
pub(crate) async fn sessions_ended(tx: &mut Tx, ended: EndedSessions, ending: Ending<'_>) -> Result<(), SqlError> {
    if ended.count == 0 {
        return Ok(());
    }
    let facts = || SessionsEnded {
        account_id: ended.account.get(),
        app_id: ended.app.map(AppId::get),
        session_id: ended.session.map(|session| session.to_string()),
        count: ended.count,
        reason: EndReason::told(ending.reason),
    };
    ending.events.tell(tx, "account.sessions_ended", ending.now, facts).await
}

/// The account is banned, or not any more.
pub(crate) async fn ban_changed(
    tx: &mut Tx,
    account: AccountId,
    ban: Option<&Ban>,
    ending: Ending<'_>,
) -> Result<(), SqlError> {
    let (events, now, account_id) = (ending.events, ending.now, account.get());
    match ban {
        Some(ban) => {
            let until = ban.until.map(Timestamp::as_millis);
            events.tell(tx, "account.banned", now, || Banned { account_id, reason: &ban.reason, until }).await
        }
        None => events.tell(tx, "account.ban_lifted", now, || OfAccount { account_id }).await,
    }
}

/// The account will be deleted unless its player thinks better of it.
pub(crate) async fn deletion_requested(
    tx: &mut Tx,
    account: AccountId,
    executes_at: Timestamp,
    ending: Ending<'_>,
) -> Result<(), SqlError> {
    let facts = || DeletionRequested { account_id: account.get(), executes_at: executes_at.as_millis() };
    ending.events.tell(tx, "account.deletion_requested", ending.now, facts).await
}

/// The account is kept after all.
pub(crate) async fn deletion_cancelled(
    tx: &mut Tx,
    account: AccountId,
    events: &EventOutbox,
    now: Timestamp,
) -> Result<(), SqlError> {
    events.tell(tx, "account.deletion_cancelled", now, || OfAccount { account_id: account.get() }).await
}

/// The account is no more.
pub(crate) async fn deleted(
    tx: &mut Tx,
    account: AccountId,
    sessions_ended: u64,
    ending: Ending<'_>,
) -> Result<(), SqlError> {
    let facts = || Deleted { account_id: account.get(), sessions_ended };
    ending.events.tell(tx, "account.deleted", ending.now, facts).await
}

#[cfg(test)]
mod tests;
