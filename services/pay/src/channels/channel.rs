//! What every payment channel can do: judge a callback, answer it in its own form, and perhaps be asked.

use std::{borrow::Cow, fmt};

use bytes::Bytes;
use common::clock::Timestamp;
use http::Request;

use super::{
    asking::{AskInputs, AskedOrder, AskedRefund, PaymentAnswer, RefundAnswer},
    callback::{Answer, CallbackRefusal, Question, RawCallback, Verdict},
};

/// A payment channel of one app, with the keys to check its callbacks.
pub trait PaymentChannel: Send + Sync + fmt::Debug {
    /// Whether the callback is the channel's and meant for this app, and what it says. The same callback gives the same
    /// verdict as often as it comes: that money counts once is for whoever keeps the orders. `now` is when the callback
    /// came, also where it is looked into later.
    fn verify(&self, callback: &RawCallback<'_>, now: Timestamp) -> Result<Verdict, CallbackRefusal>;

    /// What the channel is answered, in the form it understands.
    fn acknowledge(&self, outcome: Outcome) -> Acknowledgement;

    /// What the answer to a [`Verdict::Ask`] comes to. Channels that never ask refuse every answer.
    fn read_answer(&self, _question: &Question, _answer: &Answer<'_>) -> Result<Verdict, CallbackRefusal> {
        Err(CallbackRefusal::malformed("answer", "this channel asks nothing"))
    }

    /// Whether the purchase that was answered still has to be acknowledged at the channel, once its order is paid.
    fn owes_acknowledgement(&self, _answer: &Answer<'_>) -> bool {
        false
    }

    /// Whether it can be asked about orders, and for money back, as it is configured.
    fn can_be_asked(&self) -> bool {
        false
    }

    /// How it is asked what has become of an order; `None`: it can't be.
    fn ask_payment(&self, _order: &AskedOrder<'_>, _inputs: &AskInputs<'_>) -> Option<Request<Bytes>> {
        None
    }

    /// What the answer to [`Self::ask_payment`] says. `now` is when it came. Whoever could have written it himself is not
    /// believed.
    fn read_payment(
        &self,
        _order: &AskedOrder<'_>,
        _answer: &Answer<'_>,
        _now: Timestamp,
    ) -> Result<PaymentAnswer, CallbackRefusal> {
        Err(CallbackRefusal::malformed("answer", "this channel can't be asked"))
    }

    /// How it is asked to give an order's money back; `None`: it can't be. To be asked again in the same way until
    /// it has answered: the number of the refund makes it one.
    fn ask_refund(&self, _refund: &AskedRefund<'_>, _inputs: &AskInputs<'_>) -> Option<Request<Bytes>> {
        None
    }

    /// What the answer to [`Self::ask_refund`] says. `now` is when it came.
    fn read_refund(
        &self,
        _refund: &AskedRefund<'_>,
        _answer: &Answer<'_>,
        _now: Timestamp,
    ) -> Result<RefundAnswer, CallbackRefusal> {
        Err(CallbackRefusal::malformed("answer", "this channel can't be asked"))
    }
}

/// What became of a callback, as far as the channel has to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is stored, or there is nothing to store: it need not come again.
    Accepted,
    /// It is not believed. Most channels come again a few times.
    Refused,
    /// Nobody could look into it: it has to come again.
    ComeBackLater,
}

/// An answer over HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// The HTTP status.
    pub status: u16,
    /// The `Content-Type`; `None` with an empty body.
    pub content_type: Option<Cow<'static, str>>,
    /// What the channel compares, to the letter.
    pub body: Cow<'static, str>,
}

impl Acknowledgement {
    /// Plain text.
    pub(super) const fn text(status: u16, body: &'static str) -> Self {
        Self { status, content_type: Some(Cow::Borrowed("text/plain")), body: Cow::Borrowed(body) }
    }

    /// JSON.
    pub(super) const fn json(status: u16, body: &'static str) -> Self {
        Self { status, content_type: Some(Cow::Borrowed("application/json")), body: Cow::Borrowed(body) }
    }

    /// A status and nothing else.
    pub(super) const fn empty(status: u16) -> Self {
        Self { status, content_type: None, body: Cow::Borrowed("") }
    }
}
