//! The published keys that pushes are signed with, kept by the place they are published at.
//!
//! A push whose key is known is judged from memory. One whose key is not known is refused only after a fetch that began after
//! the push came: until then it may be signed with a key that is newer than what is kept. While Google is away the keys there
//! are stay in use, up to a bound.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use bytes::Bytes;
use common::clock::Timestamp;
use http::{HeaderMap, Request, header};
use moka::sync::Cache;
use tokio::sync::{Mutex, MutexGuard};

use super::{caller::Google, caller::Unavailable, metrics::Call};
use crate::channels::IssuerKeys;

/// Keys are kept for this long at least: a place that forbids keeping them would be asked for every push.
const FRESH_AT_LEAST: Duration = Duration::from_secs(60);

/// Places that are remembered: one, but for tests and proxies. Protects memory.
const CAPACITY: u64 = 1000;

/// The keys of every place. Cheap to clone.
#[derive(Clone)]
pub(super) struct PublishedKeys(Cache<String, Arc<Place>>);

#[derive(Default)]
struct Place {
    held: RwLock<Option<Arc<Held>>>,
    /// When the last fetch began, whatever came of it. Held while fetching, so that one fetch runs at a time.
    last_fetch: Mutex<Option<Timestamp>>,
}

struct Held {
    keys: IssuerKeys,
    /// When the fetch began that brought them.
    asked_at: Timestamp,
    fresh_until: Timestamp,
}

impl Google {
    /// The keys at a place; those there are while they can't be fetched again.
    pub(crate) async fn keys(&self, url: &str) -> Result<IssuerKeys, Unavailable> {
        let (place, now) = (self.keys.place(url), self.clock.now());
        let held = place.held().filter(|held| now < held.fresh_until + self.config.keys_stale_max);
        if let Some(held) = held {
            self.keep_fresh(&place, url, &held, now).await;
            return Ok(place.held().unwrap_or(held).keys.clone());
        }
        let mut turn = place.last_fetch.lock().await;
        // Somebody who waited as well may have brought them.
        match place.held().filter(|held| now < held.fresh_until) {
            Some(held) => Ok(held.keys.clone()),
            None => Ok(self.fetch(&place, url, &mut turn).await?.keys.clone()),
        }
    }

    /// The keys as they were at `since` or later: for a push of then whose key is not among those there are.
    pub(crate) async fn newer_keys(&self, url: &str, since: Timestamp) -> Result<IssuerKeys, Unavailable> {
        let place = self.keys.place(url);
        let mut turn = place.last_fetch.lock().await;
        match place.held().filter(|held| held.asked_at >= since) {
            Some(held) => Ok(held.keys.clone()),
            None => Ok(self.fetch(&place, url, &mut turn).await?.keys.clone()),
        }
    }

    /// Fetches keys that are no longer fresh. One push waits for it; the others go on with what there is. So does that one if
    /// it fails.
    async fn keep_fresh(&self, place: &Place, url: &str, held: &Held, now: Timestamp) {
        if now < held.fresh_until {
            return;
        }
        let Ok(mut turn) = place.last_fetch.try_lock() else { return };
        if turn.is_some_and(|last| now < last + self.config.keys_refetch_after) {
            return;
        }
        if let Err(error) = self.fetch(place, url, &mut turn).await {
            tracing::warn!(%error, "the keys that pushes are signed with could not be fetched again; the ones there are stay in use");
        }
    }

    async fn fetch(
        &self,
        place: &Place,
        url: &str,
        turn: &mut MutexGuard<'_, Option<Timestamp>>,
    ) -> Result<Arc<Held>, Unavailable> {
        let asked_at = self.clock.now();
        if turn.is_some_and(|last| asked_at < last + self.config.keys_refetch_after) {
            return Err(Unavailable::new(
                "the keys were asked for a moment ago, and the one of this push did not come",
            ));
        }
        **turn = Some(asked_at);
        let request = Request::get(url).body(Bytes::new()).map_err(|_| Unavailable::new("no URL of keys"))?;
        let answer = self.exchange(Call::Keys, request).await?;
        if answer.status() != http::StatusCode::OK {
            return Err(Unavailable::new(format!("the keys can't be had: status {}", answer.status().as_u16())));
        }
        let keys = IssuerKeys::parse(answer.body())
            .map_err(|error| Unavailable::new(format!("the keys can't be had: the answer {error}")))?;
        let fresh_max = self.config.keys_fresh_max;
        let lifetime = max_age(answer.headers()).unwrap_or(fresh_max).min(fresh_max).max(FRESH_AT_LEAST);
        let held = Arc::new(Held { keys, asked_at, fresh_until: asked_at + lifetime });
        *place.held.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&held));
        Ok(held)
    }
}

impl PublishedKeys {
    pub(super) fn new() -> Self {
        Self(Cache::builder().max_capacity(CAPACITY).build())
    }

    fn place(&self, url: &str) -> Arc<Place> {
        self.0.get_with_by_ref(url, Arc::default)
    }
}

impl Place {
    fn held(&self) -> Option<Arc<Held>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl fmt::Debug for PublishedKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PublishedKeys").field(&self.0.entry_count()).finish()
    }
}

/// `Cache-Control: max-age` (RFC 9111); zero if it may not be kept at all.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let lines = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|line| line.to_str().ok());
    let directives: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    if directives.iter().any(|it| it.eq_ignore_ascii_case("no-store") || it.eq_ignore_ascii_case("no-cache")) {
        return Some(Duration::ZERO);
    }
    let seconds = |directive: &&str| {
        let (name, value) = directive.split_once('=')?;
        name.eq_ignore_ascii_case("max-age").then(|| value.trim_matches('"').parse().ok())?
    };
    directives.iter().find_map(seconds).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn google_says_for_how_long_its_keys_may_be_kept() {
        for (line, expected) in [
            ("public, max-age=19845, must-revalidate, no-transform", Some(19_845)),
            ("Max-Age=\"60\"", Some(60)),
            ("no-cache, max-age=60", Some(0)),
            ("public", None),
            ("max-age=soon", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(line));
            assert_eq!(max_age(&headers), expected.map(Duration::from_secs), "{line}");
        }
    }
}
