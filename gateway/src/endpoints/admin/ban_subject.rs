//! `POST /admin/v1/bans`: a device or a part of the network is kept out, for a time or for good.

use common::{
    error_code::PublicError,
    http::{ApiError, Envelope, Json},
    rpc::CallError,
};
use idl::account_admin::{BanSubject, BanSubjectRequest};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use volo::FastStr;

use super::operator::Operator;

/// The ban.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = AdminBanSubjectRequest)]
pub(crate) struct Request {
    /// `device` or `address`.
    #[schema(value_type = String, example = "address")]
    kind: FastStr,
    /// A device id as game clients send it; or an address or range, not wider than /8, or /16 with IPv6.
    #[schema(value_type = String, example = "203.0.113.0/24")]
    subject: FastStr,
    /// Shown to players: 1-255 bytes without control characters.
    #[schema(value_type = String, max_length = 255)]
    reason: FastStr,
    /// For operators only: the same.
    #[schema(value_type = Option<String>, max_length = 255)]
    note: Option<FastStr>,
    /// Unix milliseconds, in the future; absent: for good.
    until: Option<i64>,
}

/// The ban is in effect.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AdminBanSubjectAnswer)]
pub(crate) struct Answer {
    /// What it is lifted by.
    ban_id: i64,
}

/// Bans a device or a part of the network in every app, in place of the ban there may be.
///
/// Logins, registrations and refreshes there are refused with 4030101 within a second, and verifications of tokens of a
/// banned device say `banned`. Sessions are not ended: they go on when the ban is over.
#[utoipa::path(post, path = "/admin/v1/bans", tag = "Bans", security(("operator" = [])), request_body = Request, responses((status = 200, body = Answer)))]
pub(crate) async fn ban_subject(
    Operator { actor, account }: Operator,
    Json(Request { kind, subject, reason, note, until }): Json<Request>,
) -> Result<Envelope<Answer>, ApiError> {
    let subject = match &*kind {
        "device" => BanSubject::DeviceId(subject),
        "address" => BanSubject::Address(subject),
        _ => return Err(ApiError(PublicError::invalid("kind", "must be `device` or `address`"))),
    };
    let request = BanSubjectRequest { actor, subject, reason, note, until };
    let answer = account.admin_ban_subject(request).await.map_err(CallError::from)?;
    Ok(Envelope(Answer { ban_id: answer.ban_id }))
}
