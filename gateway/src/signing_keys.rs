//! The public keys that ID tokens are verified with, as account published them last.
//!
//! A copy is used for a few seconds without asking. After that account is asked first, and the copy answers when account
//! can't be: a verifier that gets no keys refuses good tokens, while old keys are wrong about none of the tokens they
//! know. What a copy can't have is a key that was added since, so caches are told to ask again soon, and a copy has an
//! end: a key that was withdrawn must not be published for ever.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use common::error_code::{ErrorCode, PublicError};
use futures_util::future::BoxFuture;
use http::HeaderValue;
use idl::account::{AccountServiceClient, GetSigningKeysRequest, GetSigningKeysResponse, SigningKeyInfo};
use serde::Serialize;
use tokio::{sync::Mutex, time::Instant};
use utoipa::ToSchema;

use crate::upstream::{could_not_tell, within};

/// How long a copy is used without asking again. Bounds what a flood of requests costs account.
const FRESH_FOR: Duration = Duration::from_secs(5);

/// How long a failure to ask answers for the requests that follow, so that an account that hangs holds up one request a
/// second and not all of them.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// What caches are told when account's promise is over: soon, but not at every request.
const SHORTEST_MAX_AGE: Duration = Duration::from_secs(1);

/// Asks account for the keys.
type Ask = Arc<dyn Fn() -> BoxFuture<'static, Result<GetSigningKeysResponse, PublicError>> + Send + Sync>;

/// A JSON Web Key Set (RFC 7517).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JsonWebKeySet {
    keys: Vec<JsonWebKey>,
}

/// A public Ed25519 key (RFC 8037).
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct JsonWebKey {
    /// Always `OKP`.
    kty: &'static str,
    /// Always `Ed25519`.
    crv: &'static str,
    /// Always `EdDSA`.
    alg: &'static str,
    /// Always `sig`.
    #[serde(rename = "use")]
    usage: &'static str,
    /// The key's RFC 7638 thumbprint, as tokens name it in their header.
    kid: String,
    /// The key, base64url.
    x: String,
}

/// The keys, ready to be answered.
#[derive(Debug)]
pub(crate) struct Published {
    /// A [`JsonWebKeySet`].
    pub(crate) document: Bytes,
    /// Made of the key ids, which name their keys completely.
    pub(crate) entity_tag: HeaderValue,
    /// When account was asked.
    asked_at: Instant,
    /// How long from then on account promised that no other key signs.
    complete_for: Duration,
}

/// An attempt to ask that came to nothing.
struct Failure {
    at: Instant,
    error: PublicError,
}

/// The newest copy of the keys, and the way to a newer one.
pub(crate) struct SigningKeys {
    ask: Ask,
    /// How long a copy answers while account can't be asked.
    usable_for: Duration,
    copy: RwLock<Option<Arc<Published>>>,
    /// Held by the one request that asks; how that failed the last time.
    turn: Mutex<Option<Failure>>,
}

impl fmt::Debug for SigningKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKeys").field("copy", &self.copy()).finish_non_exhaustive()
    }
}

impl Published {
    /// How long a cache may keep the answer: as long as account's promise still holds.
    pub(crate) fn max_age(&self) -> Duration {
        self.complete_for.saturating_sub(self.asked_at.elapsed()).max(SHORTEST_MAX_AGE)
    }

    fn new(response: GetSigningKeysResponse, asked_at: Instant) -> Result<Self, PublicError> {
        let ids: Vec<&str> = response.keys.iter().map(|key| key.key_id.as_str()).collect();
        let entity_tag = HeaderValue::from_str(&format!("\"{}\"", ids.join(".")));
        let entity_tag = entity_tag.map_err(|_| PublicError::new(ErrorCode::INTERNAL))?;
        let set = JsonWebKeySet { keys: response.keys.into_iter().map(JsonWebKey::from).collect() };
        let document = serde_json::to_vec(&set).map_err(|_| PublicError::new(ErrorCode::INTERNAL))?.into();
        let complete_for = Duration::from_millis(response.complete_for_ms.max(0).cast_unsigned());
        Ok(Self { document, entity_tag, asked_at, complete_for })
    }
}

impl From<SigningKeyInfo> for JsonWebKey {
    fn from(key: SigningKeyInfo) -> Self {
        let x = URL_SAFE_NO_PAD.encode(&key.public_key);
        Self { kty: "OKP", crv: "Ed25519", alg: "EdDSA", usage: "sig", kid: key.key_id.to_string(), x }
    }
}

impl SigningKeys {
    /// Waits up to `patience` for account; a copy answers for up to `usable_for` when account can't be asked.
    pub(crate) fn new(account: AccountServiceClient, patience: Duration, usable_for: Duration) -> Self {
        let ask: Ask = Arc::new(move || {
            let account = account.clone();
            Box::pin(async move {
                within(patience, account.get_signing_keys(GetSigningKeysRequest {})).await.map_err(could_not_tell)
            })
        });
        Self::asking(ask, usable_for)
    }

    fn asking(ask: Ask, usable_for: Duration) -> Self {
        Self { ask, usable_for, copy: RwLock::new(None), turn: Mutex::new(None) }
    }

    /// The keys; an error only when account can't be asked and no copy is young enough.
    pub(crate) async fn published(&self) -> Result<Arc<Published>, PublicError> {
        if let Some(fresh) = self.fresh() {
            return Ok(fresh);
        }
        let mut failure = self.turn.lock().await;
        // Whoever had the turn before may have brought one.
        if let Some(fresh) = self.fresh() {
            return Ok(fresh);
        }
        if let Some(Failure { at, error }) = &*failure
            && at.elapsed() <= ASK_AGAIN_AFTER
        {
            return self.copy_or(error);
        }
        match self.ask().await {
            Ok(published) => {
                *failure = None;
                Ok(published)
            }
            Err(error) => {
                *failure = Some(Failure { at: Instant::now(), error: error.clone() });
                self.copy_or(&error)
            }
        }
    }

    async fn ask(&self) -> Result<Arc<Published>, PublicError> {
        let asked_at = Instant::now();
        let published = Arc::new(Published::new((self.ask)().await?, asked_at)?);
        *self.copy.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&published));
        Ok(published)
    }

    fn copy_or(&self, error: &PublicError) -> Result<Arc<Published>, PublicError> {
        self.copy_no_older_than(self.usable_for).ok_or_else(|| error.clone())
    }

    /// The copy, if it is new and account's promise holds.
    fn fresh(&self) -> Option<Arc<Published>> {
        self.copy().filter(|copy| copy.asked_at.elapsed() <= FRESH_FOR.min(copy.complete_for))
    }

    fn copy_no_older_than(&self, age: Duration) -> Option<Arc<Published>> {
        self.copy().filter(|copy| copy.asked_at.elapsed() <= age)
    }

    fn copy(&self) -> Option<Arc<Published>> {
        self.copy.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

    use futures_util::future::join_all;

    use super::*;

    const USABLE_FOR: Duration = Duration::from_secs(3600);
    const COMPLETE_FOR: Duration = Duration::from_secs(300);

    /// Account, as far as this module sees it.
    #[derive(Default)]
    struct Account {
        away: AtomicBool,
        asked: AtomicUsize,
        keys: AtomicUsize,
    }

    impl Account {
        fn answer(&self) -> Result<GetSigningKeysResponse, PublicError> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            if self.away.load(Ordering::Relaxed) {
                return Err(PublicError::unavailable(Duration::from_secs(1)));
            }
            let key = |number: usize| SigningKeyInfo {
                key_id: format!("key-{number}").into(),
                public_key: vec![1; 32].into(),
            };
            let keys = (0..=self.keys.load(Ordering::Relaxed)).map(key).collect();
            Ok(GetSigningKeysResponse { keys, complete_for_ms: COMPLETE_FOR.as_millis().try_into().expect("small") })
        }

        fn asked(&self) -> usize {
            self.asked.load(Ordering::Relaxed)
        }
    }

    fn signing_keys() -> (Arc<Account>, SigningKeys) {
        let account = Arc::new(Account::default());
        let asked = Arc::clone(&account);
        let ask: Ask = Arc::new(move || {
            let account = Arc::clone(&asked);
            Box::pin(async move {
                tokio::task::yield_now().await;
                account.answer()
            })
        });
        (account, SigningKeys::asking(ask, USABLE_FOR))
    }

    async fn document(keys: &SigningKeys) -> String {
        let published = keys.published().await.expect("keys");
        String::from_utf8(published.document.to_vec()).expect("UTF-8")
    }

    #[tokio::test(start_paused = true)]
    async fn the_document_is_a_json_web_key_set_of_public_keys() {
        let (_, keys) = signing_keys();
        let x = URL_SAFE_NO_PAD.encode([1; 32]);
        let expected = format!(
            r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","alg":"EdDSA","use":"sig","kid":"key-0","x":"{x}"}}]}}"#
        );
        assert_eq!(document(&keys).await, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_asks_account_once_and_a_new_key_is_seen_seconds_later() {
        let (account, keys) = signing_keys();
        assert!(join_all((0..50).map(|_| keys.published())).await.iter().all(Result::is_ok));
        assert_eq!(account.asked(), 1);
        let first = keys.published().await.expect("keys").entity_tag.clone();
        account.keys.store(1, Ordering::Relaxed);
        tokio::time::advance(FRESH_FOR + Duration::from_millis(1)).await;
        assert!(document(&keys).await.contains("key-1"));
        assert_ne!(keys.published().await.expect("keys").entity_tag, first);
    }

    #[tokio::test(start_paused = true)]
    async fn while_account_is_away_the_last_keys_are_published_up_to_a_bound() {
        let (account, keys) = signing_keys();
        keys.published().await.expect("keys");
        account.away.store(true, Ordering::Relaxed);
        tokio::time::advance(USABLE_FOR).await;
        assert!(document(&keys).await.contains("key-0"));
        tokio::time::advance(ASK_AGAIN_AFTER * 2).await;
        let refused = keys.published().await.expect_err("too old");
        assert_eq!(refused.http_status(), 503);
        account.away.store(false, Ordering::Relaxed);
        tokio::time::advance(ASK_AGAIN_AFTER * 2).await;
        assert!(keys.published().await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn an_account_that_is_away_is_asked_once_a_second_however_many_want_the_keys() {
        let (account, keys) = signing_keys();
        account.away.store(true, Ordering::Relaxed);
        assert!(join_all((0..50).map(|_| keys.published())).await.iter().all(Result::is_err));
        assert_eq!(account.asked(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn caches_may_keep_the_keys_as_long_as_no_other_can_sign() {
        let (account, keys) = signing_keys();
        assert_eq!(keys.published().await.expect("keys").max_age(), COMPLETE_FOR);
        account.away.store(true, Ordering::Relaxed);
        tokio::time::advance(Duration::from_secs(100)).await;
        assert_eq!(keys.published().await.expect("keys").max_age(), Duration::from_secs(200));
        tokio::time::advance(COMPLETE_FOR).await;
        assert_eq!(keys.published().await.expect("keys").max_age(), SHORTEST_MAX_AGE);
    }
}
