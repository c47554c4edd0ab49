//! RSA private keys of merchants, which sign what a channel is asked.

use std::{fmt, sync::Arc};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{RSA_PKCS1_SHA256, RsaKeyPair},
};
use base64::{Engine, prelude::BASE64_STANDARD};
use rustls_pki_types::{PrivateKeyDer, pem::PemObject};

/// A key that signs with PKCS #1 v1.5 and SHA-256. Cheap to clone; never printed.
#[derive(Clone)]
pub(super) struct RsaPrivateKey(Arc<RsaKeyPair>);

impl RsaPrivateKey {
    /// Reads a key as tools of channels write it: PKCS #8 or PKCS #1, in PEM, or the base64 between the lines of it.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        const NONE: &str = "must be an RSA private key of 2048 to 8192 bits, in PEM or base64";
        let text = text.trim();
        let der = if text.starts_with("-----") {
            match PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| NONE)? {
                PrivateKeyDer::Pkcs8(key) => key.secret_pkcs8_der().to_vec(),
                PrivateKeyDer::Pkcs1(key) => key.secret_pkcs1_der().to_vec(),
                _ => return Err(NONE),
            }
        } else {
            let text: String = text.split_ascii_whitespace().collect();
            BASE64_STANDARD.decode(text).map_err(|_| NONE)?
        };
        let key = RsaKeyPair::from_pkcs8(&der).or_else(|_| RsaKeyPair::from_der(&der)).map_err(|_| NONE)?;
        if key.public_modulus_len() < 256 {
            return Err(NONE);
        }
        Ok(Self(Arc::new(key)))
    }

    /// The signature over `message` in base64; `None` if the library refuses, which it does for no key that was read.
    pub(super) fn sign(&self, message: &[u8]) -> Option<String> {
        let mut signature = vec![0; self.0.public_modulus_len()];
        // This padding takes nothing at random: the same message has the same signature.
        self.0.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).ok()?;
        Some(BASE64_STANDARD.encode(signature))
    }
}

impl fmt::Debug for RsaPrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RsaPrivateKey").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::channels::public_key::{RsaAlgorithm, RsaPublicKey};

    #[test]
    fn a_key_is_read_in_every_form_that_tools_write_and_signs_the_same() {
        // Made by Python's `cryptography`: one key in its forms, and `message` signed with it.
        let vectors: Value = serde_json::from_str(include_str!("vectors/asking.json")).expect("JSON");
        let text = |name: &str| vectors["private_key_forms"][name].as_str().expect("a text");
        let public = RsaPublicKey::parse(text("public_base64"), RsaAlgorithm::Sha256).expect("a key");
        for form in ["pkcs8_pem", "pkcs1_pem", "pkcs8_base64", "pkcs1_base64"] {
            let key = RsaPrivateKey::parse(text(form)).expect(form);
            let signature = key.sign(b"message").expect("signed");
            assert_eq!(signature, text("signature"), "{form}");
            assert!(public.verifies(b"message", &BASE64_STANDARD.decode(signature).expect("base64")));
            assert!(!format!("{key:?}").contains("MII"));
        }
        for bad in ["", "AAAA", "no base64!", text("public_base64"), text("short_pkcs8_base64")] {
            assert!(RsaPrivateKey::parse(bad).is_err(), "{bad}");
        }
    }
}
