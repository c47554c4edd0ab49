//! The same question about many tokens at once.
//!
//! What is a matter of one token stays with it: anybody can make a token that can't be judged, and it must not cost the
//! others their verdicts. Only when none can be judged is there no answer.

use std::{future::Future, time::Duration};

use common::{
    error_code::{DEFAULT_RETRY_AFTER, PublicError},
    token::wire,
};
use idl::account::{TokenVerdict, VerifyTokensRequest};
use volo::FastStr;
use volo_thrift::ClientError;

use super::{
    held::NoVerdict,
    tokens::{Fallback, Tokens, Told},
};

/// What is said about one token of a batch.
#[derive(Debug, PartialEq)]
#[expect(clippy::large_enum_variant, reason = "nearly every element is a verdict")]
pub(crate) enum Element {
    Told(Told<TokenVerdict>),
    /// Could not tell, whatever the token is.
    Open {
        retry_after: Duration,
    },
}

impl Tokens {
    /// What is said about many tokens, in their order; at least one of them has a verdict.
    pub(crate) async fn verify_all(&self, app_id: i64, tokens: Vec<FastStr>) -> Result<Vec<Element>, PublicError> {
        let call = self.account.verify_tokens(VerifyTokensRequest { app_id, tokens: tokens.clone() });
        Box::pin(self.judge_all(app_id, &tokens, async { Ok(call.await?.verdicts) })).await
    }

    async fn judge_all(
        &self,
        app_id: i64,
        tokens: &[FastStr],
        call: impl Future<Output = Result<Vec<TokenVerdict>, ClientError>>,
    ) -> Result<Vec<Element>, PublicError> {
        let fallback = self.fallback.as_ref();
        let Told { answer, degraded } = match fallback {
            Some(fallback) => self.account_or_copy(fallback, call, || fallback.judge_all(app_id, tokens)).await?,
            None => self.account_alone(call).await?,
        };
        if answer.len() != tokens.len() {
            // Verdicts that can't be matched to their tokens are no verdicts.
            return Err(PublicError::unavailable(DEFAULT_RETRY_AFTER));
        }
        let elements = answer.into_iter().zip(tokens).map(|(verdict, token)| {
            let Some(retry_after) = wire::open_for(&verdict) else {
                return Element::Told(Told { answer: verdict, degraded });
            };
            // What account leaves open the copy may know: it follows on its own.
            match fallback.map(|fallback| fallback.judge(app_id, token)) {
                Some(Ok(answer)) => Element::Told(Told { answer, degraded: true }),
                Some(Err(reason)) => {
                    self.metrics.count_refusal(reason);
                    Element::Open { retry_after }
                }
                None => Element::Open { retry_after },
            }
        });
        let elements: Vec<_> = elements.collect();
        if elements.iter().all(|element| matches!(element, Element::Open { .. })) {
            return Err(PublicError::unavailable(DEFAULT_RETRY_AFTER));
        }
        Ok(elements)
    }
}

impl Fallback {
    /// What the copy says, in the order of the tokens; nothing at all if it can't judge one of them.
    fn judge_all(&self, app_id: i64, tokens: &[FastStr]) -> Result<Vec<TokenVerdict>, NoVerdict> {
        let (mut judged, mut lacking) = (false, None);
        let verdicts = tokens.iter().map(|token| match self.judge(app_id, token) {
            Ok(verdict) => {
                judged = true;
                verdict
            }
            Err(reason) => {
                lacking = Some(reason);
                wire::open(DEFAULT_RETRY_AFTER)
            }
        });
        let verdicts = verdicts.collect();
        match lacking {
            Some(reason) if !judged => Err(reason),
            _ => Ok(verdicts),
        }
    }
}

#[cfg(test)]
mod tests {
    use common::{error_code::ErrorCode, rpc::CallError, token::key_ring::KeyId};
    use idl::account::TokenStatus;

    use super::*;
    use crate::token_copy::{
        testing::{APP, ring, token, token_of_key},
        tokens::tests::{refusal, tokens, tokens_at},
    };

    const OPEN: Element = Element::Open { retry_after: DEFAULT_RETRY_AFTER };

    /// What anybody can make: a token that names a key after the newest.
    fn forged() -> FastStr {
        token_of_key(KeyId::new(9), 1).into()
    }

    fn batch() -> Vec<FastStr> {
        vec![forged(), token(1).into(), "garbage".into(), token(2).into()]
    }

    /// A gateway whose copy of the keys is so old that one may be missing.
    fn aged() -> Tokens {
        tokens_at(ring().complete_until())
    }

    fn away() -> Result<Vec<TokenVerdict>, ClientError> {
        Err(CallError::DeadlineExceeded.into())
    }

    fn verdicts(statuses: &[i32]) -> Vec<TokenVerdict> {
        let verdict = |status: &i32| TokenVerdict { status: TokenStatus::from(*status), ..TokenVerdict::default() };
        statuses.iter().map(verdict).collect()
    }

    fn statuses(elements: Result<Vec<Element>, PublicError>) -> Vec<Option<(TokenStatus, bool)>> {
        let status = |element| match element {
            Element::Told(told) => Some((told.answer.status, told.degraded)),
            open @ Element::Open { .. } => {
                assert_eq!(open, OPEN);
                None
            }
        };
        elements.expect("an answer").into_iter().map(status).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_forged_token_leaves_the_others_their_verdicts_when_the_copy_answers_and_its_keys_are_old() {
        let [valid, invalid] = [Some((TokenStatus::VALID, true)), Some((TokenStatus::INVALID, true))];
        let judge = async |tokens: Tokens| statuses(tokens.judge_all(APP, &batch(), async { away() }).await);
        assert_eq!(judge(tokens()).await, [invalid, valid, invalid, valid]);
        assert_eq!(judge(aged()).await, [None, valid, invalid, valid]);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_account_because_of_a_forged_token_while_it_is_away() {
        let tokens = aged();
        let fallback = tokens.fallback.as_ref().expect("a vault");
        while !fallback.reach.is_away() {
            tokens.judge_all(APP, &batch(), async { away() }).await.expect("an answer");
        }
        let told = statuses(tokens.judge_all(APP, &batch(), std::future::pending()).await);
        assert_eq!(told.iter().filter(|told| told.is_none()).count(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_account_leaves_open_the_copy_answers_if_it_can() {
        let open = TokenStatus::OPEN.inner();
        for (tokens, forged) in [(tokens(), Some((TokenStatus::INVALID, true))), (aged(), None)] {
            let by_account = async { Ok(verdicts(&[open, 1, 5, open])) };
            let told = statuses(tokens.judge_all(APP, &batch(), by_account).await);
            let [valid, invalid] = [Some((TokenStatus::VALID, false)), Some((TokenStatus::INVALID, false))];
            assert_eq!(told, [forged, valid, invalid, Some((TokenStatus::VALID, true))]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_status_of_a_later_version_leaves_its_own_token_open_and_no_other() {
        let tokens = Tokens { fallback: None, ..tokens() };
        let told = statuses(tokens.judge_all(APP, &batch(), async { Ok(verdicts(&[99, 1, 5, 3])) }).await);
        let told: Vec<_> = told.into_iter().map(|told| told.map(|(status, _)| status)).collect();
        assert_eq!(told, [None, Some(TokenStatus::VALID), Some(TokenStatus::INVALID), Some(TokenStatus::REVOKED)]);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_single_verdict_there_is_no_answer() {
        let open = TokenStatus::OPEN.inner();
        let alone = Tokens { fallback: None, ..tokens() };
        let refusals = [
            alone.judge_all(APP, &batch(), async { Ok(verdicts(&[open; 4])) }).await,
            aged().judge_all(APP, &[forged(), forged()], async { away() }).await,
            tokens().judge_all(APP, &batch(), async { Ok(verdicts(&[1, 1])) }).await,
            alone.judge_all(APP, &batch(), async { Err(refusal(ErrorCode::TOKEN_INVALID)) }).await,
        ];
        for refusal in refusals {
            let error = refusal.expect_err("open");
            assert_eq!((error.code, error.retry_after.is_some()), (ErrorCode::DEPENDENCY_UNAVAILABLE, true));
        }
    }
}
