//! The published keys of an OpenID provider, kept.
//!
//! A token whose key is known is judged from memory. One whose key is not known is refused only after a look at the issuer
//! that began after the token came: until then it may be signed with a key that is newer than what is kept. While the
//! issuer is away the keys there are stay in use, up to a bound.

use std::{sync::Arc, time::Duration};

use arc_swap::ArcSwapOption;
use common::clock::Timestamp;
use http::{HeaderMap, header};
use tokio::sync::{Mutex, MutexGuard};

use super::{CouldNotTell, Outside, RETRY_AFTER, gate::Gate, question};
use crate::domain::channel::{Judgement, jwk::KeySet};

/// Keys are kept for this long at least: an issuer that forbids keeping them would be asked at every sign-in.
const FRESH_AT_LEAST: Duration = Duration::from_secs(60);

/// What is known of one issuer.
#[derive(Debug, Default)]
pub(super) struct IssuerKeys {
    held: ArcSwapOption<Held>,
    /// When the last fetch began, whatever came of it. Held while fetching, so that one fetch runs at a time.
    last_fetch: Mutex<Option<Timestamp>>,
}

#[derive(Debug)]
struct Held {
    keys: KeySet,
    /// When the fetch began that brought them.
    asked_at: Timestamp,
    fresh_until: Timestamp,
}

impl IssuerKeys {
    /// What `judge` makes of a token by the keys there are, or by newer ones if it takes them.
    pub(super) async fn judge(
        &self,
        outside: &Outside,
        jwks_uri: &str,
        gate: &Gate,
        judge: impl Fn(&KeySet, Timestamp) -> Judgement,
    ) -> Result<Judgement, CouldNotTell> {
        let now = outside.clock.now();
        let held = self.held.load_full().filter(|held| now < held.fresh_until + outside.config.keys_stale_max);
        if let Some(held) = held {
            self.keep_fresh(outside, jwks_uri, &held, now).await;
            let held = self.held.load_full().unwrap_or(held);
            let judgement = judge(&held.keys, now);
            if !matches!(judgement, Judgement::Unclear(_)) {
                return Ok(judgement);
            }
        }
        // Anybody can make tokens of unknown keys: those who wait for the issuer are no more than may wait for any channel.
        let _place = gate.enter(outside.config.concurrency.get())?;
        let mut turn = self.last_fetch.lock().await;
        let newest = match self.held.load_full().filter(|held| held.asked_at >= now) {
            // Somebody who waited as well has brought them.
            Some(newest) => newest,
            None => self.fetch(outside, jwks_uri, &mut turn).await?,
        };
        drop(turn);
        Ok(match judge(&newest.keys, now) {
            Judgement::Unclear(_) => Judgement::WrongCredential,
            judgement => judgement,
        })
    }

    /// Fetches keys that are no longer fresh. One token waits for it, at most as long as a channel may take; the others go
    /// on with what there is. So does that one if it fails.
    async fn keep_fresh(&self, outside: &Outside, jwks_uri: &str, held: &Held, now: Timestamp) {
        if now < held.fresh_until {
            return;
        }
        let Ok(mut turn) = self.last_fetch.try_lock() else { return };
        if turn.is_some_and(|last| now < last + outside.config.keys_refetch_after) {
            return;
        }
        if let Err(CouldNotTell { reason, .. }) = self.fetch(outside, jwks_uri, &mut turn).await {
            tracing::warn!(reason, "an issuer's keys could not be fetched again; the ones there are stay in use");
        }
    }

    async fn fetch(
        &self,
        outside: &Outside,
        jwks_uri: &str,
        turn: &mut MutexGuard<'_, Option<Timestamp>>,
    ) -> Result<Arc<Held>, CouldNotTell> {
        let asked_at = outside.clock.now();
        let next = turn.map(|last| last + outside.config.keys_refetch_after);
        if let Some(next) = next.filter(|next| asked_at < *next) {
            let reason = "its keys were asked for a moment ago, and no key for this token came".to_owned();
            return Err(CouldNotTell { reason, retry_after: next.since(asked_at) });
        }
        **turn = Some(asked_at);
        let keys = read(outside, jwks_uri).await.map_err(|reason| CouldNotTell {
            reason: format!("its keys can't be had: {reason}"),
            retry_after: RETRY_AFTER,
        })?;
        let (keys, lifetime) = keys;
        let lifetime = lifetime.unwrap_or(Duration::MAX).min(outside.config.keys_fresh_max).max(FRESH_AT_LEAST);
        let held = Arc::new(Held { keys, asked_at, fresh_until: asked_at + lifetime });
        self.held.store(Some(Arc::clone(&held)));
        Ok(held)
    }
}

/// The keys that the issuer publishes now, and for how long it says they may be kept.
async fn read(outside: &Outside, jwks_uri: &str) -> Result<(KeySet, Option<Duration>), String> {
    let request = question::get(jwks_uri).ok_or("its URL can't be called")?;
    let answer = outside.exchange(request).await.map_err(|failure| failure.could_not_tell.reason)?;
    if answer.status() != http::StatusCode::OK {
        return Err(format!("it answered {}", answer.status().as_u16()));
    }
    let lifetime = max_age(answer.headers());
    // A set without keys is not believed: nobody can sign with it.
    let keys = KeySet::parse(answer.body()).map_err(|reason| format!("its answer {reason}"))?;
    Ok((keys, lifetime))
}

/// `Cache-Control: max-age` (RFC 9111); zero if it may not be kept at all.
fn max_age(headers: &HeaderMap) -> Option<Duration> {
    let lines = headers.get_all(header::CACHE_CONTROL).iter().filter_map(|line| line.to_str().ok());
    let directives: Vec<&str> = lines.flat_map(|line| line.split(',')).map(str::trim).collect();
    if directives
        .iter()
        .any(|directive| directive.eq_ignore_ascii_case("no-store") || directive.eq_ignore_ascii_case("no-cache"))
    {
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
    fn the_issuer_says_for_how_long_its_keys_may_be_kept() {
        for (line, expected) in [
            ("public, max-age=19845, must-revalidate", Some(19_845)),
            ("Max-Age=\"60\"", Some(60)),
            ("no-cache, max-age=60", Some(0)),
            ("no-store", Some(0)),
            ("public", None),
            ("max-age=soon", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(line));
            assert_eq!(max_age(&headers), expected.map(Duration::from_secs), "{line}");
        }
    }
}
