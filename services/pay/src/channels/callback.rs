//! What a channel sent, exactly as it came, and what is found out about it.

use std::{borrow::Cow, fmt};

use common::clock::Timestamp;

use super::money::Money;

/// A callback as it came over HTTP. Nothing in it is decoded: signatures cover the raw bytes.
#[derive(Clone, Copy)]
pub struct RawCallback<'a> {
    /// Upper case, such as `POST`.
    pub method: &'a str,
    /// As sent, percent-encoding untouched.
    pub path: &'a str,
    /// As sent, without its question mark; empty when there is none.
    pub query: &'a str,
    /// Names in any case, values as sent; a name may come more than once.
    pub headers: &'a [(String, String)],
    /// As sent; empty when there is none.
    pub body: &'a [u8],
}

/// What an authentic callback comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Money moved.
    Facts(PaymentFacts),
    /// An authentic notice that says nothing about money: acknowledged, so that it does not come again. The text is for
    /// logs and holds nothing that was sent.
    Ignored(&'static str),
    /// An authentic notice that something was bought; what, only the channel's own interface tells. The answer goes to
    /// [`super::PaymentChannel::read_answer`].
    Ask(Question),
}

/// What a channel vouches for. Whether it fits an order is for whoever knows the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentFacts {
    /// Our order, as the channel gives it back. `None`: the channel names the payment by its own number only. With a refund
    /// the order is the one that was paid with [`Self::channel_order_id`]; a payment without was begun without an order,
    /// and somebody has to look into it.
    pub order_id: Option<String>,
    /// The channel's number of the payment; of a refund, the number of the payment that is refunded.
    pub channel_order_id: String,
    /// What the player paid.
    pub charged: Charged,
    /// When, by the channel's clock; `None`: it does not say.
    pub paid_at: Option<Timestamp>,
    /// No real money: a sandbox of the channel, or a tester.
    pub is_test: bool,
    /// The product by the channel's name for it. Where it is there it has to be the order's.
    pub channel_product_id: Option<String>,
    /// Whether money came or went back.
    pub what: What,
}

/// What the player paid, and what it has to be compared with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charged {
    /// What we told the channel to charge: has to be the order's amount and currency exactly.
    Exactly(Money),
    /// The store sets prices by country: the product decides, and [`PaymentFacts::channel_product_id`] is there for every
    /// payment (a refund may come without). What was paid is for the books, where the store says it.
    StorePrice(Option<Money>),
}

/// Which way the money went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// The player has paid.
    Paid,
    /// The payment was taken back, or a part of it.
    Refunded(Refund),
}

/// A refund, as far as the channel tells about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// The channel's number of the refund, or the one we gave it; tells several refunds of one payment apart. `None`: the
    /// channel gives none.
    pub refund_id: Option<String>,
    /// How much went back.
    pub extent: RefundExtent,
    /// When; `None`: the channel does not say.
    pub refunded_at: Option<Timestamp>,
}

/// How much of a payment went back. Channels count differently, and what they say is not converted here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefundExtent {
    /// All of it.
    Everything,
    /// With all refunds of this payment so far: later notices count earlier ones in.
    SoFar(Money),
    /// With this refund alone: it adds to earlier ones.
    ThisTime(Money),
    /// A part, and the channel does not say which.
    UnknownPart,
}

/// A question to a channel's own interface, which a notice leads to.
#[derive(Clone, PartialEq, Eq)]
pub struct Question {
    /// Where to ask, with GET and an access token of the channel as bearer.
    pub url: String,
    /// The product asked about, by the channel's name for it.
    pub product_id: String,
    /// What identifies the purchase to the channel. A secret between it and us.
    pub purchase_token: String,
    /// How the purchase is acknowledged once its order is paid, with POST and the same access token; a purchase that
    /// nobody acknowledges is refunded.
    pub acknowledge_url: String,
}

/// What a question was answered with.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The HTTP status.
    pub status: u16,
    /// Some channels sign their answers in headers.
    pub headers: &'a http::HeaderMap,
    /// The raw body.
    pub body: &'a [u8],
}

/// Why a callback is not believed: one variant per thing that somebody can act on. The texts name fields and never repeat
/// what was sent or configured, except for serial numbers, which are public.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CallbackRefusal {
    /// Forged, altered on the way, or signed with another key than the configured one.
    #[error("the signature is not the channel's")]
    BadSignature,
    /// Not the form that the channel documents.
    #[error("{field}: {reason}")]
    Malformed {
        /// Where it is wrong.
        field: Cow<'static, str>,
        /// What would be right.
        reason: &'static str,
    },
    /// Authentic, and for somebody else: another app, seller or merchant.
    #[error("{field} is not the configured one")]
    WrongMerchant {
        /// Which identifier differs.
        field: Cow<'static, str>,
    },
    /// Signed with a key or certificate that is not configured here, or not yet: the channel changes them at times.
    #[error("signed with a key that is not known here: {serial}")]
    UnknownCertificate {
        /// Its serial number or id, if it was printable.
        serial: String,
    },
    /// Signed with a certificate that does not lead to the configured authority.
    #[error("the certificate is not trusted: {reason}")]
    UntrustedCertificate {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Signed at a time too far from ours: a replay, or a clock that is wrong.
    #[error("signed too long ago, or in the future")]
    StaleTimestamp,
    /// Nothing can be checked before somebody configures this.
    #[error("{key} is not configured")]
    NotConfigured {
        /// What is missing.
        key: &'static str,
    },
    /// The channel could not answer a question: ask again later.
    #[error("the channel did not answer: status {status}")]
    ChannelUnavailable {
        /// The HTTP status it answered.
        status: u16,
    },
}

impl<'a> RawCallback<'a> {
    /// The one value of a header that identifies or authenticates. Two of them are refused: whoever looks at the other one
    /// would see another request.
    pub(super) fn only_header(&self, name: &'static str) -> Result<Option<&'a str>, CallbackRefusal> {
        let mut values = self.headers.iter().filter(|(header, _)| header.eq_ignore_ascii_case(name));
        let first = values.next().map(|(_, value)| value.as_str());
        if values.next().is_some() {
            return Err(CallbackRefusal::malformed(name, "must not come twice"));
        }
        Ok(first)
    }

    /// Such a header that has to be there.
    pub(super) fn required_header(&self, name: &'static str) -> Result<&'a str, CallbackRefusal> {
        match self.only_header(name)? {
            Some(value) if !value.is_empty() => Ok(value),
            _ => Err(CallbackRefusal::malformed(name, "is required")),
        }
    }
}

impl CallbackRefusal {
    pub(super) fn malformed(field: impl Into<Cow<'static, str>>, reason: &'static str) -> Self {
        Self::Malformed { field: field.into(), reason }
    }

    pub(super) fn wrong_merchant(field: impl Into<Cow<'static, str>>) -> Self {
        Self::WrongMerchant { field: field.into() }
    }

    /// A serial number comes from whoever called: it is only repeated if it can do no harm in a log.
    pub(super) fn unknown_certificate(serial: &str) -> Self {
        let harmless = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        let printable = (1..=64).contains(&serial.len()) && serial.bytes().all(harmless);
        Self::UnknownCertificate { serial: if printable { serial.to_owned() } else { "(not printable)".to_owned() } }
    }
}

/// Headers may hold tokens, bodies personal data.
impl fmt::Debug for RawCallback<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawCallback").field("method", &self.method).field("path", &self.path).finish_non_exhaustive()
    }
}

impl fmt::Debug for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Question").field("product_id", &self.product_id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_is_found_in_any_case_and_only_once() {
        let headers = [("x-sign".to_owned(), "a".to_owned()), ("Twice".to_owned(), "b".to_owned())];
        let twice = [headers.as_slice(), &[("twice".to_owned(), "b".to_owned())]].concat();
        let callback = RawCallback { method: "POST", path: "/", query: "", headers: &twice, body: b"" };
        assert_eq!(callback.only_header("X-Sign"), Ok(Some("a")));
        assert_eq!(callback.only_header("X-None"), Ok(None));
        assert_eq!(callback.required_header("X-None"), Err(CallbackRefusal::malformed("X-None", "is required")));
        assert_eq!(callback.only_header("Twice"), Err(CallbackRefusal::malformed("Twice", "must not come twice")));
    }

    #[test]
    fn a_serial_number_that_could_forge_a_log_line_is_not_repeated() {
        let serial = |serial: &str| CallbackRefusal::unknown_certificate(serial).to_string();
        assert!(serial("PUB_KEY_ID_01").ends_with("PUB_KEY_ID_01"));
        for bad in ["a\nb", "", &"a".repeat(65)] {
            assert!(serial(bad).ends_with("(not printable)"), "{bad:?}");
        }
    }
}
