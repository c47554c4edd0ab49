//! How the keys that sign ID tokens are kept: sealed under a key of their own, which is derived from the master key.

use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use common::clock::{Random, random_bytes};
use zeroize::Zeroizing;

use super::{
    cipher::{Cipher, KEY_LENGTH, NONCE_LENGTH},
    master_key::MasterKey,
    signing_key::SEED_LENGTH,
};

/// Seals and opens signing keys, and nothing else.
#[derive(Debug)]
pub(crate) struct SigningKeyVault(Cipher);

impl SigningKeyVault {
    #[expect(clippy::expect_used, reason = "fails only for outputs longer than 255 hashes; this one is a single hash")]
    pub(crate) fn new(master_key: &MasterKey) -> Self {
        let secret = Salt::new(HKDF_SHA256, b"playgate account").extract(master_key.reveal().as_bytes());
        let mut key = Zeroizing::new([0; KEY_LENGTH]);
        secret
            .expand(&[b"signing keys at rest, 1"], KeyLength)
            .and_then(|material| material.fill(key.as_mut()))
            .expect("32 bytes are within HKDF's limit");
        Self(Cipher::new(&key))
    }

    /// nonce | ciphertext | tag. The number is authenticated with it: a key that is moved to another row does not open.
    pub(crate) fn seal(&self, number: u32, seed: &[u8; SEED_LENGTH], random: &dyn Random) -> Vec<u8> {
        let nonce: [u8; NONCE_LENGTH] = random_bytes(random);
        let mut message = seed.to_vec();
        self.0.seal(nonce, &number.to_be_bytes(), &mut message);
        [nonce.as_slice(), &message].concat()
    }

    /// `None`: sealed under another master key, for another number, or damaged.
    pub(crate) fn open(&self, number: u32, sealed: &[u8]) -> Option<Zeroizing<[u8; SEED_LENGTH]>> {
        let (nonce, message) = sealed.split_first_chunk::<NONCE_LENGTH>()?;
        let mut message = Zeroizing::new(message.to_vec());
        let seed = self.0.open(*nonce, &number.to_be_bytes(), &mut message)?;
        seed.try_into().ok().map(Zeroizing::new)
    }
}

/// Output length of the derivation, as aws-lc-rs wants to be told.
struct KeyLength;

impl KeyType for KeyLength {
    fn len(&self) -> usize {
        KEY_LENGTH
    }
}

#[cfg(test)]
mod tests {
    use common::clock::testing::SeededRandom;

    use super::*;

    #[test]
    fn a_key_opens_only_under_its_own_master_key_and_number() {
        let random = SeededRandom::new(1);
        let vault = SigningKeyVault::new(&MasterKey::generate(&random));
        let sealed = vault.seal(1, &[7; SEED_LENGTH], &random);
        assert_eq!(vault.open(1, &sealed).as_deref(), Some(&[7; SEED_LENGTH]));
        assert_eq!(vault.open(2, &sealed), None);
        assert_eq!(vault.open(1, &sealed[1..]), None);
        assert_eq!(vault.open(1, b"short"), None);
        assert_eq!(SigningKeyVault::new(&MasterKey::generate(&random)).open(1, &sealed), None);
    }
}
