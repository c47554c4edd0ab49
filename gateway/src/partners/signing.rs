//! How partners sign, pure.
//!
//! - `hmac`: as game servers do, with `X-Partner-Id` in the place of `X-App-Id`. Nonces are not stored: an event that comes
//!   again under its `event_id` is recognised, and within five minutes only.
//! - `md5-sorted`: as ad networks have done it for long. Parameters: `sign` is the lower-case hex MD5 of every other
//!   parameter, decoded, as `name=value`, sorted by name, joined with `&`, then `&key=` and the secret. Bodies that are not
//!   parameters: the header `X-Signature` is the lower-case hex MD5 of the body as it is sent, followed by the secret.
//! - `none`: not at all.

use std::{borrow::Cow, fmt};

use common::{
    clock::Timestamp,
    error_code::{ErrorCode, PublicError},
    http::{CLOCK_WINDOW, SignatureClaim, SigningKey, only_one},
};
use http::{HeaderName, request::Parts};
use md5::{Digest, Md5};
use secrecy::{ExposeSecret, SecretString};
use subtle::{Choice, ConstantTimeEq};
use volo::FastStr;

const X_PARTNER_ID: HeaderName = HeaderName::from_static("x-partner-id");
const X_SIGNATURE: HeaderName = HeaderName::from_static("x-signature");

/// The parameter with the signature.
pub(crate) const SIGN: &str = "sign";

/// The parameter with the time at which parameters were signed, if they say so.
const TIMESTAMP: &str = "timestamp";

/// Numbers below are Unix seconds, others Unix milliseconds: as seconds it lies in the year 5138, as milliseconds in 1973.
const SMALLEST_MILLIS: i64 = 100_000_000_000;

/// Parameters of a request at most: sorting them takes time.
const MOST_PARAMETERS: usize = 256;

/// What an MD5 signature covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Md5Over {
    /// The body as a whole.
    Body,
    /// The parameters of the query.
    Query,
    /// The parameters of the query and of the body, which is a form.
    QueryAndForm,
}

/// How a partner signs, with its live secrets.
pub(crate) enum Signing {
    Hmac(Vec<SigningKey>),
    Md5Sorted(Vec<SecretString>),
    None,
    /// In a way that this version does not know. Nothing can be said about such a partner's requests.
    Unknown,
}

type Parameters<'a> = Vec<(Cow<'a, str>, Cow<'a, str>)>;

impl Signing {
    pub(crate) fn new(signing: &str, secrets: &[FastStr]) -> Self {
        match signing {
            "hmac" => Self::Hmac(secrets.iter().map(|secret| SigningKey::new(secret.as_bytes())).collect()),
            "md5-sorted" => Self::Md5Sorted(secrets.iter().map(|secret| SecretString::from(secret.as_str())).collect()),
            "none" => Self::None,
            _ => Self::Unknown,
        }
    }

    /// Refuses what can be refused before the body is read.
    pub(super) fn look_at_head(
        &self,
        name: &str,
        head: &Parts,
        md5_over: Md5Over,
        now: Timestamp,
    ) -> Result<(), PublicError> {
        match self {
            Self::Hmac(_) => {
                let claimed = only_one(&head.headers, &X_PARTNER_ID).ok_or_else(missing)?;
                let claim = SignatureClaim::of(&head.headers).ok_or_else(missing)?;
                if claimed.as_bytes() != name.as_bytes() {
                    return Err(PublicError::new(ErrorCode::BAD_SIGNATURE));
                }
                if !claim.is_fresh(now) {
                    return Err(PublicError::new(ErrorCode::STALE_TIMESTAMP));
                }
                Ok(())
            }
            Self::Md5Sorted(_) if md5_over == Md5Over::Body => {
                only_one(&head.headers, &X_SIGNATURE).map(drop).ok_or_else(missing)
            }
            Self::Md5Sorted(_) | Self::None => Ok(()),
            Self::Unknown => {
                tracing::error!("a partner signs in a way that only a later version of the gateway knows");
                Err(PublicError::unavailable(common::error_code::DEFAULT_RETRY_AFTER))
            }
        }
    }

    /// Whether the partner has signed this. An error: it is not signed at all, or too old.
    pub(super) fn is_by_the_partner(
        &self,
        head: &Parts,
        body: &[u8],
        md5_over: Md5Over,
        now: Timestamp,
    ) -> Result<bool, PublicError> {
        match self {
            Self::Hmac(keys) => {
                let claim = SignatureClaim::of(&head.headers).ok_or_else(missing)?;
                Ok(claim.is_signed_by(keys, head, body))
            }
            Self::Md5Sorted(secrets) if md5_over == Md5Over::Body => {
                let signature = only_one(&head.headers, &X_SIGNATURE).ok_or_else(missing)?;
                Ok(matches_any(secrets, signature.as_bytes(), |secret| Md5::new_with_prefix(body).chain_update(secret)))
            }
            Self::Md5Sorted(secrets) => {
                let form = if md5_over == Md5Over::QueryAndForm { body } else { b"" };
                let mut parameters = parameters(head.uri.query().unwrap_or_default(), form)?;
                let signature = take_signature(&mut parameters)?;
                check_time(&parameters, now)?;
                let text = sorted_text(&mut parameters);
                Ok(matches_any(secrets, signature.as_bytes(), |secret| {
                    Md5::new_with_prefix(&text).chain_update(secret)
                }))
            }
            Self::None => Ok(true),
            Self::Unknown => Err(PublicError::unavailable(common::error_code::DEFAULT_RETRY_AFTER)),
        }
    }
}

impl fmt::Debug for Signing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hmac(_) => "Hmac",
            Self::Md5Sorted(_) => "Md5Sorted",
            Self::None => "None",
            Self::Unknown => "Unknown",
        })
    }
}

/// Whether a request presents any signature: of a partner that does not exist it is wrong, and its absence is a lack.
pub(super) fn presents_anything(head: &Parts) -> bool {
    let in_query =
        || form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()).any(|(name, _)| name == SIGN);
    head.headers.contains_key(X_SIGNATURE) || in_query()
}

/// A query or form without its signature, as it was encoded. What is stored does not need it.
pub(crate) fn without_signature(encoded: &str) -> Cow<'_, str> {
    let is_signature = |pair: &&str| form_urlencoded::parse(pair.as_bytes()).any(|(name, _)| name == SIGN);
    if !encoded.split('&').any(|pair| is_signature(&pair)) {
        return Cow::Borrowed(encoded);
    }
    Cow::Owned(encoded.split('&').filter(|pair| !is_signature(pair)).collect::<Vec<_>>().join("&"))
}

fn missing() -> PublicError {
    PublicError::new(ErrorCode::MISSING_CREDENTIALS)
}

fn parameters<'a>(query: &'a str, form: &'a [u8]) -> Result<Parameters<'a>, PublicError> {
    let all = form_urlencoded::parse(query.as_bytes()).chain(form_urlencoded::parse(form));
    let parameters: Parameters<'_> = all.take(MOST_PARAMETERS + 1).collect();
    match parameters.len() {
        0..=MOST_PARAMETERS => Ok(parameters),
        _ => Err(PublicError::invalid("parameters", "there are more than 256")),
    }
}

/// The one parameter with the signature.
fn take_signature<'a>(parameters: &mut Parameters<'a>) -> Result<Cow<'a, str>, PublicError> {
    let at = parameters.iter().position(|(name, _)| name == SIGN).ok_or_else(missing)?;
    let (_, signature) = parameters.swap_remove(at);
    // Of two a proxy and this process may each believe another.
    if parameters.iter().any(|(name, _)| name == SIGN) { Err(missing()) } else { Ok(signature) }
}

/// A partner that tells the time is held to it.
fn check_time(parameters: &Parameters<'_>, now: Timestamp) -> Result<(), PublicError> {
    let Some((_, told)) = parameters.iter().find(|(name, _)| name == TIMESTAMP) else { return Ok(()) };
    let told: i64 =
        told.parse().map_err(|_| PublicError::invalid(TIMESTAMP, "expected Unix seconds or milliseconds"))?;
    let millis = if told < SMALLEST_MILLIS { told.saturating_mul(1000) } else { told };
    let sent_at = Timestamp::from_millis(millis);
    match now.since(sent_at) <= CLOCK_WINDOW && sent_at.since(now) <= CLOCK_WINDOW {
        true => Ok(()),
        false => Err(PublicError::new(ErrorCode::STALE_TIMESTAMP)),
    }
}

/// `a=1&b=2&key=`, to be followed by the secret. Of parameters of one name the smaller value comes first.
fn sorted_text(parameters: &mut Parameters<'_>) -> String {
    parameters.sort_unstable();
    let mut text = String::with_capacity(parameters.iter().map(|(name, value)| name.len() + value.len() + 2).sum());
    for (name, value) in parameters.iter() {
        text.push_str(name);
        text.push('=');
        text.push_str(value);
        text.push('&');
    }
    text.push_str("key=");
    text
}

/// The time this takes does not depend on where a signature differs.
fn matches_any(secrets: &[SecretString], signature: &[u8], digest: impl Fn(&[u8]) -> Md5) -> bool {
    let matches = secrets.iter().map(|secret| {
        let mut expected = [0; 32];
        // Only ever called with the 16 bytes of an MD5; anything else stays zero and matches no hex text.
        let _ = hex::encode_to_slice(digest(secret.expose_secret().as_bytes()).finalize(), &mut expected);
        expected.as_slice().ct_eq(signature)
    });
    matches.fold(Choice::from(0), |any, one| any | one).into()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_750_000_000_000);

    fn head(query: &str, signature: Option<&str>) -> Parts {
        let mut request = http::Request::builder().uri(format!("/v1/partner/ads/clicks?{query}"));
        if let Some(signature) = signature {
            request = request.header("x-signature", signature);
        }
        request.body(()).expect("well formed").into_parts().0
    }

    fn md5_sorted(secrets: &[&'static str]) -> Signing {
        Signing::new("md5-sorted", &secrets.iter().copied().map(FastStr::from_static_str).collect::<Vec<_>>())
    }

    fn judged(query: &str, form: &str) -> Result<bool, i32> {
        let over = if form.is_empty() { Md5Over::Query } else { Md5Over::QueryAndForm };
        let judged = md5_sorted(&["s3cret"]).is_by_the_partner(&head(query, None), form.as_bytes(), over, NOW);
        judged.map_err(|error| error.code.inner())
    }

    #[test]
    fn parameters_are_signed_as_an_independent_implementation_does_it() {
        // Computed with Python: hashlib.md5(("&".join(f"{k}={v}" for k, v in sorted(...)) + "&key=s3cret").encode()).
        let query = "idfa=A1&click_id=c-1&name=%E4%BD%A0+%26&empty=&sign=9b1ddcc6a49c8fbf7598e8f4b55e80fd";
        assert_eq!(judged(query, ""), Ok(true));
        assert_eq!(judged("", query), Ok(true), "a form as well");
        let (in_query, in_form) = query.split_once('&').expect("several");
        assert_eq!(judged(in_query, in_form), Ok(true), "and one half here and one there");
        assert_eq!(judged(&query.replace("A1", "A2"), ""), Ok(false));
        assert_eq!(judged(&query.replace("empty=&", ""), ""), Ok(false), "empty ones are covered, too");
        assert_eq!(
            judged(&query.replace("9b1ddcc6a49c8fbf7598e8f4b55e80fd", "9B1DDCC6A49C8FBF7598E8F4B55E80FD"), ""),
            Ok(false),
            "a signature has one spelling"
        );
        assert_eq!(judged("idfa=A1", ""), Err(4_010_001));
        assert_eq!(judged(&format!("{query}&sign=x"), ""), Err(4_010_001));
        assert_eq!(judged(&"a=1&".repeat(257), ""), Err(4_000_001));
    }

    #[test]
    fn a_body_is_signed_with_the_secret_behind_it() {
        let over_body = |body: &[u8], signature| {
            let partner = md5_sorted(&["new", "s3cret"]);
            let head = head("", signature);
            partner.look_at_head("ads", &head, Md5Over::Body, NOW)?;
            partner.is_by_the_partner(&head, body, Md5Over::Body, NOW)
        };
        // hashlib.md5(b'{"event_id":"e-1"}' + b"s3cret")
        let signature = Some("f63f3bbe1fc759d7dda421c63f71c936");
        assert_eq!(over_body(br#"{"event_id":"e-1"}"#, signature), Ok(true));
        assert_eq!(over_body(br#"{"event_id":"e-2"}"#, signature), Ok(false));
        assert_eq!(over_body(b"", Some("")), Ok(false));
        assert_eq!(over_body(b"{}", None).map_err(|error| error.code), Err(ErrorCode::MISSING_CREDENTIALS));
    }

    #[test]
    fn who_tells_the_time_is_held_to_it_in_seconds_or_milliseconds() {
        let check = |told: &str| {
            let parameters = vec![(Cow::Borrowed(TIMESTAMP), Cow::Borrowed(told))];
            check_time(&parameters, NOW).map_err(|error| error.code.inner())
        };
        for fresh in ["1750000000", "1750000300", "1749999700", "1750000000000", "1750000300000"] {
            assert_eq!(check(fresh), Ok(()), "{fresh}");
        }
        for stale in ["1750000301", "1750000300001", "0", "-1", "9223372036854775807", "-9223372036854775808"] {
            assert_eq!(check(stale), Err(4_010_003), "{stale}");
        }
        for bad in ["", "now", "1750000000.5"] {
            assert_eq!(check(bad), Err(4_000_001), "{bad}");
        }
    }

    #[test]
    fn a_way_of_signing_that_is_not_known_leaves_the_question_open() {
        let unknown = Signing::new("ed25519", &[]);
        let refused = unknown.look_at_head("ads", &head("", None), Md5Over::Body, NOW);
        assert_eq!(refused.map_err(|error| error.http_status()), Err(503));
    }

    #[test]
    fn without_secrets_nothing_is_signed() {
        for signing in [Signing::new("hmac", &[]), Signing::new("md5-sorted", &[])] {
            let head = head("a=1&sign=d41d8cd98f00b204e9800998ecf8427e", Some("d41d8cd98f00b204e9800998ecf8427e"));
            assert_ne!(signing.is_by_the_partner(&head, b"", Md5Over::Query, NOW), Ok(true), "{signing:?}");
            assert_ne!(signing.is_by_the_partner(&head, b"", Md5Over::Body, NOW), Ok(true), "{signing:?}");
        }
    }

    #[test]
    fn no_secret_is_printed() {
        assert!(
            !format!("{:?} {:?}", md5_sorted(&["s3cret"]), Signing::new("hmac", &["s3cret".into()])).contains("s3cret")
        );
    }

    #[test]
    fn what_is_kept_of_parameters_has_no_signature() {
        for (encoded, kept) in [
            ("a=1&sign=x&b=2", "a=1&b=2"),
            ("sign=x", ""),
            ("%73ign=x&a=1", "a=1"),
            ("a=1&signed=x&b=sign", "a=1&signed=x&b=sign"),
        ] {
            assert_eq!(without_signature(encoded), kept);
        }
    }

    proptest! {
        #[test]
        fn parameters_that_read_otherwise_are_never_taken_for_signed(
            pairs in prop::collection::vec(("[a-c]{1,2}", "[0-9&= %\u{e9}]{0,3}"), 1..5),
            flip in any::<prop::sample::Index>(),
        ) {
            let encode = |pairs: &[(String, String)], sign: &str| {
                let mut text = form_urlencoded::Serializer::new(String::new());
                text.extend_pairs(pairs).append_pair(SIGN, sign).finish()
            };
            let mut parameters: Parameters<'_> =
                pairs.iter().map(|(name, value)| (Cow::Borrowed(name.as_str()), Cow::Borrowed(value.as_str()))).collect();
            let text = sorted_text(&mut parameters);
            let sign = hex::encode(Md5::new_with_prefix(&text).chain_update("s3cret").finalize());
            prop_assert_eq!(judged(&encode(&pairs, &sign), ""), Ok(true));
            let mut changed = pairs.clone();
            changed[flip.index(pairs.len())].1.push('7');
            prop_assert_eq!(judged(&encode(&changed, &sign), ""), Ok(false));
        }
    }
}
