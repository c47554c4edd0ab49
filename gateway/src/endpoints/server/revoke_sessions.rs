//! `POST /v1/server/sessions/revoke`: signs a session, or every session of an account, out.

use std::sync::Arc;

use common::{
    error_code::PublicError,
    http::{ApiError, Envelope, SignedOnce},
};
use idl::account::{RevocationTarget, RevokeSessionsRequest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use volo::FastStr;
use volo_http::utils::Extension;

use crate::{state::Gateway, upstream::could_not_tell};

/// A reason is kept with the revocation; longer ones are refused.
const MAX_REASON_BYTES: usize = 256;

/// What to revoke: exactly one of `account_id` and `session_id`.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = RevokeSessionsRequest)]
pub(crate) struct Request {
    /// Every session of this account in your app.
    account_id: Option<i64>,
    /// Only this session.
    #[schema(value_type = Option<String>)]
    session_id: Option<FastStr>,
    /// Why; kept in the record. At most 256 bytes.
    #[schema(value_type = String, max_length = 256)]
    reason: FastStr,
}

/// What happened.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RevokeSessionsAnswer)]
pub(crate) struct Answer {
    /// Sessions that were live and no longer are.
    revoked: i64,
}

/// Signs sessions out. A repeat is answered with `revoked` = 0.
#[utoipa::path(post, path = "/v1/server/sessions/revoke", tag = "Game servers", security(("app" = [])), request_body = Request, responses((status = 200, body = Answer)))]
pub(crate) async fn revoke_sessions(
    Extension(gateway): Extension<Arc<Gateway>>,
    SignedOnce { app, body }: SignedOnce<Request>,
) -> Result<Envelope<Answer>, ApiError> {
    let (target, reason) = parse(body)?;
    let request = RevokeSessionsRequest { app_id: app.app_id, target, reason };
    let answer = gateway.upstream.account.revoke_sessions(request).await.map_err(could_not_tell)?;
    Ok(Envelope(Answer { revoked: answer.revoked }))
}

fn parse(request: Request) -> Result<(RevocationTarget, FastStr), PublicError> {
    let target = match (request.account_id, request.session_id) {
        (Some(account_id), None) => RevocationTarget::AccountId(account_id),
        (None, Some(session_id)) => RevocationTarget::SessionId(session_id),
        _ => return Err(PublicError::invalid("account_id", "give exactly one of `account_id` and `session_id`")),
    };
    if request.reason.len() > MAX_REASON_BYTES {
        return Err(PublicError::invalid("reason", "is longer than 256 bytes"));
    }
    Ok((target, request.reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revocation_names_exactly_one_target() {
        for body in [r#"{"reason":"x"}"#, r#"{"account_id":1,"session_id":"s","reason":"x"}"#] {
            let request = serde_json::from_str(body).expect("well formed");
            assert_eq!(parse(request).expect_err("refused").details[0].0, "account_id");
        }
        let request = serde_json::from_str(r#"{"account_id":1,"reason":"x"}"#).expect("well formed");
        assert!(matches!(parse(request), Ok((RevocationTarget::AccountId(1), _))));
    }
}
