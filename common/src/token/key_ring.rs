//! The keys that seal access tokens: one of them signs, all of them open.

use super::cipher::{Cipher, KEY_LENGTH};
use crate::clock::Timestamp;

/// Names a key inside a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(u32);

impl KeyId {
    /// The first key ever made.
    pub const FIRST: KeyId = KeyId(1);

    /// From its number.
    pub const fn new(id: u32) -> Self {
        Self(id)
    }

    /// As a number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

/// One key of the ring.
#[derive(Debug)]
pub struct TokenKey {
    id: KeyId,
    signs_from: Timestamp,
    cipher: Cipher,
}

/// Every key whose tokens may still be alive, oldest first; never empty.
#[derive(Debug)]
pub struct KeyRing(Vec<TokenKey>);

impl TokenKey {
    /// A key that seals new tokens from `signs_from` on, and opens its own at any time.
    pub fn new(id: KeyId, signs_from: Timestamp, key: &[u8; KEY_LENGTH]) -> Self {
        Self { id, signs_from, cipher: Cipher::new(key) }
    }

    /// Its name.
    pub fn id(&self) -> KeyId {
        self.id
    }

    pub(super) fn cipher(&self) -> &Cipher {
        &self.cipher
    }
}

impl KeyRing {
    /// `None` for no keys at all.
    pub fn new(mut keys: Vec<TokenKey>) -> Option<Self> {
        keys.sort_by_key(TokenKey::id);
        (!keys.is_empty()).then_some(Self(keys))
    }

    /// The one key a token names. A ring holds two or three keys: looking at each is faster than a map.
    pub fn key(&self, id: KeyId) -> Option<&TokenKey> {
        self.0.iter().find(|key| key.id == id)
    }

    /// The key that seals new tokens: the newest whose time has come. A key is announced some time before it signs, so
    /// that every replica can open its first token.
    pub fn signing(&self, now: Timestamp) -> &TokenKey {
        self.0.iter().rev().find(|key| key.signs_from <= now).unwrap_or(&self.0[0])
    }

    /// The newest key, which may not sign yet.
    pub fn newest(&self) -> KeyId {
        self.0[self.0.len() - 1].id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(signs_from: &[i64]) -> KeyRing {
        let key =
            |(id, from): (u32, &i64)| TokenKey::new(KeyId::new(id), Timestamp::from_millis(*from), &[0; KEY_LENGTH]);
        let mut keys: Vec<TokenKey> = (1..).zip(signs_from).map(key).collect();
        keys.reverse();
        KeyRing::new(keys).expect("not empty")
    }

    #[test]
    fn the_newest_key_signs_once_its_time_has_come() {
        let ring = ring(&[0, 100]);
        assert_eq!(ring.signing(Timestamp::from_millis(99)).id(), KeyId::new(1));
        assert_eq!(ring.signing(Timestamp::from_millis(100)).id(), KeyId::new(2));
        assert_eq!(ring.newest(), KeyId::new(2));
    }

    #[test]
    fn a_clock_that_is_behind_still_finds_a_signing_key() {
        assert_eq!(ring(&[50, 100]).signing(Timestamp::from_millis(10)).id(), KeyId::new(1));
    }

    #[test]
    fn a_key_is_found_by_its_id_only() {
        let ring = ring(&[0]);
        assert!(ring.key(KeyId::FIRST).is_some());
        assert!(ring.key(KeyId::new(2)).is_none());
        assert!(KeyRing::new(Vec::new()).is_none());
    }
}
