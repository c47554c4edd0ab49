//! RSA public keys as channels publish them, and what they have signed.

use std::fmt;

use aws_lc_rs::signature::{
    RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY, RsaParameters,
    UnparsedPublicKey,
};
use base64::{Engine, prelude::BASE64_STANDARD};
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer, pem::PemObject};
use x509_cert::{
    Certificate,
    der::{Decode, Encode, oid::ObjectIdentifier},
    spki::SubjectPublicKeyInfoRef,
};

const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// An RSA public key of 1024 to 8192 bits.
#[derive(Clone)]
pub(super) struct RsaPublicKey {
    /// SubjectPublicKeyInfo (RFC 5280, 4.1).
    spki: Vec<u8>,
    /// Of the certificate it came in, upper-case hex digits; `None`: it came without.
    certificate_serial: Option<String>,
}

/// Which hash is signed, always in PKCS #1 v1.5. Some channels still have keys of 1024 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RsaHash {
    Sha1,
    Sha256,
}

impl RsaPublicKey {
    /// Reads a key as consoles of channels show it: a certificate or a public key in PEM, or the base64 between the lines
    /// of the latter.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        let text = text.trim();
        if text.contains("-----BEGIN CERTIFICATE-----") {
            let der = CertificateDer::from_pem_slice(text.as_bytes()).map_err(|_| "is not a certificate in PEM")?;
            let certificate = Certificate::from_der(&der).map_err(|_| "is not a certificate")?;
            let certificate = certificate.tbs_certificate;
            let spki = certificate.subject_public_key_info.to_der().map_err(|_| "is not a certificate")?;
            let serial = hex::encode_upper(certificate.serial_number.as_bytes());
            return Self::from_spki(spki, Some(serial));
        }
        let spki = if text.starts_with("-----") {
            let der = SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes());
            der.map_err(|_| "is not a public key in PEM (BEGIN PUBLIC KEY)")?.to_vec()
        } else {
            let text: String = text.split_ascii_whitespace().collect();
            BASE64_STANDARD.decode(text).map_err(|_| "must be a public key or certificate in PEM, or base64")?
        };
        Self::from_spki(spki, None)
    }

    /// The serial number of the certificate it came in.
    pub(super) fn certificate_serial(&self) -> Option<&str> {
        self.certificate_serial.as_deref()
    }

    /// Whether `signature` is this key's over `message`.
    pub(super) fn verifies(&self, hash: RsaHash, message: &[u8], signature: &[u8]) -> bool {
        let algorithm: &'static RsaParameters = match hash {
            RsaHash::Sha1 => &RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY,
            RsaHash::Sha256 => &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
        };
        UnparsedPublicKey::new(algorithm, &self.spki).verify(message, signature).is_ok()
    }

    fn from_spki(spki: Vec<u8>, certificate_serial: Option<String>) -> Result<Self, &'static str> {
        let read =
            SubjectPublicKeyInfoRef::from_der(&spki).map_err(|_| "is not a public key (SubjectPublicKeyInfo)")?;
        if read.algorithm.oid != RSA_ENCRYPTION {
            return Err("must be an RSA key");
        }
        Ok(Self { spki, certificate_serial })
    }
}

impl fmt::Debug for RsaPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RsaPublicKey").field("certificate_serial", &self.certificate_serial).finish_non_exhaustive()
    }
}
