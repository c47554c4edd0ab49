//! `POST /v1/server/tokens/verify-batch`: the same question for up to 500 tokens.

use std::sync::Arc;

use common::{
    error_code::PublicError,
    http::{ApiError, Envelope, Signed},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use volo::FastStr;
use volo_http::utils::Extension;

use super::verdict::Verdict;
use crate::{state::Gateway, token_copy::tokens::Told};

/// More tokens in one request would make one caller's batch everybody's latency.
const MAX_TOKENS: usize = 500;

/// The questions.
#[derive(Deserialize, ToSchema)]
#[schema(as = VerifyTokensRequest)]
pub(crate) struct Request {
    /// 1-500 access tokens.
    #[schema(value_type = Vec<String>, min_items = 1, max_items = 500)]
    tokens: Vec<FastStr>,
}

/// The verdicts.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = VerifyTokensAnswer)]
pub(crate) struct Answer {
    /// In the order of the request.
    results: Vec<Verdict>,
}

/// Are these tokens still good?
///
/// One bad token never spoils the others.
#[utoipa::path(post, path = "/v1/server/tokens/verify-batch", tag = "Game servers", security(("app" = [])), request_body = Request, responses((status = 200, body = Answer)))]
pub(crate) async fn verify_tokens(
    Extension(gateway): Extension<Arc<Gateway>>,
    Signed { app, body: Request { tokens } }: Signed<Request>,
) -> Result<Envelope<Answer>, ApiError> {
    if tokens.is_empty() || tokens.len() > MAX_TOKENS {
        return Err(PublicError::invalid("tokens", "must hold 1 to 500 tokens").into());
    }
    let asked = tokens.len();
    let Told { answer, degraded } = gateway.tokens.verify_all(app.app_id, tokens).await?;
    let verdicts = answer.verdicts;
    if verdicts.len() != asked {
        // Verdicts that can't be matched to their tokens are no verdicts.
        return Err(PublicError::unavailable(std::time::Duration::from_secs(1)).into());
    }
    let results = verdicts.into_iter().map(|verdict| Verdict::new(verdict, degraded)).collect::<Result<_, _>>()?;
    Ok(Envelope(Answer { results }))
}
