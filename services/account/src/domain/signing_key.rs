//! The keys that sign ID tokens: Ed25519 (RFC 8032), as JSON Web Keys of type OKP (RFC 8037).

use std::fmt;

use aws_lc_rs::{
    digest::{SHA256, digest},
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use common::clock::Timestamp;

use super::key_rotation::{Pace, Scheduled};

/// Bytes of the secret that a key is made of.
pub(crate) const SEED_LENGTH: usize = 32;

/// One key.
pub(crate) struct SigningKey {
    schedule: Scheduled,
    key_id: String,
    pair: Ed25519KeyPair,
}

/// Every key that signs, will sign or has signed, oldest first; never empty.
#[derive(Debug)]
pub(crate) struct SigningKeys(Vec<SigningKey>);

impl SigningKey {
    #[expect(clippy::expect_used, reason = "fails only for a seed of another length, which the type rules out")]
    pub(crate) fn new(schedule: Scheduled, seed: &[u8; SEED_LENGTH]) -> Self {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).expect("the seed has 32 bytes");
        Self { schedule, key_id: thumbprint(pair.public_key().as_ref()), pair }
    }

    /// The key's name in a JWKS and in the tokens it signs: its thumbprint, so that a name can never mean another key.
    pub(crate) fn key_id(&self) -> &str {
        &self.key_id
    }

    /// 32 bytes.
    pub(crate) fn public_key(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    /// 64 bytes. Takes some tens of microseconds: nothing beside a sign-in, too much for a token check.
    pub(super) fn sign(&self, message: &[u8]) -> impl AsRef<[u8]> + use<> {
        self.pair.sign(message)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("key_id", &self.key_id).field("schedule", &self.schedule).finish()
    }
}

impl SigningKeys {
    /// `None` for no keys at all.
    pub(crate) fn new(mut keys: Vec<SigningKey>) -> Option<Self> {
        keys.sort_by_key(|key| key.schedule.number);
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// The key that signs: the newest whose time has come. With a clock that is behind all of them, the oldest.
    pub(crate) fn signing(&self, now: Timestamp) -> &SigningKey {
        self.0.iter().rev().find(|key| key.schedule.signs_from <= now).unwrap_or(&self.0[0])
    }

    /// The keys that a verifier needs, oldest first: those whose tokens may be alive, and those that will sign soon.
    pub(crate) fn published(&self, pace: Pace, now: Timestamp) -> impl Iterator<Item = &SigningKey> {
        let successors = self.0.iter().skip(1).map(Some).chain([None]);
        self.0.iter().zip(successors).filter_map(move |(key, successor)| {
            let is_over = successor.is_some_and(|successor| pace.is_over(successor.schedule.signs_from, now));
            (!is_over).then_some(key)
        })
    }
}

/// RFC 7638, with the members that RFC 8037 section 2 names for keys of type OKP.
fn thumbprint(public_key: &[u8]) -> String {
    let x = URL_SAFE_NO_PAD.encode(public_key);
    let members = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#);
    URL_SAFE_NO_PAD.encode(digest(&SHA256, members.as_bytes()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// RFC 8037, appendix A.
    const SEED: &str = "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A";
    const PUBLIC: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";
    const THUMBPRINT: &str = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
    const SIGNED: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc";
    const SIGNATURE: &str = "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";

    fn key(number: u32, signs_from: i64) -> SigningKey {
        let byte = u8::try_from(number).expect("small");
        SigningKey::new(Scheduled { number, signs_from: Timestamp::from_millis(signs_from) }, &[byte; SEED_LENGTH])
    }

    fn keys(signs_from: &[i64]) -> SigningKeys {
        let mut keys: Vec<SigningKey> = (1..).zip(signs_from).map(|(number, from)| key(number, *from)).collect();
        keys.reverse();
        SigningKeys::new(keys).expect("not empty")
    }

    #[test]
    fn the_example_of_rfc_8037_comes_out_the_same() {
        let seed: [u8; SEED_LENGTH] = URL_SAFE_NO_PAD.decode(SEED).expect("base64").try_into().expect("32 bytes");
        let key = SigningKey::new(Scheduled { number: 1, signs_from: Timestamp::from_millis(0) }, &seed);
        assert_eq!(URL_SAFE_NO_PAD.encode(key.public_key()), PUBLIC);
        assert_eq!(key.key_id(), THUMBPRINT);
        assert_eq!(URL_SAFE_NO_PAD.encode(key.sign(SIGNED.as_bytes())), SIGNATURE);
    }

    #[test]
    fn the_newest_key_signs_once_its_time_has_come() {
        let keys = keys(&[50, 100]);
        let signs_at = |now| keys.signing(Timestamp::from_millis(now)).schedule.number;
        assert_eq!([10, 50, 99, 100].map(signs_at), [1, 1, 1, 2], "a clock that is behind finds a key, too");
    }

    #[test]
    fn a_key_is_published_before_it_signs_and_until_its_last_token_has_expired() {
        let pace = Pace { announce: Duration::from_millis(10), longest_token: Duration::from_millis(100) };
        let keys = keys(&[0, 100, 200]);
        let published = |now| {
            let published = keys.published(pace, Timestamp::from_millis(now));
            published.map(|key| key.schedule.number).collect::<Vec<_>>()
        };
        assert_eq!(published(90), [1, 2, 3]);
        assert_eq!(published(209), [1, 2, 3]);
        assert_eq!(published(210), [2, 3]);
        assert_eq!(published(1_000_000), [3]);
    }

    #[test]
    fn the_secret_does_not_print() {
        let printed = format!("{:?}", key(7, 0));
        assert!(printed.contains("key_id") && !printed.contains("7, 7") && !printed.contains("0707"), "{printed}");
    }
}
