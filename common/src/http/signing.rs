//! The request signature, pure: what is signed, with what, and how it is compared.
//!
//! `hex(HMAC-SHA256(app_secret, METHOD \n PATH \n RAW_QUERY \n X-Timestamp \n X-Nonce \n hex(SHA-256(body))))`.
//! Game servers sign requests to us, and we sign deliveries to them, with the same scheme.

use std::{fmt, time::Duration};

use aws_lc_rs::{digest, hmac};
use subtle::ConstantTimeEq;

use crate::clock::Timestamp;

/// How far a request's timestamp may be from our clock, in either direction.
pub const CLOCK_WINDOW: Duration = Duration::from_secs(5 * 60);

/// A signature as text: the hex digits of an HMAC-SHA256.
type SignatureText = [u8; 64];

/// An app's secret, prepared for signing: the two hash states an HMAC starts from are computed once.
#[derive(Clone)]
pub struct SigningKey(hmac::Key);

/// What a signature covers, exactly as it is on the wire.
#[derive(Clone, Copy, Debug)]
pub struct SignedContent<'a> {
    /// The method, upper case.
    pub method: &'a str,
    /// The path as sent, percent-encoding untouched.
    pub path: &'a str,
    /// The query as sent, without its question mark; empty when there is none.
    pub query: &'a str,
    /// `X-Timestamp` as sent: Unix milliseconds.
    pub timestamp: &'a str,
    /// `X-Nonce` as sent.
    pub nonce: &'a str,
    /// The raw body; empty when there is none.
    pub body: &'a [u8],
}

impl SigningKey {
    /// Prepares a secret.
    pub fn new(secret: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// The signature of `content`, as it is sent in `X-Signature`.
    pub fn sign(&self, content: &SignedContent<'_>) -> String {
        self.signature(content, &content.body_digest()).iter().copied().map(char::from).collect()
    }

    fn signature(&self, content: &SignedContent<'_>, body_digest: &SignatureText) -> SignatureText {
        let lines = [content.method, content.path, content.query, content.timestamp, content.nonce];
        // Put together first: a call into the library per piece would cost more than the copy.
        let mut text = Vec::with_capacity(lines.iter().map(|line| line.len() + 1).sum::<usize>() + body_digest.len());
        for line in lines {
            text.extend_from_slice(line.as_bytes());
            text.push(b'\n');
        }
        text.extend_from_slice(body_digest);
        hex_text(hmac::sign(&self.0, &text).as_ref())
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(<redacted>)")
    }
}

impl SignedContent<'_> {
    /// Whether `signature` is that of one of `keys`: an app has two while its secret is rotated. The time this takes
    /// does not depend on where a signature differs.
    pub fn is_signed_by(&self, keys: &[SigningKey], signature: &[u8]) -> bool {
        let body_digest = self.body_digest();
        let matches = keys.iter().map(|key| key.signature(self, &body_digest).ct_eq(signature));
        matches.fold(subtle::Choice::from(0), |any, one| any | one).into()
    }

    fn body_digest(&self) -> SignatureText {
        hex_text(digest::digest(&digest::SHA256, self.body).as_ref())
    }
}

/// Whether a request of `timestamp` may be accepted at `now`.
pub(super) fn is_fresh(timestamp: Timestamp, now: Timestamp) -> bool {
    now.since(timestamp) <= CLOCK_WINDOW && timestamp.since(now) <= CLOCK_WINDOW
}

fn hex_text(bytes: &[u8]) -> SignatureText {
    let mut text = [0; 64];
    // Only ever called with the 32 bytes of a SHA-256; anything else stays zero and matches no hex text.
    let _ = hex::encode_to_slice(bytes, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const VERIFY: SignedContent<'_> = SignedContent {
        method: "POST",
        path: "/v1/server/tokens/verify",
        query: "",
        timestamp: "1750000000000",
        nonce: "n-0123456789",
        body: br#"{"token":"pg1.abc"}"#,
    };

    const ORDER: SignedContent<'_> = SignedContent {
        method: "GET",
        path: "/v1/server/orders/0197",
        query: "a=1&b=%20x",
        timestamp: "1750000000123",
        nonce: "abcdefgh",
        body: b"",
    };

    #[test]
    fn signatures_are_those_of_an_independent_implementation() {
        // Computed with Python's hmac and hashlib from the scheme's text.
        let key = SigningKey::new(b"app-secret-1");
        assert_eq!(key.sign(&VERIFY), "219b8cf999dc152c9a36f8f282f24560c1468466d115dce3fc7647b36138a7bf");
        assert_eq!(key.sign(&ORDER), "cbe55581e05a29faa337748515b200f16c209dd253282803e237c7c942b48c48");
        let long = SigningKey::new(&[0x61; 100]);
        assert_eq!(long.sign(&VERIFY), "6441f00e813c09e011147f79b5921cfa8089f618bea276fe0b24d9f561d25783");
    }

    #[test]
    fn either_of_two_live_secrets_is_accepted_and_no_other() {
        let (old, new, foreign) = (SigningKey::new(b"old"), SigningKey::new(b"new"), SigningKey::new(b"foreign"));
        let live = [old.clone(), new.clone()];
        assert!(VERIFY.is_signed_by(&live, old.sign(&VERIFY).as_bytes()));
        assert!(VERIFY.is_signed_by(&live, new.sign(&VERIFY).as_bytes()));
        assert!(!VERIFY.is_signed_by(&live, foreign.sign(&VERIFY).as_bytes()));
        assert!(!VERIFY.is_signed_by(&[], old.sign(&VERIFY).as_bytes()));
    }

    #[test]
    fn a_signature_covers_every_part_and_has_one_spelling() {
        let key = [SigningKey::new(b"secret")];
        let signature = key[0].sign(&VERIFY);
        let changed = [
            SignedContent { method: "PUT", ..VERIFY },
            SignedContent { path: "/v1/server/tokens/verify/", ..VERIFY },
            SignedContent { query: "a=1", ..VERIFY },
            SignedContent { timestamp: "1750000000001", ..VERIFY },
            SignedContent { nonce: "n-0123456788", ..VERIFY },
            SignedContent { body: br#"{"token":"pg1.abd"}"#, ..VERIFY },
        ];
        for content in changed {
            assert!(!content.is_signed_by(&key, signature.as_bytes()), "{content:?}");
        }
        for spelling in [signature.to_uppercase(), signature[..63].to_owned(), format!("{signature}0"), String::new()] {
            assert!(!VERIFY.is_signed_by(&key, spelling.as_bytes()), "{spelling:?}");
        }
    }

    #[test]
    fn the_clock_window_is_five_minutes_either_way_and_includes_its_edges() {
        let now = Timestamp::from_millis(1_750_000_000_000);
        let edge = 300_000;
        for (offset, fresh) in [(0, true), (edge, true), (-edge, true), (edge + 1, false), (-edge - 1, false)] {
            assert_eq!(is_fresh(Timestamp::from_millis(now.as_millis() + offset), now), fresh, "{offset}");
        }
        assert!(!is_fresh(Timestamp::from_millis(i64::MAX), now));
        assert!(!is_fresh(Timestamp::from_millis(i64::MIN), now));
    }

    proptest! {
        #[test]
        fn a_changed_body_never_passes(body in prop::collection::vec(any::<u8>(), 0..200), flip in any::<prop::sample::Index>()) {
            let key = [SigningKey::new(b"secret")];
            let signature = key[0].sign(&SignedContent { body: &body, ..VERIFY });
            let mut changed = body.clone();
            match changed.len() {
                0 => changed.push(0),
                length => changed[flip.index(length)] ^= 1,
            }
            let accepted = |body: &[u8]| SignedContent { body, ..VERIFY }.is_signed_by(&key, signature.as_bytes());
            prop_assert!(accepted(&body));
            prop_assert!(!accepted(&changed));
        }
    }
}
