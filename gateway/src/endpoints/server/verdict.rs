//! What a game server is told about a token.

use idl::account::{self, TokenStatus, TokenVerdict};
use serde::Serialize;
use utoipa::ToSchema;
use volo::FastStr;

use crate::endpoints::channel_or_official;

/// An authoritative answer. There is no status for "could not tell": that is HTTP 429 or 503, without a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[schema(as = TokenStatus)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// The player is who they say.
    Valid,
    /// It was good; the client should refresh.
    Expired,
    /// The session was signed out.
    Revoked,
    /// The account may not play now; `ban` says why.
    Banned,
    /// Forged, malformed, or another app's token.
    Invalid,
}

/// Why the account may not play, and until when.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Ban {
    /// Meant for the player.
    #[schema(value_type = String)]
    reason: FastStr,
    /// Unix milliseconds; absent: for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
}

impl From<account::Ban> for Ban {
    fn from(ban: account::Ban) -> Self {
        Self { reason: ban.reason, until: ban.until }
    }
}

/// The verdict on one token. Everything but `status` and `degraded` is absent when the status is `invalid`.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Verdict {
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    account_id: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    session_id: Option<FastStr>,
    #[serde(skip_serializing_if = "Option::is_none")]
    app_id: Option<i64>,
    /// Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    issued_at: Option<i64>,
    /// Unix milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<i64>,
    /// The channel the player signed in through.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    channel: Option<FastStr>,
    /// The device id the client gave at login.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    device_id: Option<FastStr>,
    /// There if and only if the status is `banned`.
    #[serde(skip_serializing_if = "Option::is_none")]
    ban: Option<Ban>,
    /// Account could not answer, and the gateway did from its own copy, which may be some seconds old. As good an answer as
    /// any, except that it does not know of a sign-out, a ban or the lifting of a ban in these seconds.
    degraded: bool,
}

impl Verdict {
    /// The verdict as it is told. A status this version does not know is no verdict, so the question stays open.
    pub(super) fn new(verdict: TokenVerdict, degraded: bool) -> Result<Self, UnknownStatus> {
        let status = match verdict.status {
            TokenStatus::VALID => Status::Valid,
            TokenStatus::EXPIRED => Status::Expired,
            TokenStatus::REVOKED => Status::Revoked,
            TokenStatus::BANNED => Status::Banned,
            TokenStatus::INVALID => Status::Invalid,
            _ => return Err(UnknownStatus),
        };
        Ok(Self {
            status,
            account_id: verdict.account_id,
            session_id: verdict.session_id,
            app_id: verdict.app_id,
            issued_at: verdict.issued_at,
            expires_at: verdict.expires_at,
            channel: (status != Status::Invalid).then(|| channel_or_official(verdict.channel)),
            device_id: verdict.device_id,
            ban: verdict.ban.map(Ban::from),
            degraded,
        })
    }
}

/// Account answered with a status that this gateway is too old to know.
#[derive(Debug, PartialEq)]
pub(crate) struct UnknownStatus;

impl From<UnknownStatus> for common::error_code::PublicError {
    fn from(_: UnknownStatus) -> Self {
        Self::unavailable(std::time::Duration::from_secs(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_from_a_newer_account_is_an_open_question_and_not_a_bad_token() {
        let newer = TokenVerdict { status: TokenStatus::from(99), ..invalid() };
        assert_eq!(Verdict::new(newer, false), Err(UnknownStatus));
    }

    #[test]
    fn an_answer_from_the_copy_says_so() {
        let verdict = Verdict::new(invalid(), true).expect("known");
        assert_eq!(serde_json::to_string(&verdict).expect("serialises"), r#"{"status":"invalid","degraded":true}"#);
    }

    #[test]
    fn an_invalid_token_tells_nothing_else() {
        let verdict = Verdict::new(invalid(), false).expect("known");
        let json = serde_json::to_string(&verdict).expect("serialises");
        assert_eq!(json, r#"{"status":"invalid","degraded":false}"#);
    }

    #[test]
    fn a_ban_says_why_and_until_when_if_it_ends() {
        let told = |until| {
            let ban = Some(account::Ban { reason: "cheating".into(), until });
            let verdict = TokenVerdict { status: TokenStatus::BANNED, ban, ..invalid() };
            serde_json::to_value(Verdict::new(verdict, false).expect("known")).expect("serialises")
        };
        assert_eq!(told(Some(7))["ban"], serde_json::json!({ "reason": "cheating", "until": 7 }));
        assert_eq!(told(None)["ban"], serde_json::json!({ "reason": "cheating" }));
    }

    fn invalid() -> TokenVerdict {
        TokenVerdict {
            status: TokenStatus::INVALID,
            account_id: None,
            session_id: None,
            app_id: None,
            issued_at: None,
            expires_at: None,
            channel: None,
            device_id: None,
            ban: None,
            retry_after_ms: None,
        }
    }
}
