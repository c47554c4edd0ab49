//! The master key, and the keys that are derived from it.
//!
//! Each derived key has one purpose, named in its HKDF (RFC 5869) info text: what is sealed for one purpose never opens
//! for another.

use std::fmt;

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Prk, Salt};
use zeroize::Zeroizing;

use super::{
    cipher::{Cipher, KEY_LENGTH},
    key_ring::KeyId,
};
use crate::clock::{Random, random_bytes};

/// 256 bits that everything at rest is sealed under. Wiped from memory when dropped; never printed.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; KEY_LENGTH]>);

/// The text is not a master key. Says nothing about the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a master key is 64 hexadecimal digits")]
pub struct NotAMasterKey;

/// Seals and opens the keys of the ring, and nothing else: what a role is given that has to open tokens but needs no
/// other secret.
#[derive(Debug)]
pub struct TokenKeyVault(Cipher);

impl MasterKey {
    /// Reads 64 hexadecimal digits of either case; surrounding white space is ignored.
    pub fn parse(text: &str) -> Result<Self, NotAMasterKey> {
        let mut key = Zeroizing::new([0; KEY_LENGTH]);
        hex::decode_to_slice(text.trim(), key.as_mut()).map_err(|_| NotAMasterKey)?;
        Ok(Self(key))
    }

    /// A new random key.
    pub fn generate(random: &dyn Random) -> Self {
        Self(Zeroizing::new(random_bytes(random)))
    }

    /// As it is written to its file: 64 hexadecimal digits.
    pub fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(self.0.as_slice()))
    }

    /// The key for one purpose.
    pub fn derive(&self, purpose: &'static str) -> Zeroizing<[u8; KEY_LENGTH]> {
        expand(&Salt::new(HKDF_SHA256, b"playgate account").extract(self.0.as_slice()), purpose)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(<redacted>)")
    }
}

impl TokenKeyVault {
    /// The vault under this master key.
    pub fn new(master_key: &MasterKey) -> Self {
        Self(Cipher::new(&master_key.derive("token keys at rest, 1")))
    }

    /// nonce | ciphertext | tag. The id is part of what is authenticated: a key that is moved to another row does not
    /// open.
    pub fn seal(&self, id: KeyId, key: &[u8; KEY_LENGTH], random: &dyn Random) -> Vec<u8> {
        self.0.seal_for_storage(&id.get().to_be_bytes(), key, random)
    }

    /// `None`: sealed under another master key, for another id, or damaged.
    pub fn open(&self, id: KeyId, sealed: &[u8]) -> Option<Zeroizing<[u8; KEY_LENGTH]>> {
        let opened = self.0.open_stored(&id.get().to_be_bytes(), sealed)?;
        Some(Zeroizing::new(opened.as_slice().try_into().ok()?))
    }
}

/// Output length of [`expand`], as aws-lc-rs wants to be told.
struct KeyLength;

impl KeyType for KeyLength {
    fn len(&self) -> usize {
        KEY_LENGTH
    }
}

/// One 32-byte key for one purpose.
#[expect(clippy::expect_used, reason = "fails only for outputs longer than 255 hashes; this one is a single hash")]
pub fn expand(secret: &Prk, purpose: &'static str) -> Zeroizing<[u8; KEY_LENGTH]> {
    let mut key = Zeroizing::new([0; KEY_LENGTH]);
    secret
        .expand(&[purpose.as_bytes()], KeyLength)
        .and_then(|material| material.fill(key.as_mut()))
        .expect("32 bytes are within HKDF's limit");
    key
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::testing::SeededRandom;

    #[test]
    fn a_master_key_is_64_hex_digits() {
        assert!(MasterKey::parse(&"aB".repeat(32)).is_ok());
        assert!(MasterKey::parse(&format!("{}\n", "00".repeat(32))).is_ok());
        for bad in ["", "00", &"g".repeat(64), &"0".repeat(63), &"0".repeat(66)] {
            assert_eq!(MasterKey::parse(bad).err(), Some(NotAMasterKey), "{bad}");
        }
    }

    #[test]
    fn a_token_key_opens_only_under_its_own_master_key_and_id() {
        let random = SeededRandom::new(1);
        let vault = TokenKeyVault::new(&MasterKey::generate(&random));
        let sealed = vault.seal(KeyId::new(1), &[7; KEY_LENGTH], &random);
        assert_eq!(vault.open(KeyId::new(1), &sealed).as_deref(), Some(&[7; KEY_LENGTH]));
        assert_eq!(vault.open(KeyId::new(2), &sealed), None);
        assert_eq!(vault.open(KeyId::new(1), &sealed[..sealed.len() - 1]), None);
        assert_eq!(vault.open(KeyId::new(1), b"short"), None);
        assert_eq!(TokenKeyVault::new(&MasterKey::generate(&random)).open(KeyId::new(1), &sealed), None);
    }

    /// A change of what is derived makes every stored key unreadable.
    #[test]
    fn a_key_that_was_sealed_by_an_earlier_version_still_opens() {
        let vault = TokenKeyVault::new(&MasterKey::parse(&"5a".repeat(32)).expect("valid"));
        let sealed = "b1bed1b6cdbd33a83dfeb5aaddf1703dc0653cce36f07b5e7716a1d588aae0c8d31290efe9d70f79fe4e5351fc8b8cdb17a06341\
                      d08f7a5551bcb944";
        let opened = vault.open(KeyId::FIRST, &hex::decode(sealed).expect("hex"));
        assert_eq!(opened.as_deref(), Some(&[7; KEY_LENGTH]));
    }

    #[test]
    fn neither_the_key_nor_the_vault_prints() {
        let key = MasterKey::parse(&"ab".repeat(32)).expect("valid");
        assert!(!format!("{key:?} {:?}", TokenKeyVault::new(&key)).contains("ab"));
    }
}
