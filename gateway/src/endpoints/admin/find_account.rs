//! `GET /admin/v1/accounts`: an account, by its id, its username or its phone.

use common::{
    error_code::PublicError,
    http::{ApiError, Envelope, Query},
    rpc::CallError,
};
use idl::account_admin::{
    AccountSelector, BanDetails, CredentialDetails, FindAccountRequest, FindAccountResponse, SessionDetails,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use volo::FastStr;

use super::operator::Operator;
use crate::endpoints::channel_or_official;

/// Which account: exactly one of the three.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct Request {
    account_id: Option<i64>,
    #[param(value_type = Option<String>)]
    username: Option<FastStr>,
    /// International, such as `+8613800138000`; in a query the `+` is written `%2B`.
    #[param(value_type = Option<String>)]
    phone: Option<FastStr>,
}

/// What is known of an account. Times are Unix milliseconds.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = FindAccountAnswer)]
pub(crate) struct Answer {
    account: Account,
    /// The live ones of every app, the latest first.
    sessions: Vec<Session>,
    /// Those in effect.
    bans: Vec<Ban>,
}

/// A ban that is in effect.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AdminBan)]
pub(crate) struct Ban {
    /// What it keeps out; another kind may be added.
    #[schema(example = "account")]
    kind: &'static str,
    /// Shown to the player.
    #[schema(value_type = String)]
    reason: FastStr,
    /// For operators only.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    note: Option<FastStr>,
    banned_at: i64,
    /// Absent: for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
}

/// The account itself.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Account {
    account_id: i64,
    created_at: i64,
    /// Its player has asked for it to be deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    deletion: Option<AccountDeletion>,
    /// It has been deleted: nothing is left of its player.
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted_at: Option<i64>,
    credentials: Vec<Credential>,
}

/// A deletion that is pending.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AccountDeletion {
    requested_at: i64,
    /// Not before, and soon after it.
    executes_at: i64,
}

/// A way to sign in.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Credential {
    #[schema(value_type = String)]
    kind: FastStr,
    /// Enough to recognise it, never enough to use it.
    #[schema(value_type = String, example = "a***n")]
    name: FastStr,
    /// The app that knows it; absent: every app does.
    #[serde(skip_serializing_if = "Option::is_none")]
    app_id: Option<i64>,
    created_at: i64,
}

/// A live session.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Session {
    #[schema(value_type = String)]
    session_id: FastStr,
    app_id: i64,
    /// The device id the client gave at login.
    #[schema(value_type = Option<String>)]
    device: Option<FastStr>,
    #[schema(value_type = String)]
    device_class: FastStr,
    #[schema(value_type = String)]
    channel: FastStr,
    /// Where the sign-in came from.
    #[schema(value_type = Option<String>)]
    address: Option<FastStr>,
    created_at: i64,
    /// The last login or refresh.
    last_seen_at: i64,
    /// It ends then unless it is used before.
    expires_at: i64,
}

/// An account, its credentials (masked), its live sessions and the bans in effect.
///
/// 4040101 when there is none.
#[utoipa::path(get, path = "/admin/v1/accounts", tag = "Accounts", security(("operator" = [])), params(Request), responses((status = 200, body = Answer)))]
pub(crate) async fn find_account(
    Operator { account, .. }: Operator,
    Query(request): Query<Request>,
) -> Result<Envelope<Answer>, ApiError> {
    let selector = selector(request)?;
    let found = account.admin_find_account(FindAccountRequest { selector }).await.map_err(CallError::from)?;
    Ok(Envelope(found.into()))
}

fn selector(request: Request) -> Result<AccountSelector, PublicError> {
    match (request.account_id, request.username, request.phone) {
        (Some(account_id), None, None) => Ok(AccountSelector::AccountId(account_id)),
        (None, Some(username), None) => Ok(AccountSelector::Username(username)),
        (None, None, Some(phone)) => Ok(AccountSelector::Phone(phone)),
        _ => Err(PublicError::invalid("account_id", "give exactly one of `account_id`, `username` and `phone`")),
    }
}

impl From<FindAccountResponse> for Answer {
    fn from(found: FindAccountResponse) -> Self {
        Self {
            account: Account {
                account_id: found.account_id,
                created_at: found.created_at,
                deletion: found.deletion.map(|deletion| AccountDeletion {
                    requested_at: deletion.requested_at,
                    executes_at: deletion.executes_at,
                }),
                deleted_at: found.deleted_at,
                credentials: found.credentials.into_iter().map(Credential::from).collect(),
            },
            sessions: found.sessions.into_iter().map(Session::from).collect(),
            bans: found.ban.into_iter().map(Ban::from).collect(),
        }
    }
}

impl From<BanDetails> for Ban {
    fn from(ban: BanDetails) -> Self {
        Self { kind: "account", reason: ban.reason, note: ban.note, banned_at: ban.banned_at, until: ban.until }
    }
}

impl From<CredentialDetails> for Credential {
    fn from(credential: CredentialDetails) -> Self {
        let CredentialDetails { kind, masked_name, app_id, created_at, .. } = credential;
        Self { kind, name: masked_name, app_id, created_at }
    }
}

impl From<SessionDetails> for Session {
    fn from(session: SessionDetails) -> Self {
        Self {
            session_id: session.session_id,
            app_id: session.app_id,
            device: session.device_id,
            device_class: session.device_class,
            channel: channel_or_official(session.channel),
            address: session.address,
            created_at: session.created_at,
            last_seen_at: session.last_seen_at,
            expires_at: session.expires_at,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_one_of_the_three_says_which_account() {
        let chosen = |account_id, username: Option<&'static str>, phone: Option<&'static str>| {
            selector(Request { account_id, username: username.map(Into::into), phone: phone.map(Into::into) })
        };
        assert_eq!(chosen(Some(7), None, None), Ok(AccountSelector::AccountId(7)));
        assert_eq!(chosen(None, Some("ann"), None), Ok(AccountSelector::Username("ann".into())));
        assert_eq!(chosen(None, None, Some("+1")), Ok(AccountSelector::Phone("+1".into())));
        for (account_id, username, phone) in [
            (None, None, None),
            (Some(7), Some("ann"), None),
            (Some(7), None, Some("+1")),
            (None, Some("ann"), Some("+1")),
        ] {
            assert_eq!(chosen(account_id, username, phone).expect_err("refused").details[0].0, "account_id");
        }
    }
}
