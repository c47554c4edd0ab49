//! `POST /v1/server/tokens/verify-batch`: the same question for up to 500 tokens.

use std::{sync::Arc, time::Duration};

use common::{
    clock::SystemRandom,
    error_code::{DEFAULT_RETRY_AFTER, PublicError},
    http::{ApiError, Envelope, Signed},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use volo::FastStr;
use volo_http::utils::Extension;

use super::verdict::{UnknownStatus, Verdict};
use crate::{
    state::Gateway,
    token_copy::{batch::Element, tokens::Told},
};

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
    results: Vec<BatchResult>,
}

/// What is said about one token of the batch: a verdict, or, without a `status`, when to ask about it again.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
#[serde(untagged)]
#[expect(clippy::large_enum_variant, reason = "nearly every result is a verdict")]
pub(crate) enum BatchResult {
    /// The question was answered.
    Verdict(Verdict),
    /// This token could not be judged now, which says nothing about it.
    Open(OpenQuestion),
}

/// No verdict on this one token: could not tell.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct OpenQuestion {
    /// Ask again about this token after that long.
    retry_after_ms: u64,
}

impl BatchResult {
    fn open(retry_after: Duration) -> Self {
        let open = PublicError::unavailable(retry_after);
        // The jitter only spreads those who come back, as it does in the answers that are no answer at all.
        let retry_after = open.retry_hint(&SystemRandom).unwrap_or(retry_after);
        Self::Open(OpenQuestion { retry_after_ms: u64::try_from(retry_after.as_millis()).unwrap_or(u64::MAX) })
    }
}

impl From<Element> for BatchResult {
    fn from(element: Element) -> Self {
        match element {
            Element::Told(Told { answer, degraded }) => match Verdict::new(answer, degraded) {
                Ok(verdict) => Self::Verdict(verdict),
                Err(UnknownStatus) => Self::open(DEFAULT_RETRY_AFTER),
            },
            Element::Open { retry_after } => Self::open(retry_after),
        }
    }
}

/// Are these tokens still good?
///
/// One bad token never spoils the others, and neither does one that can't be judged now: its result has `retry_after_ms` and
/// no `status`. 503 only when none of them could be judged.
#[utoipa::path(post, path = "/v1/server/tokens/verify-batch", tag = "Game servers", security(("app" = [])), request_body = Request, responses((status = 200, body = Answer)))]
pub(crate) async fn verify_tokens(
    Extension(gateway): Extension<Arc<Gateway>>,
    Signed { app, body: Request { tokens } }: Signed<Request>,
) -> Result<Envelope<Answer>, ApiError> {
    if tokens.is_empty() || tokens.len() > MAX_TOKENS {
        return Err(PublicError::invalid("tokens", "must hold 1 to 500 tokens").into());
    }
    let elements = gateway.tokens.verify_all(app.app_id, tokens).await?;
    Ok(Envelope(Answer { results: elements.into_iter().map(BatchResult::from).collect() }))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn an_open_question_has_a_time_to_ask_again_and_nothing_that_looks_like_a_verdict() {
        let open = BatchResult::from(Element::Open { retry_after: Duration::from_secs(1) });
        let Value::Object(fields) = serde_json::to_value(&open).expect("serialises") else { panic!("{open:?}") };
        assert_eq!(fields.keys().collect::<Vec<_>>(), ["retry_after_ms"]);
        assert!(fields["retry_after_ms"].as_u64().is_some_and(|after| (750..=1250).contains(&after)), "{fields:?}");
    }
}
