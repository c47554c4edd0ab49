//! The master key, and every key that is derived from it.
//!
//! Each derived key has one purpose, named in its HKDF (RFC 5869) info text: what is sealed for one purpose never opens
//! for another.

use std::fmt;

use aws_lc_rs::{
    hkdf::{HKDF_SHA256, KeyType, Prk, Salt},
    hmac,
};
use common::clock::{Random, random_bytes};
use zeroize::Zeroizing;

use super::{
    cipher::{Cipher, KEY_LENGTH, NONCE_LENGTH},
    ids::AppId,
    key_ring::KeyId,
};

/// 256 bits that everything at rest is sealed under. Wiped from memory when dropped; never printed.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; KEY_LENGTH]>);

/// The text is not a master key. Says nothing about the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a master key is 64 hexadecimal digits")]
pub struct NotAMasterKey;

/// Seals the secrets that are kept in SQL.
pub(crate) struct Vault {
    token_keys: Cipher,
    app_secrets: Cipher,
    refresh_tokens: hmac::Key,
}

/// Which secret is sealed. Part of the associated data: a sealed secret that is moved to another row does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secret {
    /// A key of the ring.
    TokenKey(KeyId),
    /// One of an app's secrets.
    AppSecret { app_id: AppId, version: i64 },
}

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
    pub(crate) fn reveal(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(self.0.as_slice()))
    }

    pub(super) fn derive(&self, purpose: &'static str) -> Zeroizing<[u8; KEY_LENGTH]> {
        expand(&Salt::new(HKDF_SHA256, b"playgate account").extract(self.0.as_slice()), purpose)
    }
}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKey(<redacted>)")
    }
}

impl Vault {
    pub(crate) fn new(master_key: &MasterKey) -> Self {
        Self {
            token_keys: Cipher::new(&master_key.derive("token keys at rest, 1")),
            app_secrets: Cipher::new(&master_key.derive("app secrets at rest, 1")),
            refresh_tokens: hmac::Key::new(hmac::HMAC_SHA256, master_key.derive("refresh token mac, 1").as_ref()),
        }
    }

    /// Authenticates refresh tokens as ours.
    pub(crate) fn refresh_token_key(&self) -> &hmac::Key {
        &self.refresh_tokens
    }

    /// nonce | ciphertext | tag.
    pub(crate) fn seal(&self, secret: Secret, plaintext: &[u8], random: &dyn Random) -> Vec<u8> {
        let nonce: [u8; NONCE_LENGTH] = random_bytes(random);
        let mut message = plaintext.to_vec();
        self.cipher(secret).seal(nonce, &secret.associated_data(), &mut message);
        [nonce.as_slice(), &message].concat()
    }

    /// `None`: sealed under another master key, for another secret, or damaged.
    pub(crate) fn open(&self, secret: Secret, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (nonce, message) = sealed.split_first_chunk::<NONCE_LENGTH>()?;
        let mut message = Zeroizing::new(message.to_vec());
        let plaintext = self.cipher(secret).open(*nonce, &secret.associated_data(), &mut message)?;
        Some(Zeroizing::new(plaintext.to_vec()))
    }

    fn cipher(&self, secret: Secret) -> &Cipher {
        match secret {
            Secret::TokenKey(_) => &self.token_keys,
            Secret::AppSecret { .. } => &self.app_secrets,
        }
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(<redacted>)")
    }
}

impl Secret {
    fn associated_data(self) -> Vec<u8> {
        match self {
            Self::TokenKey(key_id) => key_id.get().to_be_bytes().to_vec(),
            Self::AppSecret { app_id, version } => [app_id.get().to_be_bytes(), version.to_be_bytes()].concat(),
        }
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
pub(super) fn expand(secret: &Prk, purpose: &'static str) -> Zeroizing<[u8; KEY_LENGTH]> {
    let mut key = Zeroizing::new([0; KEY_LENGTH]);
    secret
        .expand(&[purpose.as_bytes()], KeyLength)
        .and_then(|material| material.fill(key.as_mut()))
        .expect("32 bytes are within HKDF's limit");
    key
}

#[cfg(test)]
mod tests {
    use common::clock::testing::SeededRandom;

    use super::*;

    fn app_secret(app_id: i64, version: i64) -> Secret {
        Secret::AppSecret { app_id: AppId::parse(app_id).expect("in range"), version }
    }

    #[test]
    fn a_master_key_is_64_hex_digits() {
        assert!(MasterKey::parse(&"aB".repeat(32)).is_ok());
        assert!(MasterKey::parse(&format!("{}\n", "00".repeat(32))).is_ok());
        for bad in ["", "00", &"g".repeat(64), &"0".repeat(63), &"0".repeat(66)] {
            assert_eq!(MasterKey::parse(bad).err(), Some(NotAMasterKey), "{bad}");
        }
    }

    #[test]
    fn what_is_sealed_opens_only_for_its_own_purpose_and_row() {
        let random = SeededRandom::new(1);
        let vault = Vault::new(&MasterKey::generate(&random));
        let sealed = vault.seal(app_secret(1, 1), b"secret", &random);
        assert_eq!(vault.open(app_secret(1, 1), &sealed).as_deref().map(Vec::as_slice), Some(b"secret".as_slice()));
        for other in [app_secret(1, 2), app_secret(2, 1), Secret::TokenKey(KeyId::new(1))] {
            assert_eq!(vault.open(other, &sealed), None, "{other:?}");
        }
        assert_eq!(Vault::new(&MasterKey::generate(&random)).open(app_secret(1, 1), &sealed), None);
        assert_eq!(vault.open(app_secret(1, 1), &sealed[..sealed.len() - 1]), None);
        assert_eq!(vault.open(app_secret(1, 1), b"short"), None);
    }

    #[test]
    fn neither_the_key_nor_the_vault_prints() {
        let key = MasterKey::parse(&"ab".repeat(32)).expect("valid");
        assert!(!format!("{key:?} {:?}", Vault::new(&key)).contains("ab"));
    }
}
