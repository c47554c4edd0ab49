//! Asking a channel's own interface: what has become of an order, and for the money back.
//!
//! A channel makes the request and reads the answer; how it goes over the network, and when, is for whoever asks. An answer
//! is believed as a callback is: only with the channel's signature, and only about what was asked.

use common::clock::{Random, Timestamp};
use http::Uri;

use super::{
    callback::{Answer, CallbackRefusal, PaymentFacts, RawCallback},
    config::ConfigProblem,
    money::Money,
};

/// The longest address of an interface, in bytes.
const LONGEST_API: usize = 1024;

/// The longest code of an answer that is repeated in logs and journals, in bytes.
const LONGEST_CODE: usize = 64;

/// An order as its channel is asked about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskedOrder<'a> {
    /// Our number, as the channel was given it.
    pub order_id: &'a str,
    /// The channel's number of the payment; `None`: there is none that we know of.
    pub channel_order_id: Option<&'a str>,
    /// What the order costs.
    pub price: Money,
}

/// An order's money, asked back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AskedRefund<'a> {
    /// Which order.
    pub order: AskedOrder<'a>,
    /// How much of it: all of it, unless a part has gone back before.
    pub amount: Money,
    /// Our number of the refund: the same however often it is asked for, so that the money goes back once.
    pub refund_id: &'a str,
}

/// What a request is made of besides.
#[derive(Clone, Copy, Debug)]
pub struct AskInputs<'a> {
    /// The time of this attempt.
    pub now: Timestamp,
    /// For numbers that are used once.
    pub random: &'a dyn Random,
}

/// What a channel says of an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentAnswer {
    /// It was paid. The facts are as good as those of a callback.
    Paid(PaymentFacts),
    /// There is a payment under way, and no money yet.
    NotPaid,
    /// The payment was given up, and can't be made any more.
    Closed,
    /// The channel has never heard of the order: the player has not begun to pay.
    Unknown,
    /// The channel can't or won't say.
    Declined {
        /// Its own word for why; safe to log.
        code: String,
    },
}

/// What a channel says to a refund.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RefundAnswer {
    /// The money is back. The facts are as good as those of a callback.
    Done(PaymentFacts),
    /// It is on its way, or the channel can't tell yet: to be asked again with the same number.
    UnderWay,
    /// The channel does not give it back.
    Refused {
        /// Its own word for why; safe to log.
        code: String,
    },
}

impl Answer<'_> {
    /// The headers as pairs. A value that is no text is empty.
    pub(crate) fn header_pairs(&self) -> Vec<(String, String)> {
        let pair = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
            (name.as_str().to_owned(), value.to_str().unwrap_or_default().to_owned())
        };
        self.headers.iter().map(pair).collect()
    }

    /// The answer as if it had come by itself: for channels that sign both in the same way. `headers` are its
    /// [`header_pairs`](Self::header_pairs).
    pub(crate) fn as_callback<'a>(&'a self, headers: &'a [(String, String)]) -> RawCallback<'a> {
        RawCallback { method: "", path: "", query: "", headers, body: self.body }
    }

    /// An error for an answer that has nothing to do with what was asked.
    pub(super) fn unavailable(&self) -> CallbackRefusal {
        CallbackRefusal::ChannelUnavailable { status: self.status }
    }
}

/// A channel's code, as far as it can do no harm in a log.
pub(super) fn code(raw: &str) -> String {
    let harmless = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    let printable = (1..=LONGEST_CODE).contains(&raw.len()) && raw.bytes().all(harmless);
    if printable { raw.to_owned() } else { "(not printable)".to_owned() }
}

/// What an answer says it is about has to be what was asked about.
pub(super) fn is_about(field: &'static str, said: Option<&str>, asked: &str) -> Result<(), CallbackRefusal> {
    match said {
        Some(said) if said == asked => Ok(()),
        Some(_) => Err(CallbackRefusal::malformed(field, "is not what was asked about")),
        None => Err(CallbackRefusal::malformed(field, "is required")),
    }
}

/// The address of an interface, without a slash at its end. Plain HTTP is for `development`.
pub(super) fn api(configured: Option<String>, usual: &str, development: bool) -> Result<String, ConfigProblem> {
    let Some(url) = configured else { return Ok(usual.to_owned()) };
    let parsed = url.parse::<Uri>().ok().filter(|_| url.len() <= LONGEST_API && !url.contains(['#', '?', '@']));
    let good = parsed.is_some_and(|uri| match uri.scheme_str() {
        Some("https") => uri.host().is_some_and(|host| !host.is_empty()),
        Some("http") => development && uri.host().is_some_and(|host| !host.is_empty()),
        _ => false,
    });
    let problem = "must be an https URL without query, fragment and user name, of at most 1024 bytes";
    if good { Ok(url.trim_end_matches('/').to_owned()) } else { Err(ConfigProblem::new("api", problem)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interface_is_called_over_tls_except_in_development() {
        let of = |url: &str, development| api(Some(url.to_owned()), "https://usual.example", development).ok();
        assert_eq!(api(None, "https://usual.example", false).ok().as_deref(), Some("https://usual.example"));
        assert_eq!(of("https://api.example/", false).as_deref(), Some("https://api.example"));
        assert_eq!(of("http://127.0.0.1:1/pay", true).as_deref(), Some("http://127.0.0.1:1/pay"));
        let long = format!("https://api.example/{}", "a".repeat(LONGEST_API));
        for bad in ["http://api.example", "ftp://api.example", "api.example", "https://", "https://u@a.example", &long]
        {
            assert_eq!(of(bad, false), None, "{bad}");
        }
        assert_eq!(of("https://api.example/?a=1", true), None);
    }

    #[test]
    fn a_code_that_could_forge_a_log_line_is_not_repeated() {
        assert_eq!(code("ACQ.TRADE_NOT_EXIST"), "ACQ.TRADE_NOT_EXIST");
        for bad in ["", "a b", "a\nb", "余额不足", &"a".repeat(65)] {
            assert_eq!(code(bad), "(not printable)", "{bad}");
        }
    }
}
