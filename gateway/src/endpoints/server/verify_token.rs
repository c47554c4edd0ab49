//! `POST /v1/server/tokens/verify`: is this token still good?
//!
//! Account answers from memory, and while it can't, the gateway from its copy. An outage is never reported as a bad token:
//! when the question can't be answered the caller gets 503 and a time to ask again.

use std::sync::Arc;

use common::http::{ApiError, Envelope, Signed};
use serde::Deserialize;
use utoipa::ToSchema;
use volo::FastStr;
use volo_http::utils::Extension;

use super::verdict::Verdict;
use crate::{state::Gateway, token_copy::tokens::Told};

/// The question.
#[derive(Deserialize, ToSchema)]
#[schema(as = VerifyTokenRequest)]
pub(crate) struct Request {
    /// The access token the game client presented.
    #[schema(value_type = String)]
    token: FastStr,
}

/// Is this token still good?
///
/// 200 whatever the verdict: the question was answered. When it could not be answered: 429 or 503, and no `status`.
#[utoipa::path(post, path = "/v1/server/tokens/verify", tag = "Game servers", security(("app" = [])), request_body = Request, responses((status = 200, body = Verdict)))]
pub(crate) async fn verify_token(
    Extension(gateway): Extension<Arc<Gateway>>,
    Signed { app, body: Request { token } }: Signed<Request>,
) -> Result<Envelope<Verdict>, ApiError> {
    let Told { answer, degraded } = gateway.tokens.verify(app.app_id, token).await?;
    Ok(Envelope(Verdict::new(answer, degraded)?))
}
