//! What is sealed under the master key besides the keys of the ring. The master key itself, and how keys are derived from
//! it, is in [`common::token::master_key`].

use std::fmt;

use aws_lc_rs::hmac;
use common::clock::Random;
use common::token::master_key::TokenKeyVault;
pub(crate) use common::token::master_key::expand;
pub use common::token::master_key::{MasterKey, NotAMasterKey};
use zeroize::Zeroizing;

use super::{cipher::Cipher, ids::AppId, partner::PartnerName};

/// Seals the secrets that are kept in SQL.
pub(crate) struct Vault {
    token_keys: TokenKeyVault,
    app_secrets: Cipher,
    partner_secrets: Cipher,
    refresh_tokens: hmac::Key,
}

/// Which secret is sealed. Part of the associated data: a sealed secret that is moved to another row does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Secret<'a> {
    /// One of an app's secrets.
    AppSecret { app_id: AppId, version: i64 },
    /// One of a partner's secrets.
    PartnerSecret { partner: &'a PartnerName, version: i64 },
}

impl Vault {
    pub(crate) fn new(master_key: &MasterKey) -> Self {
        Self {
            token_keys: TokenKeyVault::new(master_key),
            app_secrets: Cipher::new(&master_key.derive("app secrets at rest, 1")),
            partner_secrets: Cipher::new(&master_key.derive("partner secrets at rest, 1")),
            refresh_tokens: hmac::Key::new(hmac::HMAC_SHA256, master_key.derive("refresh token mac, 1").as_ref()),
        }
    }

    /// Authenticates refresh tokens as ours.
    pub(crate) fn refresh_token_key(&self) -> &hmac::Key {
        &self.refresh_tokens
    }

    /// Seals the keys of the ring.
    pub(crate) fn token_keys(&self) -> &TokenKeyVault {
        &self.token_keys
    }

    /// nonce | ciphertext | tag.
    pub(crate) fn seal(&self, secret: Secret<'_>, plaintext: &[u8], random: &dyn Random) -> Vec<u8> {
        self.cipher(secret).seal_for_storage(&secret.associated_data(), plaintext, random)
    }

    /// `None`: sealed under another master key, for another secret, or damaged.
    pub(crate) fn open(&self, secret: Secret<'_>, sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.cipher(secret).open_stored(&secret.associated_data(), sealed)
    }

    fn cipher(&self, secret: Secret<'_>) -> &Cipher {
        match secret {
            Secret::AppSecret { .. } => &self.app_secrets,
            Secret::PartnerSecret { .. } => &self.partner_secrets,
        }
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Vault(<redacted>)")
    }
}

impl Secret<'_> {
    fn associated_data(self) -> Vec<u8> {
        match self {
            Self::AppSecret { app_id, version } => [app_id.get().to_be_bytes(), version.to_be_bytes()].concat(),
            Self::PartnerSecret { partner, version } => [&version.to_be_bytes(), partner.as_str().as_bytes()].concat(),
        }
    }
}

#[cfg(test)]
mod tests {
    use common::{clock::testing::SeededRandom, token::key_ring::KeyId};

    use super::*;

    fn app_secret(app_id: i64, version: i64) -> Secret<'static> {
        Secret::AppSecret { app_id: AppId::parse(app_id).expect("in range"), version }
    }

    #[test]
    fn what_is_sealed_opens_only_for_its_own_purpose_and_row() {
        let random = SeededRandom::new(1);
        let vault = Vault::new(&MasterKey::generate(&random));
        let sealed = vault.seal(app_secret(1, 1), b"secret", &random);
        assert_eq!(vault.token_keys().open(KeyId::new(1), &sealed), None);
        assert_eq!(vault.open(app_secret(1, 1), &sealed).as_deref().map(Vec::as_slice), Some(b"secret".as_slice()));
        for other in [app_secret(1, 2), app_secret(2, 1)] {
            assert_eq!(vault.open(other, &sealed), None, "{other:?}");
        }
        assert_eq!(Vault::new(&MasterKey::generate(&random)).open(app_secret(1, 1), &sealed), None);
        assert_eq!(vault.open(app_secret(1, 1), &sealed[..sealed.len() - 1]), None);
        assert_eq!(vault.open(app_secret(1, 1), b"short"), None);
    }

    #[test]
    fn a_partners_secret_opens_for_that_partner_only() {
        let random = SeededRandom::new(1);
        let vault = Vault::new(&MasterKey::generate(&random));
        let [ads, logs] = ["ads", "logs"].map(|name| PartnerName::parse(name).expect("a name"));
        let place = Secret::PartnerSecret { partner: &ads, version: 1 };
        let sealed = vault.seal(place, b"secret", &random);
        assert_eq!(vault.open(place, &sealed).as_deref().map(Vec::as_slice), Some(b"secret".as_slice()));
        for other in [
            Secret::PartnerSecret { partner: &logs, version: 1 },
            Secret::PartnerSecret { partner: &ads, version: 2 },
            app_secret(1, 1),
        ] {
            assert_eq!(vault.open(other, &sealed), None, "{other:?}");
        }
    }

    #[test]
    fn neither_the_key_nor_the_vault_prints() {
        let key = MasterKey::parse(&"ab".repeat(32)).expect("valid");
        assert!(!format!("{key:?} {:?}", Vault::new(&key)).contains("ab"));
    }
}
