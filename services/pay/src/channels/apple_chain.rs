//! The certificates in an Apple token: whether they lead to a configured authority, and are of the kind that signs for the
//! App Store.
//!
//! Apple signs for many purposes under one root; two extensions say that a chain is for the App Store (Apple's own server
//! libraries check the same two): one in the leaf, one in the intermediate. Revocation is not looked up: that would be I/O.

use std::{fmt, time::Duration};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::{Engine, prelude::BASE64_STANDARD};
use common::clock::Timestamp;
use rustls_pki_types::{
    CertificateDer, SignatureVerificationAlgorithm, TrustAnchor, UnixTime,
    pem::{PemObject, SliceIter},
};
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, anchor_from_trusted_cert};
use x509_cert::{
    Certificate,
    der::{Decode, Encode, oid::ObjectIdentifier},
};

use super::callback::CallbackRefusal;

/// "Mac App Store receipt signing": the leaf may sign for the App Store.
const LEAF_MARKER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113635.100.6.11.1");

/// The intermediate is that of Apple's Worldwide Developer Relations.
const INTERMEDIATE_MARKER: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113635.100.6.2.1");

/// Leaf, intermediate and root: so many certificates Apple sends.
const CHAIN_LENGTH: usize = 3;

/// Authorities of one configuration. Protects memory.
const MOST_ROOTS: usize = 8;

static ALGORITHMS: &[&dyn SignatureVerificationAlgorithm] = &[
    webpki::aws_lc_rs::ECDSA_P256_SHA256,
    webpki::aws_lc_rs::ECDSA_P256_SHA384,
    webpki::aws_lc_rs::ECDSA_P384_SHA256,
    webpki::aws_lc_rs::ECDSA_P384_SHA384,
];

/// The authorities that tokens have to lead to; never empty.
#[derive(Clone)]
pub(super) struct AppleRoots(Vec<TrustAnchor<'static>>);

/// The key of a leaf that leads to an authority.
pub(super) struct LeafKey(Vec<u8>);

/// The markers say what a chain is for; Apple's leaves have no extended key usage.
struct AnyUsage;

impl AppleRoots {
    /// Reads certificates in PEM, one behind another.
    pub(super) fn parse(pem: &str) -> Result<Self, &'static str> {
        let mut roots = Vec::new();
        let certificates: SliceIter<'_, CertificateDer<'_>> = CertificateDer::pem_slice_iter(pem.as_bytes());
        for certificate in certificates {
            let certificate = certificate.map_err(|_| "is not certificates in PEM")?;
            let anchor =
                anchor_from_trusted_cert(&certificate).map_err(|_| "has a certificate that is no authority")?;
            roots.push(anchor.to_owned());
        }
        match roots.len() {
            0 => Err("has no certificate in PEM"),
            1..=MOST_ROOTS => Ok(Self(roots)),
            _ => Err("has more than 8 certificates"),
        }
    }

    /// The key of the first of these certificates (base64, as `x5c` has them), if they lead to an authority at `now`.
    pub(super) fn leaf_key(&self, x5c: &[String], now: Timestamp) -> Result<LeafKey, CallbackRefusal> {
        if x5c.len() != CHAIN_LENGTH {
            return Err(untrusted("there must be three: leaf, intermediate and root"));
        }
        // The root that was sent along says nothing: the configured ones count.
        let decode = |text: &String| BASE64_STANDARD.decode(text).map(CertificateDer::from);
        let certificates: Result<Vec<_>, _> = x5c[..2].iter().map(decode).collect();
        let certificates = certificates.map_err(|_| untrusted("a certificate is not base64"))?;
        let (leaf, intermediate) = (&certificates[0], &certificates[1]);
        self.check_path(leaf, intermediate, now)?;
        let leaf = Certificate::from_der(leaf).map_err(|_| untrusted("the leaf can't be read"))?;
        let intermediate =
            Certificate::from_der(intermediate).map_err(|_| untrusted("the intermediate can't be read"))?;
        if !has_extension(&leaf, LEAF_MARKER) {
            return Err(untrusted("the leaf is not for the App Store"));
        }
        if !has_extension(&intermediate, INTERMEDIATE_MARKER) {
            return Err(untrusted("the intermediate is not that of the App Store"));
        }
        let spki = leaf.tbs_certificate.subject_public_key_info.to_der();
        spki.map(LeafKey).map_err(|_| untrusted("the leaf has no key that can be read"))
    }

    fn check_path(
        &self,
        leaf: &CertificateDer<'_>,
        intermediate: &CertificateDer<'_>,
        now: Timestamp,
    ) -> Result<(), CallbackRefusal> {
        let leaf = EndEntityCert::try_from(leaf).map_err(|_| untrusted("the leaf can't be read"))?;
        let seconds = u64::try_from(now.as_millis().div_euclid(1000)).unwrap_or_default();
        let now = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        let intermediates = std::slice::from_ref(intermediate);
        let verified = leaf.verify_for_usage(ALGORITHMS, &self.0, intermediates, now, AnyUsage, None, None);
        verified.map(drop).map_err(|error| match error {
            webpki::Error::CertExpired { .. } => untrusted("a certificate has expired"),
            webpki::Error::CertNotValidYet { .. } => untrusted("a certificate is not valid yet"),
            _ => untrusted("it does not lead to a configured root"),
        })
    }
}

impl LeafKey {
    /// Whether `signature` is this key's over `message`, by ES256 (RFC 7518, 3.4).
    pub(super) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.0).verify(message, signature).is_ok()
    }
}

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _usages: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        Ok(())
    }
}

impl fmt::Debug for AppleRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("AppleRoots").field(&self.0.len()).finish()
    }
}

fn has_extension(certificate: &Certificate, oid: ObjectIdentifier) -> bool {
    let extensions = certificate.tbs_certificate.extensions.as_ref();
    extensions.is_some_and(|extensions| extensions.iter().any(|extension| extension.extn_id == oid))
}

fn untrusted(reason: &'static str) -> CallbackRefusal {
    CallbackRefusal::UntrustedCertificate { reason }
}
