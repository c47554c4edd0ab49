//! The section `account.id_token`.

use std::time::Duration;

use common::config::Invalid;
use serde::{Deserialize, Serialize};

use super::{FollowConfig, TokenConfig, at_least};
use crate::domain::key_rotation::Pace;

/// A longer issuer would only make tokens that no header can carry.
const LONGEST_ISSUER_BYTES: usize = 512;

/// Longer, and an ID token says more about the past than about a player.
const LONGEST_TTL: Duration = Duration::from_secs(30 * 24 * 3600);

/// ID tokens: what game servers verify offline.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct IdTokenConfig {
    /// Gives players of every app an ID token at sign-in, whatever the app's own policy says.
    pub for_every_app: bool,
    /// The `iss` of ID tokens: the URL under which the public knows this platform. Verifiers compare it letter by letter,
    /// so choose it before the first token is issued.
    pub issuer: String,
    /// Lifetime of an ID token. Absent: that of the access token beside it. A revocation does not reach an ID token, so
    /// this is how long a player who was signed out still passes an offline check. At most 30 days.
    #[serde(with = "humantime_serde")]
    pub ttl: Option<Duration>,
    /// How long verifiers and caches may keep the published keys.
    #[serde(with = "humantime_serde")]
    pub keys_max_age: Duration,
    /// A new key is published this long before it signs, so that every verifier has it by then: longer than
    /// `keys_max_age` and twice `follow.keys_every` together.
    #[serde(with = "humantime_serde")]
    pub key_announce: Duration,
}

impl Default for IdTokenConfig {
    fn default() -> Self {
        Self {
            for_every_app: false,
            issuer: "http://127.0.0.1:8080".to_owned(),
            ttl: None,
            keys_max_age: Duration::from_secs(5 * 60),
            key_announce: Duration::from_secs(15 * 60),
        }
    }
}

impl IdTokenConfig {
    /// Whether the issuer is another one than the default, which only this machine knows.
    pub(crate) fn has_chosen_issuer(&self) -> bool {
        self.issuer != Self::default().issuer
    }

    /// The schedule of the keys.
    pub(crate) fn pace(&self, tokens: &TokenConfig) -> Pace {
        Pace { announce: self.key_announce, longest_token: self.ttl.unwrap_or(tokens.access_ttl_max) }
    }

    pub(super) fn validate(&self, follow: &FollowConfig) -> Result<(), Invalid> {
        let rest = self.issuer.strip_prefix("https://").or_else(|| self.issuer.strip_prefix("http://"));
        let is_url = rest.is_some_and(|rest| {
            !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#\"\\".contains(&byte))
        });
        if !is_url || self.issuer.len() > LONGEST_ISSUER_BYTES {
            return Err(Invalid::new(
                "id_token.issuer",
                "must be an http or https URL without query or fragment, at most 512 bytes",
            ));
        }
        if let Some(ttl) = self.ttl {
            at_least("id_token.ttl", ttl, Duration::from_secs(1))?;
            if ttl > LONGEST_TTL {
                return Err(Invalid::new("id_token.ttl", "must not be longer than 30 days"));
            }
        }
        at_least("id_token.keys_max_age", self.keys_max_age, Duration::from_secs(1))?;
        if self.keys_max_age + follow.keys_every * 2 > self.key_announce {
            return Err(Invalid::new(
                "id_token.key_announce",
                "must not be shorter than id_token.keys_max_age and twice follow.keys_every together",
            ));
        }
        Ok(())
    }
}
