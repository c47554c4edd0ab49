//! Is this token still good? Asks account, and falls back on the copy.
//!
//! While account answers, the copy costs a question nothing. When account can't answer, the copy is asked; when that can't
//! tell either, the question stays open.

use std::{fmt, future::Future, sync::Arc, time::Duration};

use common::{clock::SharedClock, error_code::PublicError, rpc::CallError, token::master_key::TokenKeyVault};
use idl::account::{AccountServiceClient, TokenVerdict, VerifyTokenRequest};
use prometheus::Registry;
use tokio::time::Instant;
use volo::FastStr;
use volo_thrift::ClientError;

use super::{
    accounts::AccountsByToken,
    follow::{FollowParts, Follower},
    held::{NoVerdict, TokenCopy},
    metrics::Metrics,
    source::Account,
};
use crate::{
    config::Config,
    reach::Reach,
    upstream::{open_question, within},
};

/// The status of an answer that says nothing about the token. Every other refusal is account's own, about the caller.
const OPEN_QUESTION: u16 = 503;

/// Answers questions about tokens. Cheap to clone.
#[derive(Clone)]
pub struct Tokens {
    pub(super) account: AccountServiceClient,
    pub(super) patience: Duration,
    pub(super) metrics: Metrics,
    pub(super) fallback: Option<Fallback>,
}

/// What answers when account can't.
#[derive(Clone, Debug)]
pub(super) struct Fallback {
    pub(super) copy: Arc<TokenCopy>,
    pub(super) reach: Arc<Reach>,
    vault: Arc<TokenKeyVault>,
    clock: SharedClock,
}

/// An answer, and whether it came from the copy.
#[derive(Debug, PartialEq)]
pub(crate) struct Told<T> {
    pub(crate) answer: T,
    pub(crate) degraded: bool,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("fallback", &self.fallback).finish_non_exhaustive()
    }
}

impl Tokens {
    /// Asks `account`, waiting up to `gateway.verify_timeout`. With a vault there is a copy besides, which the future of
    /// [`follow`](Self::follow) has to fill.
    pub fn new(
        config: &Config,
        account: AccountServiceClient,
        vault: Option<TokenKeyVault>,
        clock: SharedClock,
        registry: &Registry,
    ) -> Result<Self, prometheus::Error> {
        let fallback = vault.map(|vault| Fallback {
            copy: Arc::new(TokenCopy::new(config.fallback.max_staleness)),
            reach: Arc::default(),
            vault: Arc::new(vault),
            clock,
        });
        Ok(Self { account, patience: config.verify_timeout, metrics: Metrics::register(registry)?, fallback })
    }

    /// Keeps the copy up to date, for as long as the process runs; `None` when there is none to keep.
    pub fn follow(&self, config: &Config) -> Option<impl Future<Output = ()> + Send + 'static> {
        let Fallback { copy, reach, vault, clock } = self.fallback.clone()?;
        let (config, metrics) = (config.fallback.clone(), self.metrics.clone());
        let parts = FollowParts { config, vault, copy, reach, metrics, clock };
        Some(Follower::new(Account(self.account.clone()), parts).run())
    }

    /// Tells whose a request is, by the copy of the key ring; `None` when there is no copy.
    pub fn accounts(&self) -> Option<AccountsByToken> {
        let Fallback { copy, clock, .. } = self.fallback.as_ref()?;
        Some(AccountsByToken { copy: Arc::clone(copy), clock: Arc::clone(clock) })
    }

    /// The verdict on one token.
    pub(crate) async fn verify(&self, app_id: i64, token: FastStr) -> Result<Told<TokenVerdict>, PublicError> {
        // Boxed: it is handed through several functions, each of which would move it into a future of its own.
        let call = |token| Box::pin(self.account.verify_token(VerifyTokenRequest { app_id, token }));
        let Some(fallback) = &self.fallback else {
            return self.account_alone(call(token)).await;
        };
        let from_copy = || fallback.judge(app_id, &token);
        self.account_or_copy(fallback, call(token.clone()), from_copy).await
    }

    /// Whose token it is, if the copy knows it to be good.
    pub(crate) fn account_of(&self, token: &str) -> Option<i64> {
        let Fallback { copy, clock, .. } = self.fallback.as_ref()?;
        copy.account_of(token, clock.now(), Instant::now())
    }

    pub(super) async fn account_alone<T>(
        &self,
        call: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<Told<T>, PublicError> {
        let answer = within(self.patience, call).await.map_err(open_question)?;
        self.metrics.by_account.inc();
        Ok(Told { answer, degraded: false })
    }

    pub(super) async fn account_or_copy<T>(
        &self,
        fallback: &Fallback,
        call: impl Future<Output = Result<T, ClientError>>,
        from_copy: impl Fn() -> Result<T, NoVerdict>,
    ) -> Result<Told<T>, PublicError> {
        // What the copy can't tell is worth waiting for account, even then.
        if fallback.reach.is_away()
            && let Ok(answer) = from_copy()
        {
            self.metrics.by_copy.inc();
            return Ok(Told { answer, degraded: true });
        }
        let error = match within(self.patience, call).await.map_err(CallError::from) {
            Ok(answer) => {
                fallback.reach.answered();
                self.metrics.by_account.inc();
                return Ok(Told { answer, degraded: false });
            }
            Err(error) => error,
        };
        fallback.reach.failed(&error);
        let error = open_question(error.into());
        if error.http_status() != OPEN_QUESTION {
            return Err(error);
        }
        match from_copy() {
            Ok(answer) => {
                self.metrics.by_copy.inc();
                Ok(Told { answer, degraded: true })
            }
            Err(reason) => {
                self.metrics.count_refusal(reason);
                Err(error)
            }
        }
    }
}

impl Fallback {
    pub(super) fn judge(&self, app_id: i64, token: &str) -> Result<TokenVerdict, NoVerdict> {
        self.copy.judge(app_id, token, self.clock.now(), Instant::now())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use common::{
        clock::{SystemRandom, Timestamp, testing::ManualClock},
        discovery::{StaticConfig, StaticList},
        error_code::ErrorCode,
        governance::Governance,
        rpc::{ClientConfig, ClientMetrics, ClientParts, Transport, account_client},
        token::master_key::MasterKey,
    };
    use idl::account::TokenStatus;

    use super::*;
    use crate::token_copy::{
        held::Known,
        testing::{APP, NOW, ring, token},
    };

    /// With a copy that knows every key and no revocation.
    pub(crate) fn tokens() -> Tokens {
        tokens_at(NOW)
    }

    /// The same at another time.
    pub(in crate::token_copy) fn tokens_at(now: Timestamp) -> Tokens {
        let registry = Registry::new();
        let metrics = ClientMetrics::register(&registry).expect("fresh");
        let parts = ClientParts {
            caller: "gateway",
            random: Arc::new(SystemRandom),
            metrics,
            governance: Governance::default(),
        };
        let nobody = Transport::Wire(Arc::new(StaticList::new(&StaticConfig::default())));
        let account = account_client(nobody, &ClientConfig::default(), &parts);
        let vault = TokenKeyVault::new(&MasterKey::generate(&SystemRandom));
        let clock = Arc::new(ManualClock::at(now));
        let tokens = Tokens::new(&Config::default(), account, Some(vault), clock, &registry).expect("fresh");
        let copy = &tokens.fallback.as_ref().expect("a vault").copy;
        copy.replace_ring(ring());
        copy.replace_feed(Arc::new(Known::default()), Instant::now());
        tokens
    }

    pub(in crate::token_copy) fn refusal(code: ErrorCode) -> ClientError {
        CallError::Answered(PublicError::new(code)).into()
    }

    /// What becomes of a question that account answers so.
    async fn ask(
        tokens: &Tokens,
        token: &str,
        answer: Result<TokenVerdict, ClientError>,
    ) -> Result<Told<TokenVerdict>, PublicError> {
        let fallback = tokens.fallback.as_ref().expect("a vault");
        tokens.account_or_copy(fallback, async { answer }, || fallback.judge(APP, token)).await
    }

    fn status(told: Result<Told<TokenVerdict>, PublicError>) -> Option<(TokenStatus, bool)> {
        told.ok().map(|told| (told.answer.status, told.degraded))
    }

    #[tokio::test(start_paused = true)]
    async fn whatever_leaves_a_question_open_is_answered_by_the_copy() {
        let faults = || {
            [
                CallError::NotSent { cause: String::new() }.into(),
                CallError::LostAfterSend { cause: String::new() }.into(),
                CallError::Rejected.into(),
                CallError::NoRoom.into(),
                CallError::DeadlineExceeded.into(),
                CallError::Internal { cause: String::new() }.into(),
                refusal(ErrorCode::INTERNAL),
                refusal(ErrorCode::OVERLOADED),
                refusal(ErrorCode::SHUTTING_DOWN),
                refusal(ErrorCode::DEPENDENCY_UNAVAILABLE),
            ]
        };
        for fault in faults() {
            let told = ask(&tokens(), &token(1), Err(fault)).await;
            assert_eq!(status(told), Some((TokenStatus::VALID, true)));
        }
        for fault in faults() {
            let told = ask(&tokens(), "garbage", Err(fault)).await;
            assert_eq!(status(told), Some((TokenStatus::INVALID, true)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_account_says_about_the_caller_is_said_as_it_is() {
        for code in [ErrorCode::INVALID_ARGUMENT, ErrorCode::RATE_LIMITED_APP] {
            let told = ask(&tokens(), &token(1), Err(refusal(code))).await;
            assert_eq!(told.expect_err("refused").code, code);
        }
        let revoked = TokenVerdict { status: TokenStatus::REVOKED, ..TokenVerdict::default() };
        let told = ask(&tokens(), &token(1), Ok(revoked)).await;
        assert_eq!(status(told), Some((TokenStatus::REVOKED, false)), "the copy is not asked");
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_that_would_pass_for_a_verdict_leaves_the_question_open_whoever_is_there_to_answer_it() {
        let verdicts = [
            ErrorCode::TOKEN_INVALID,
            ErrorCode::TOKEN_EXPIRED,
            ErrorCode::TOKEN_REVOKED,
            ErrorCode::REFRESH_TOKEN_REUSED,
            ErrorCode::ACCOUNT_BANNED,
        ];
        for code in verdicts {
            let told = ask(&tokens(), &token(1), Err(refusal(code))).await;
            assert_eq!(status(told), Some((TokenStatus::VALID, true)), "{code:?}");
            let answer = async || Err::<TokenVerdict, _>(refusal(code));
            let without_copy = tokens().account_alone(answer()).await;
            let behind = tokens();
            behind.fallback.as_ref().expect("a vault").copy.drop_feed();
            for open in [without_copy, ask(&behind, &token(1), answer().await).await] {
                let error = open.expect_err("open");
                assert_eq!((error.code, error.retry_after.is_some()), (ErrorCode::DEPENDENCY_UNAVAILABLE, true));
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_the_copy_cannot_tell_stays_an_open_question() {
        let tokens = tokens();
        tokens.fallback.as_ref().expect("a vault").copy.drop_feed();
        for token in [&*token(1), "garbage"] {
            let told = ask(&tokens, token, Err(CallError::DeadlineExceeded.into())).await;
            let error = told.expect_err("open");
            assert_eq!((error.http_status(), error.retry_after.is_some()), (503, true));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn while_account_is_away_the_copy_is_asked_first_and_account_only_about_what_it_cannot_tell() {
        let tokens = tokens();
        let fallback = tokens.fallback.as_ref().expect("a vault");
        while !fallback.reach.is_away() {
            let told = ask(&tokens, &token(1), Err(CallError::DeadlineExceeded.into())).await;
            assert_eq!(status(told), Some((TokenStatus::VALID, true)));
        }
        let never = std::future::pending::<Result<TokenVerdict, ClientError>>();
        let told = tokens.account_or_copy(fallback, never, || fallback.judge(APP, &token(1))).await;
        assert_eq!(status(told), Some((TokenStatus::VALID, true)), "nobody waits");
        fallback.copy.drop_feed();
        let valid = TokenVerdict { status: TokenStatus::VALID, ..TokenVerdict::default() };
        let told = ask(&tokens, &token(1), Ok(valid)).await;
        assert_eq!(status(told), Some((TokenStatus::VALID, false)));
        assert!(!fallback.reach.is_away());
    }
}
