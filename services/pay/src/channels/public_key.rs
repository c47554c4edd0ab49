//! RSA public keys as channels publish them, and what they have signed.

use std::fmt;

use aws_lc_rs::{
    rsa::PublicEncryptingKey,
    signature::{
        ParsedPublicKey, RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
        RSA_PKCS1_2048_8192_SHA256,
    },
};
use base64::{Engine, prelude::BASE64_STANDARD};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, pem::PemObject};
use x509_cert::{
    Certificate,
    der::{Decode, Encode},
};

/// A key, and the one algorithm it is good for: PKCS #1 v1.5 with one hash.
#[derive(Clone)]
pub(super) struct RsaPublicKey {
    key: ParsedPublicKey,
    /// Of the certificate it came in, upper-case hex digits; `None`: it came without.
    certificate_serial: Option<String>,
}

/// What is signed with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RsaAlgorithm {
    /// SHA-256, with a key of at least 2048 bits.
    Sha256,
    /// SHA-256, with a key of at least 1024 bits: some channels still have such.
    Sha256Legacy,
    /// SHA-1, with a key of at least 1024 bits: some channels still sign so.
    Sha1Legacy,
}

impl RsaPublicKey {
    /// Reads a key as consoles of channels show it: a certificate or a public key in PEM, or the base64 between the lines
    /// of the latter.
    pub(super) fn parse(text: &str, algorithm: RsaAlgorithm) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.contains("-----BEGIN CERTIFICATE-----") {
            let der = CertificateDer::from_pem_slice(text.as_bytes()).map_err(|_| "is not a certificate in PEM")?;
            let certificate = Certificate::from_der(&der).map_err(|_| "is not a certificate")?;
            let certificate = certificate.tbs_certificate;
            let spki = certificate.subject_public_key_info.to_der().map_err(|_| "is not a certificate")?;
            let serial = hex::encode_upper(certificate.serial_number.as_bytes());
            return Self::from_spki(&spki, algorithm, Some(serial));
        }
        let spki = if text.starts_with("-----") {
            let der = SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes());
            der.map_err(|_| "is not a public key in PEM (BEGIN PUBLIC KEY)")?.to_vec()
        } else {
            let text: String = text.split_ascii_whitespace().collect();
            BASE64_STANDARD.decode(text).map_err(|_| "must be a public key or certificate in PEM, or base64")?
        };
        Self::from_spki(&spki, algorithm, None)
    }

    /// The serial number of the certificate it came in.
    pub(super) fn certificate_serial(&self) -> Option<&str> {
        self.certificate_serial.as_deref()
    }

    /// Whether `signature` is this key's over `message`.
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        self.key.verify_sig(message, signature).is_ok()
    }

    /// From a SubjectPublicKeyInfo (RFC 5280, 4.1).
    fn from_spki(
        spki: &[u8],
        algorithm: RsaAlgorithm,
        certificate_serial: Option<String>,
    ) -> Result<Self, &'static str> {
        let parameters = match algorithm {
            RsaAlgorithm::Sha256 => &RSA_PKCS1_2048_8192_SHA256,
            RsaAlgorithm::Sha256Legacy => &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
            RsaAlgorithm::Sha1Legacy => &RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
        };
        let key = ParsedPublicKey::new(parameters, spki).map_err(|_| "is not an RSA public key")?;
        if algorithm == RsaAlgorithm::Sha256 && PublicEncryptingKey::from_der(spki).is_err() {
            return Err("must be an RSA public key of 2048 to 8192 bits");
        }
        Ok(Self { key, certificate_serial })
    }
}

impl fmt::Debug for RsaPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RsaPublicKey").field("certificate_serial", &self.certificate_serial).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// Made by Python's `cryptography`: the same kinds of keys as text, and a message signed with each RSA key by
    /// `padding.PKCS1v15()` with `hashes.SHA256()`.
    static VECTORS: LazyLock<Value> =
        LazyLock::new(|| serde_json::from_str(include_str!("vectors/public_keys.json")).expect("JSON"));

    fn vector(name: &str) -> &'static str {
        VECTORS[name].as_str().expect("a text")
    }

    fn verifies(key: &str, algorithm: RsaAlgorithm, signature: &str) -> bool {
        let signature = BASE64_STANDARD.decode(vector(signature)).expect("base64");
        RsaPublicKey::parse(key, algorithm).expect("a key").verifies(b"message", &signature)
    }

    #[test]
    fn a_key_is_read_in_every_form_that_consoles_show() {
        let base64 = vector("rsa_2048_base64");
        let lines: Vec<_> = base64.as_bytes().chunks(64).map(|line| str::from_utf8(line).expect("ASCII")).collect();
        for key in [base64, &lines.join("\r\n"), vector("rsa_2048_pem"), vector("rsa_2048_certificate")] {
            assert!(verifies(key, RsaAlgorithm::Sha256, "rsa_2048_signature"), "{key}");
            assert!(!verifies(key, RsaAlgorithm::Sha1Legacy, "rsa_2048_signature"), "{key}");
        }
        let certificate = RsaPublicKey::parse(vector("rsa_2048_certificate"), RsaAlgorithm::Sha256).expect("a key");
        assert_eq!(certificate.certificate_serial(), Some("5157F09EFDC096DE15EBE81A47057A7232F1B8E1"));
    }

    #[test]
    fn a_short_key_is_for_the_channels_that_have_one() {
        let short = vector("rsa_1024_base64");
        assert!(RsaPublicKey::parse(short, RsaAlgorithm::Sha256).is_err());
        assert!(verifies(short, RsaAlgorithm::Sha256Legacy, "rsa_1024_signature"));
    }

    #[test]
    fn what_is_no_rsa_key_is_refused() {
        let private = "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n-----END RSA PRIVATE KEY-----";
        for bad in ["", "AAAA", "no base64!", private, vector("ec_base64"), vector("ec_certificate")] {
            for algorithm in [RsaAlgorithm::Sha256, RsaAlgorithm::Sha256Legacy] {
                assert!(RsaPublicKey::parse(bad, algorithm).is_err(), "{bad}");
            }
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in ".*", der: Vec<u8>) {
            let base64 = BASE64_STANDARD.encode(der);
            let certificate = format!("-----BEGIN CERTIFICATE-----\n{base64}\n-----END CERTIFICATE-----\n");
            for text in [text, base64, certificate] {
                prop_assert!(RsaPublicKey::parse(&text, RsaAlgorithm::Sha1Legacy).is_err());
            }
        }
    }
}
