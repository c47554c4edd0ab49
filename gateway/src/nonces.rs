//! Nonces of changing requests, remembered in the state that all gateways share.

use std::{fmt, sync::Arc, time::Duration};

use common::{error_code::PublicError, http::NonceStore, shared::SharedState};
use futures_util::future::BoxFuture;

/// How long a caller waits before it asks again when the shared state could not be asked.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// Remembers each nonce once for the whole platform.
pub(crate) struct SharedNonces(pub(crate) Arc<dyn SharedState>);

impl fmt::Debug for SharedNonces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedNonces").finish_non_exhaustive()
    }
}

impl NonceStore for SharedNonces {
    fn first_use<'a>(
        &'a self,
        app_id: i64,
        nonce: &'a str,
        lifetime: Duration,
    ) -> BoxFuture<'a, Result<bool, PublicError>> {
        Box::pin(async move {
            let key = format!("nonce:{app_id}:{nonce}");
            // Whoever cannot remember a nonce cannot promise to accept it once: the caller is asked to come back.
            self.0.set_if_absent(&key, lifetime).await.map_err(|error| {
                tracing::warn!(%error, "a nonce could not be remembered");
                PublicError::unavailable(ASK_AGAIN_AFTER)
            })
        })
    }
}
