//! `VerifyToken`: is this token still good?
//!
//! Answers from memory: opens the token, looks at the revocations, answers. There is nothing to wait for, so this is not
//! even an async function.

use common::{
    error_code::{ErrorCode, PublicError},
    rpc::Refusal,
    token::{access_token::Buffer, ids::AppId, read_ring::Unsure, wire},
};
use idl::account::{TokenStatus, TokenVerdict, VerifyTokenRequest};
use prometheus::{IntCounter, IntCounterVec, Opts, Registry};

use crate::{domain::field::FieldError, service::Parts};

/// Why there is no verdict. It can't say that the token is bad: that is a verdict.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum VerifyError {
    /// The question itself is wrong.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// Could not tell.
    #[error(transparent)]
    Unsure(#[from] Unsure),
}

pub(crate) fn verify_token(parts: &Parts, request: &VerifyTokenRequest) -> Result<TokenVerdict, VerifyError> {
    let app_id = AppId::parse(request.app_id)?;
    Ok(judge(parts, app_id, &request.token)?)
}

/// The answer for one token. An error only when it can't be told, whatever the token is.
pub(super) fn judge(parts: &Parts, app_id: AppId, token: &str) -> Result<TokenVerdict, Unsure> {
    let (mut buffer, now) = (Buffer::default(), parts.clock.now());
    let opened = parts.keys.open(token, &mut buffer, now).inspect_err(|_| parts.verdicts.open.inc())?;
    let Some(claims) = opened else {
        return Ok(parts.verdicts.count(wire::invalid()));
    };
    Ok(parts.verdicts.count(wire::describe(parts.judge(&claims, app_id, now), &claims)))
}

impl Refusal for VerifyError {
    fn public(&self) -> PublicError {
        match self {
            Self::Field(FieldError { field, reason }) => PublicError::invalid(*field, *reason),
            Self::Unsure(_) => PublicError::new(ErrorCode::DEPENDENCY_UNAVAILABLE),
        }
    }
}

/// Verdicts by status; the handles are looked up once.
#[derive(Debug)]
pub(crate) struct VerdictMetrics {
    valid: IntCounter,
    expired: IntCounter,
    banned: IntCounter,
    revoked: IntCounter,
    invalid: IntCounter,
    open: IntCounter,
}

impl VerdictMetrics {
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let opts = Opts::new("playgate_token_verdicts_total", "Tokens judged, by verdict.");
        let verdicts = IntCounterVec::new(opts, &["status"])?;
        registry.register(Box::new(verdicts.clone()))?;
        let open = "Tokens that could not be judged: they name a key that is not known yet, or are of a later version.";
        let open = IntCounter::new("playgate_token_open_questions_total", open)?;
        registry.register(Box::new(open.clone()))?;
        Ok(Self {
            valid: verdicts.with_label_values(&["valid"]),
            expired: verdicts.with_label_values(&["expired"]),
            banned: verdicts.with_label_values(&["banned"]),
            revoked: verdicts.with_label_values(&["revoked"]),
            invalid: verdicts.with_label_values(&["invalid"]),
            open,
        })
    }

    fn count(&self, verdict: TokenVerdict) -> TokenVerdict {
        match verdict.status {
            TokenStatus::VALID => self.valid.inc(),
            TokenStatus::EXPIRED => self.expired.inc(),
            TokenStatus::BANNED => self.banned.inc(),
            TokenStatus::REVOKED => self.revoked.inc(),
            _ => self.invalid.inc(),
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use common::token::key_ring::KeyId;

    use super::*;
    use crate::testing::{Service, code, status_on};

    #[test]
    fn whatever_keeps_a_token_from_being_judged_is_never_a_verdict_on_it() {
        let public = |error: VerifyError| (error.public().http_status(), error.public().code);
        let open = (503, ErrorCode::DEPENDENCY_UNAVAILABLE);
        assert_eq!(public(Unsure::Unreadable.into()), open);
        assert_eq!(public(Unsure::UnknownKey(KeyId::FIRST).into()), open);
        assert_eq!(public(FieldError::new("app_id", "no such app").into()), (400, ErrorCode::INVALID_ARGUMENT));
    }

    const NOTHING_ELSE: TokenVerdict = TokenVerdict {
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
    };

    common::on_each_database! {
        async fn a_token_is_valid_until_it_expires(database: TestDatabase) {
            let service = Service::start(database).await;
            let tokens = service.register("ann").await.expect("registered").tokens;
            let verdict = service.verify(&tokens.access_token).await.expect("a verdict");
            let issued_at = verdict.issued_at.expect("told");
            let lifetime = Duration::from_millis((tokens.access_expires_at - issued_at).cast_unsigned());
            assert!(lifetime <= Duration::from_secs(7200) && lifetime >= Duration::from_secs(6840), "{lifetime:?}");
            service.clock.advance(lifetime - Duration::from_millis(1));
            assert_eq!(service.status(&tokens.access_token).await, TokenStatus::VALID);
            service.clock.advance(Duration::from_millis(1));
            let expired = service.verify(&tokens.access_token).await.expect("a verdict");
            assert_eq!(expired, TokenVerdict { status: TokenStatus::EXPIRED, ..verdict });
        }

        async fn what_is_not_this_apps_token_is_invalid_and_tells_nothing_else(database: TestDatabase) {
            let service = Service::start(database).await;
            let tokens = service.register("ann").await.expect("registered").tokens;
            let other = service.admin().create_app("Other", None).await.expect("made").app_id;
            assert_eq!(status_on(&service.account, other, &tokens.access_token).await, TokenStatus::INVALID);
            for token in ["", "pg1.", "garbage", &"A".repeat(1 << 20), &tokens.refresh_token, &tokens.access_token[1..]] {
                assert_eq!(service.verify(token).await, Ok(NOTHING_ELSE));
            }
        }

        async fn a_good_token_stays_good_while_the_database_is_away(database: TestDatabase) {
            let service = Service::start(database).await;
            let tokens = service.register("ann").await.expect("registered").tokens;
            service.database.close().await;
            assert_eq!(service.status(&tokens.access_token).await, TokenStatus::VALID);
            assert_eq!(service.status("garbage").await, TokenStatus::INVALID);
            let unavailable = ErrorCode::DEPENDENCY_UNAVAILABLE;
            assert_eq!(code(service.refresh(&tokens.refresh_token).await), unavailable);
            assert_eq!(code(service.login("ann", crate::testing::PASSWORD).await), unavailable);
            assert_eq!(code(service.logout(&tokens.access_token, false).await), unavailable);
            assert_eq!(service.status(&tokens.access_token).await, TokenStatus::VALID);
        }

        async fn a_token_of_a_key_not_read_yet_is_an_open_question_and_then_good(database: TestDatabase) {
            let service = Service::start(database).await;
            let behind = service.replica().await;
            let config = crate::testing::config().tokens;
            service.admin().rotate_token_key(&config).await.expect("rotated");
            service.clock.advance(config.key_announce);
            service.account.parts().keys.refresh(&*service.clock).await.expect("read");
            let tokens = service.register("ann").await.expect("registered").tokens;
            let request = || idl::account::VerifyTokenRequest {
                app_id: service.app_id(),
                token: tokens.access_token.clone(),
            };
            let answer = idl::account::AccountService::verify_token(&behind, request()).await;
            assert_eq!(code(crate::testing::public(answer)), ErrorCode::DEPENDENCY_UNAVAILABLE);
            behind.parts().keys.refresh(&*service.clock).await.expect("read");
            assert_eq!(status_on(&behind, service.app_id(), &tokens.access_token).await, TokenStatus::VALID);
        }
    }
}
