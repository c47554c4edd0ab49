//! How the keys that sign ID tokens are kept: sealed under a key of their own, which is derived from the master key.

use common::clock::Random;
use zeroize::Zeroizing;

use super::{cipher::Cipher, master_key::MasterKey, signing_key::SEED_LENGTH};

/// Seals and opens signing keys, and nothing else.
#[derive(Debug)]
pub(crate) struct SigningKeyVault(Cipher);

impl SigningKeyVault {
    pub(crate) fn new(master_key: &MasterKey) -> Self {
        Self(Cipher::new(&master_key.derive("signing keys at rest, 1")))
    }

    /// nonce | ciphertext | tag. The number is authenticated with it: a key that is moved to another row does not open.
    pub(crate) fn seal(&self, number: u32, seed: &[u8; SEED_LENGTH], random: &dyn Random) -> Vec<u8> {
        self.0.seal_for_storage(&number.to_be_bytes(), seed, random)
    }

    /// `None`: sealed under another master key, for another number, or damaged.
    pub(crate) fn open(&self, number: u32, sealed: &[u8]) -> Option<Zeroizing<[u8; SEED_LENGTH]>> {
        let seed = self.0.open_stored(&number.to_be_bytes(), sealed)?;
        seed.as_slice().try_into().ok().map(Zeroizing::new)
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
