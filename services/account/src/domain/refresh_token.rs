//! The refresh token: proves a session and is exchanged for a successor each time it is used.
//!
//! `pgr1.` + base64url without padding of
//! session id (16 bytes) | generation (4, big endian) | secret (32) | mac (16).
//!
//! The mac is HMAC-SHA256 under a key derived from the master key, cut to 16 bytes (RFC 2104, section 5). It refuses
//! garbage before any look-up, and it makes a token that is ours but no longer current provably a *reused* one.
//! Only the SHA-256 of a token is stored.

use std::fmt;

use aws_lc_rs::{
    digest,
    hkdf::{HKDF_SHA256, Salt},
    hmac,
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{
    cipher::{Cipher, NONCE_LENGTH, TAG_LENGTH},
    ids::SessionId,
    master_key::expand,
};

const PREFIX: &str = "pgr1.";
/// The length of a sealed successor.
pub(crate) const SEALED_SUCCESSOR_LENGTH: usize = SECRET_LENGTH + TAG_LENGTH;

const SECRET_LENGTH: usize = 32;
const MAC_LENGTH: usize = 16;
const BODY_LENGTH: usize = 16 + 4 + SECRET_LENGTH;
const TOKEN_LENGTH: usize = PREFIX.len() + ((BODY_LENGTH + MAC_LENGTH) * 4).div_ceil(3);

/// A token whose mac was checked, or that was just made.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct RefreshToken {
    session_id: SessionId,
    generation: u32,
    secret: Zeroizing<[u8; SECRET_LENGTH]>,
}

/// SHA-256 of a token: what is stored of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TokenDigest([u8; 32]);

impl RefreshToken {
    /// The first token of a session. `secret` is random.
    pub(crate) fn first(session_id: SessionId, secret: [u8; SECRET_LENGTH]) -> Self {
        Self { session_id, generation: 0, secret: Zeroizing::new(secret) }
    }

    /// The token that replaces this one. `secret` is random.
    pub(crate) fn successor(&self, secret: [u8; SECRET_LENGTH]) -> Self {
        Self {
            session_id: self.session_id,
            generation: self.generation.saturating_add(1),
            secret: Zeroizing::new(secret),
        }
    }

    /// Reads a presented token; `None` for everything that was not made with this mac key.
    pub(crate) fn parse(text: &str, key: &hmac::Key) -> Option<Self> {
        if text.len() != TOKEN_LENGTH {
            return None;
        }
        let mut bytes = Zeroizing::new([0; BODY_LENGTH + MAC_LENGTH]);
        let length = URL_SAFE_NO_PAD.decode_slice(text.strip_prefix(PREFIX)?, bytes.as_mut()).ok()?;
        let (body, presented) = bytes.get(..length)?.split_first_chunk::<BODY_LENGTH>()?;
        if !bool::from(mac(key, body).as_slice().ct_eq(presented)) {
            return None;
        }
        let (session_id, rest) = body.split_first_chunk::<16>()?;
        let (generation, secret) = rest.split_first_chunk::<4>()?;
        Some(Self {
            session_id: SessionId::from_bytes(*session_id),
            generation: u32::from_be_bytes(*generation),
            secret: Zeroizing::new(secret.try_into().ok()?),
        })
    }

    /// As the client keeps it.
    pub(crate) fn encode(&self, key: &hmac::Key) -> String {
        let body = self.body();
        let bytes = Zeroizing::new([body.as_slice(), &mac(key, &body)].concat());
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes.as_slice()))
    }

    pub(crate) fn session_id(&self) -> SessionId {
        self.session_id
    }

    /// How many rotations came before this token.
    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    pub(crate) fn digest(&self) -> TokenDigest {
        let mut hash = [0; 32];
        hash.copy_from_slice(digest::digest(&digest::SHA256, self.body().as_slice()).as_ref());
        TokenDigest(hash)
    }

    /// Seals the successor so that only somebody who holds *this* token can read it: the key comes from this token's
    /// secret, and the platform itself keeps only this token's hash.
    pub(crate) fn seal_successor(&self, successor: &RefreshToken) -> Vec<u8> {
        let mut message = successor.secret.to_vec();
        self.successor_cipher().seal(SUCCESSOR_NONCE, self.session_id.as_bytes(), &mut message);
        message
    }

    /// Reads back what [`Self::seal_successor`] sealed.
    pub(crate) fn open_successor(&self, sealed: &[u8]) -> Option<RefreshToken> {
        let mut message = Zeroizing::new(sealed.to_vec());
        let secret = self.successor_cipher().open(SUCCESSOR_NONCE, self.session_id.as_bytes(), &mut message)?;
        Some(self.successor(secret.try_into().ok()?))
    }

    fn successor_cipher(&self) -> Cipher {
        let secret = Salt::new(HKDF_SHA256, b"playgate refresh token").extract(self.secret.as_slice());
        Cipher::new(&expand(&secret, "successor at rest, 1"))
    }

    fn body(&self) -> Zeroizing<[u8; BODY_LENGTH]> {
        let mut body = Zeroizing::new([0; BODY_LENGTH]);
        body[..16].copy_from_slice(self.session_id.as_bytes());
        body[16..20].copy_from_slice(&self.generation.to_be_bytes());
        body[20..].copy_from_slice(self.secret.as_slice());
        body
    }
}

/// Fixed, because each key seals one stored successor; two replicas that rotate one token at once seal two, which
/// AES-GCM-SIV allows, and only one of them is stored.
const SUCCESSOR_NONCE: [u8; NONCE_LENGTH] = [0; NONCE_LENGTH];

impl fmt::Debug for RefreshToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RefreshToken")
            .field("session_id", &self.session_id)
            .field("generation", &self.generation)
            .finish_non_exhaustive()
    }
}

impl TokenDigest {
    pub(crate) fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Compares in constant time.
    pub(crate) fn matches(&self, other: &TokenDigest) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

fn mac(key: &hmac::Key, body: &[u8; BODY_LENGTH]) -> [u8; MAC_LENGTH] {
    let mut context = hmac::Context::with_key(key);
    context.update(PREFIX.as_bytes());
    context.update(body);
    let mut cut = [0; MAC_LENGTH];
    cut.copy_from_slice(&context.sign().as_ref()[..MAC_LENGTH]);
    cut
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(byte: u8) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &[byte; 32])
    }

    fn token() -> RefreshToken {
        RefreshToken::first(SessionId::from_bytes([1; 16]), [2; 32])
    }

    #[test]
    fn a_token_reads_back_and_is_refused_under_another_key() {
        let text = token().encode(&key(1));
        assert_eq!(text.len(), TOKEN_LENGTH);
        assert_eq!(RefreshToken::parse(&text, &key(1)), Some(token()));
        assert_eq!(RefreshToken::parse(&text, &key(2)), None);
    }

    #[test]
    fn only_the_predecessor_reads_the_sealed_successor() {
        let successor = token().successor([3; 32]);
        let sealed = token().seal_successor(&successor);
        assert_eq!(sealed.len(), SEALED_SUCCESSOR_LENGTH);
        assert_eq!(token().open_successor(&sealed), Some(successor.clone()));
        assert_eq!(successor.generation(), 1);
        let stranger = RefreshToken::first(token().session_id(), [4; 32]);
        assert_eq!(stranger.open_successor(&sealed), None);
        assert_eq!(successor.open_successor(&sealed), None);
    }

    #[test]
    fn neither_token_nor_secret_prints() {
        let text = format!("{:?}", token());
        assert!(text.contains("generation") && !text.contains("secret") && !text.contains("2, 2"), "{text}");
    }

    proptest! {
        #[test]
        fn no_changed_character_goes_unnoticed(position: prop::sample::Index, other in "[A-Za-z0-9_.=-]") {
            let text = token().encode(&key(1));
            let index = position.index(text.len());
            let changed = format!("{}{other}{}", &text[..index], &text[index + 1..]);
            prop_assume!(changed != text);
            prop_assert_eq!(RefreshToken::parse(&changed, &key(1)), None);
        }

        #[test]
        fn arbitrary_text_is_never_a_token(text in "\\PC{0,120}") {
            prop_assert_eq!(RefreshToken::parse(&text, &key(1)), None);
        }
    }
}
