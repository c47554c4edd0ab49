//! What goes wrong, as callers see it, and the only table code → HTTP status → retry.
//!
//! A [`PublicError`] holds nothing but what may leave the process: a code, a text that is safe to show to a player,
//! the offending fields, and when to come back. Internal texts stay in the errors of each service and in the log.

use std::{fmt, time::Duration};

use govern::rate_limit_headers;
pub use idl::common::ErrorCode;
use volo::FastStr;

use crate::clock::{Random, jittered};

/// How long a caller is asked to wait when a refusal is retryable and names no time of its own.
pub const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(1);

/// A retry hint is spread by this share, so that refused callers do not return at one moment.
pub const RETRY_JITTER_SHARE: f64 = 0.25;

/// Whose turn it is after a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The same request will be refused again: the caller has to change something.
    Caller,
    /// The same request may succeed later: the answer carries a time to ask again.
    Moment,
    /// A fault of ours.
    Us,
}

/// What a code means.
#[derive(Clone, Copy, Debug)]
pub struct Meaning {
    /// Shown when the refusal has no better text. Safe for players.
    pub message: &'static str,
    /// Whose turn it is.
    pub blame: Blame,
}

/// The table. A code without a row is a code this version does not know; it is treated as an internal fault.
pub fn meaning(code: ErrorCode) -> Meaning {
    use Blame::{Caller, Moment, Us};
    use ErrorCode as C;
    let (message, blame) = match code {
        C::OK => ("ok", Caller),
        C::ACCEPTED => ("accepted", Caller),
        C::INVALID_ARGUMENT => ("a field has a value that is not allowed", Caller),
        C::MALFORMED_BODY => ("the body could not be read", Caller),
        C::MISSING_CREDENTIALS => ("credentials are missing or malformed", Caller),
        C::BAD_SIGNATURE => ("the signature does not match", Caller),
        C::STALE_TIMESTAMP => ("the timestamp is outside the allowed window", Caller),
        C::NONCE_REPLAYED => ("the nonce was used before", Caller),
        C::WRONG_CREDENTIALS => ("wrong username or password", Caller),
        C::TOKEN_INVALID => ("the token is invalid", Caller),
        C::TOKEN_EXPIRED => ("the token has expired", Caller),
        C::TOKEN_REVOKED => ("the token was revoked", Caller),
        C::REFRESH_TOKEN_REUSED => ("the refresh token was used before; the session was signed out", Caller),
        C::WRONG_CODE => ("the code is wrong or has expired", Caller),
        C::FORBIDDEN => ("this is not allowed", Caller),
        C::ACCOUNT_BANNED => ("the account is banned", Caller),
        C::ACCOUNT_PENDING_DELETION => ("the account is about to be deleted", Caller),
        C::LOGIN_KIND_DISABLED => ("this way to sign in is disabled", Caller),
        C::APP_DISABLED => ("the app is disabled", Caller),
        C::PARTNER_DISABLED => ("the partner is disabled", Caller),
        C::DEVICE_LIMIT_REACHED => ("too many devices are signed in to this account", Caller),
        C::NO_SUCH_ROUTE => ("there is no such route", Caller),
        C::NO_SUCH_ACCOUNT => ("there is no such account", Caller),
        C::NO_SUCH_PARTNER => ("there is no such partner", Caller),
        C::NO_SUCH_APP => ("there is no such app", Caller),
        C::NO_SUCH_SETTING => ("there is no such setting", Caller),
        C::NO_SUCH_ORDER => ("there is no such order", Caller),
        C::NO_SUCH_PAYMENT_CHANNEL => ("there is no such payment channel", Caller),
        C::NO_SUCH_PRODUCT => ("there is no such product", Caller),
        C::METHOD_NOT_ALLOWED => ("this route does not have that method", Caller),
        C::USERNAME_TAKEN => ("the username is taken", Caller),
        C::CREDENTIAL_ALREADY_LINKED => ("the credential belongs to another account", Caller),
        C::PARTNER_TAKEN => ("there is a partner of this name already", Caller),
        C::APP_ID_TAKEN => ("there is an app of this id already", Caller),
        C::SETTINGS_CHANGED => ("the settings were changed meanwhile", Caller),
        C::IDEMPOTENCY_KEY_REUSED => ("the idempotency key was used with another body", Caller),
        C::BODY_TOO_LARGE => ("the body is too large", Caller),
        C::UNSUPPORTED_MEDIA_TYPE => ("the content type is not supported here", Caller),
        C::ORDER_STATE_FORBIDS => ("the order's state does not allow this", Caller),
        C::INSUFFICIENT_BALANCE => ("the wallet does not hold that much", Caller),
        C::TOO_MANY_FAILED_LOGINS => ("too many failed logins", Moment),
        C::RATE_LIMITED_ADDRESS => ("too many requests from this address", Moment),
        C::RATE_LIMITED_SUBJECT => ("too many requests for this account or device", Moment),
        C::RATE_LIMITED_APP => ("the app's quota is used up", Moment),
        C::OVERLOADED => ("the platform is busy, try again shortly", Moment),
        C::DEPENDENCY_UNAVAILABLE => ("a part of the platform is unavailable, try again shortly", Moment),
        C::SHUTTING_DOWN => ("this instance is shutting down, try again", Moment),
        C::MAINTENANCE => ("the game is under maintenance", Moment),
        C::DEADLINE_EXCEEDED => ("the request took too long", Us),
        _ => ("something went wrong on our side", Us),
    };
    Meaning { message, blame }
}

/// The HTTP status of a code: its first three digits. A number outside 100-599 is an internal fault (500).
pub fn http_status(code: ErrorCode) -> u16 {
    u16::try_from(code.inner() / 10_000).ok().filter(|status| (100..600).contains(status)).unwrap_or(500)
}

/// A refusal or fault as the outside sees it. Crosses RPC as a business error and HTTP as the envelope.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicError {
    /// What happened.
    pub code: ErrorCode,
    /// Safe to show to a player.
    pub message: FastStr,
    /// Field → reason, in the order they were found.
    pub details: Vec<(FastStr, FastStr)>,
    /// When to ask again, if the code's row or the place of refusal knows.
    pub retry_after: Option<Duration>,
    /// The limit that is used up, as the fields `RateLimit-Policy` and `RateLimit` tell it. Then `retry_after` is
    /// spread already and exact. It stays in the process that refused: a business error does not carry it.
    pub limit: Option<Box<rate_limit_headers::Fields>>,
}

impl PublicError {
    /// The error with its table text.
    pub fn new(code: ErrorCode) -> Self {
        let message = FastStr::from_static_str(meaning(code).message);
        Self { code, message, details: Vec::new(), retry_after: None, limit: None }
    }

    /// An [`ErrorCode::INVALID_ARGUMENT`] that names the field and the reason.
    pub fn invalid(field: impl Into<FastStr>, reason: impl Into<FastStr>) -> Self {
        Self::new(ErrorCode::INVALID_ARGUMENT).detail(field, reason)
    }

    /// A fault of ours. The cause belongs in the log, not here.
    pub fn internal() -> Self {
        Self::new(ErrorCode::INTERNAL)
    }

    /// A dependency did not answer: the question is open, ask again after `retry_after`.
    pub fn unavailable(retry_after: Duration) -> Self {
        Self::new(ErrorCode::DEPENDENCY_UNAVAILABLE).retry_after(retry_after)
    }

    /// Adds a field and what is wrong with it.
    #[must_use]
    pub fn detail(mut self, field: impl Into<FastStr>, reason: impl Into<FastStr>) -> Self {
        self.details.push((field.into(), reason.into()));
        self
    }

    /// Replaces the text.
    #[must_use]
    pub fn message(mut self, message: impl Into<FastStr>) -> Self {
        self.message = message.into();
        self
    }

    /// Says when to ask again.
    #[must_use]
    pub fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// Names the limit that is used up, and when exactly to ask again.
    #[must_use]
    pub fn limited(self, fields: rate_limit_headers::Fields, after: Duration) -> Self {
        Self { limit: Some(Box::new(fields)), retry_after: Some(after), ..self }
    }

    /// The HTTP status this error is answered with.
    pub fn http_status(&self) -> u16 {
        http_status(self.code)
    }

    /// The time to ask again as it is answered: jittered, except the end of a lock, which is known and which one player
    /// waits for, and that of a limit, which nobody may be told earlier; always there for 423, 429 and 503 (for 504 the answer adds one), otherwise
    /// only if known.
    pub fn retry_hint(&self, random: &dyn Random) -> Option<Duration> {
        let needed = meaning(self.code).blame == Blame::Moment;
        let base = self.retry_after.or_else(|| needed.then_some(DEFAULT_RETRY_AFTER))?;
        if self.code == ErrorCode::TOO_MANY_FAILED_LOGINS || self.limit.is_some() {
            return Some(base);
        }
        Some(jittered(base, RETRY_JITTER_SHARE, random))
    }
}

impl fmt::Debug for PublicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PublicError")
            .field("code", &self.code.inner())
            .field("message", &self.message)
            .field("details", &self.details)
            .field("retry_after", &self.retry_after)
            .finish()
    }
}

impl fmt::Display for PublicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.code.inner(), self.message)
    }
}

impl std::error::Error for PublicError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::testing::SeededRandom;

    #[test]
    fn every_code_carries_its_http_status_in_its_first_digits() {
        assert_eq!(http_status(ErrorCode::OK), 200);
        assert_eq!(http_status(ErrorCode::TOO_MANY_FAILED_LOGINS), 423);
        assert_eq!(http_status(ErrorCode::DEADLINE_EXCEEDED), 504);
        assert_eq!(http_status(ErrorCode::from(17)), 500);
    }

    #[test]
    fn a_refusal_of_the_moment_always_says_when_to_come_back() {
        let random = SeededRandom::new(1);
        for code in [ErrorCode::RATE_LIMITED_APP, ErrorCode::OVERLOADED, ErrorCode::SHUTTING_DOWN] {
            let hint = PublicError::new(code).retry_hint(&random);
            assert!(hint.is_some_and(|hint| hint >= DEFAULT_RETRY_AFTER.mul_f64(0.74)), "{hint:?}");
        }
        let lock = PublicError::new(ErrorCode::TOO_MANY_FAILED_LOGINS).retry_after(Duration::from_secs(60));
        assert_eq!(lock.retry_hint(&random), Some(Duration::from_secs(60)), "to the moment");
        assert_eq!(PublicError::new(ErrorCode::TOKEN_INVALID).retry_hint(&random), None);
    }
}
