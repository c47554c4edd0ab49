//! One question: made by its channel, sent, read by its channel, and what it says carried out.
//!
//! What a channel says to be paid or refunded goes the way of its callbacks: compared with the order, once, with the raw
//! answer as evidence.

use common::{
    clock::{SharedClock, SharedRandom, Timestamp},
    error_code::PublicError,
    http::client::HttpCallError,
};

use crate::{
    apps::Apps,
    callbacks::{Came, alarm::Alarm, payment},
    channel_book::{ChannelBook, ChannelError},
    channel_calls::ChannelCalls,
    channels::{
        Answer, AskInputs, AskedOrder, AskedRefund, BuildInputs, CallbackRefusal, Money, PaymentAnswer, PaymentChannel,
        PaymentFacts, RefundAnswer,
    },
    domain::{self, Order, QuestionKind},
    store::{
        StoreError,
        archive::{self, Evidence},
        orders::{Orders, Receipt, Returned, refund_number},
        questions::ClaimedQuestion,
    },
};

/// Asks channels.
#[derive(Debug)]
pub(crate) struct Asker {
    pub(super) orders: Orders,
    pub(super) channels: ChannelBook,
    pub(super) apps: Apps,
    pub(super) calls: ChannelCalls,
    pub(super) clock: SharedClock,
    pub(super) random: SharedRandom,
    pub(super) alarm: Alarm,
}

/// What a question came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The order is paid, now or before.
    Paid,
    /// The channel vouches for a payment that does not fit the order.
    Unfit(&'static str),
    /// No money yet.
    NotPaid,
    /// The payment can't be made any more.
    Closed,
    /// The channel has never heard of the order.
    Unknown,
    /// The channel does not say.
    Declined,
    /// The money is back, and the order refunded.
    Refunded,
    /// The channel has done it, and the books don't show it.
    RefundNoted,
    /// The money is on its way back.
    UnderWay,
    /// The channel does not give it back.
    RefundRefused(String),
    /// It did not answer, or is in trouble.
    NoAnswer,
    /// Nobody knows whose answer it is.
    NotBelieved,
    /// It could not be asked, or its answer not be written down: not its doing.
    CannotTell,
    /// It can't be asked, as it is configured.
    NotAsked,
}

/// Why a question was not answered.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Channel(#[from] ChannelError),
    #[error("account could not be asked: {0}")]
    Account(PublicError),
    #[error(transparent)]
    Call(#[from] HttpCallError),
    #[error("the answer is not believed: {0}")]
    Refusal(#[from] CallbackRefusal),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An answer, and everything that has to be known to judge it.
struct Answered<'a> {
    claimed: &'a ClaimedQuestion,
    channel: &'a dyn PaymentChannel,
    answer: Answer<'a>,
    headers: &'a [(String, String)],
    /// When it came.
    at: Timestamp,
}

impl Outcome {
    /// As it is counted.
    pub(super) fn as_str(&self) -> &'static str {
        match self {
            Self::Paid => "paid",
            Self::Unfit(why) => why,
            Self::NotPaid => "not_paid",
            Self::Closed => "closed",
            Self::Unknown => "unknown",
            Self::Declined => "declined",
            Self::Refunded => "refunded",
            Self::RefundNoted => "refund_noted",
            Self::UnderWay => "under_way",
            Self::RefundRefused(_) => "refused",
            Self::NoAnswer => "no_answer",
            Self::NotBelieved => "not_believed",
            Self::CannotTell => "cannot_tell",
            Self::NotAsked => "not_asked",
        }
    }
}

impl Asker {
    /// Whether a channel of an app can be asked, as it is configured now.
    pub(crate) async fn can_be_asked(&self, app_id: i64, channel: &str) -> Result<bool, ChannelError> {
        let config = self.channels.find(app_id, channel).await?;
        Ok(config.is_some_and(|config| config.build(&BuildInputs::default()).can_be_asked()))
    }

    /// Whether an order's money can be asked back at its channel.
    pub(crate) async fn can_give_back(&self, order: &Order) -> Result<bool, ChannelError> {
        match (&order.channel, &order.channel_order_id) {
            (Some(channel), Some(_)) => self.can_be_asked(order.app_id, channel).await,
            _ => Ok(false),
        }
    }

    /// Asks once.
    pub(super) async fn ask(&self, claimed: &ClaimedQuestion) -> Outcome {
        let trouble = match self.try_ask(claimed).await {
            Ok(outcome) => return outcome,
            Err(trouble) => trouble,
        };
        let (channel, app_id) = (&*claimed.lane.channel, claimed.lane.app_id);
        let (order_id, kind) = (claimed.order.order_id, claimed.kind.as_str());
        self.alarm.raise(self.clock.now(), || {
            tracing::warn!(
                channel,
                app_id,
                %order_id,
                kind,
                %trouble,
                "a channel could not be asked; it is asked again, and further failures of the next seconds are only counted"
            );
        });
        match trouble {
            Trouble::Call(HttpCallError::Forbidden | HttpCallError::Request(_)) => Outcome::CannotTell,
            Trouble::Call(_) | Trouble::Refusal(CallbackRefusal::ChannelUnavailable { .. }) => Outcome::NoAnswer,
            Trouble::Refusal(_) => Outcome::NotBelieved,
            Trouble::Channel(_) | Trouble::Account(_) | Trouble::Store(_) => Outcome::CannotTell,
        }
    }

    async fn try_ask(&self, claimed: &ClaimedQuestion) -> Result<Outcome, Trouble> {
        let (order, lane) = (&claimed.order, &claimed.lane);
        let Some(config) = self.channels.find(lane.app_id, &lane.channel).await? else {
            return Ok(Outcome::NotAsked);
        };
        let app = self.apps.find(lane.app_id).await.map_err(Trouble::Account)?;
        let app_secrets = app.map(|app| app.secrets.clone()).unwrap_or_default();
        let channel = config.build(&BuildInputs { app_secrets, ..BuildInputs::default() });
        let inputs = AskInputs { now: self.clock.now(), random: self.random.as_ref() };
        let refund_id = refund_number(order.order_id);
        let amount = match claimed.kind {
            QuestionKind::Payment => order.price,
            QuestionKind::Refund => self.orders.asked_back(order).await?,
        };
        let request = match claimed.kind {
            QuestionKind::Payment => channel.ask_payment(&asked_order(order), &inputs),
            QuestionKind::Refund => channel.ask_refund(&asked_refund(order, amount, &refund_id), &inputs),
        };
        let Some(request) = request else { return Ok(Outcome::NotAsked) };
        let response = self.calls.send(request).await?;
        let answer = Answer { status: response.status().as_u16(), headers: response.headers(), body: response.body() };
        let headers = answer.header_pairs();
        let answered = Answered { claimed, channel: &*channel, answer, headers: &headers, at: self.clock.now() };
        match claimed.kind {
            QuestionKind::Payment => self.payment(&answered).await,
            QuestionKind::Refund => self.refund(&answered, &asked_refund(order, amount, &refund_id)).await,
        }
    }

    async fn payment(&self, answered: &Answered<'_>) -> Result<Outcome, Trouble> {
        let (order, lane) = (&answered.claimed.order, &answered.claimed.lane);
        let said = answered.channel.read_payment(&asked_order(order), &answered.answer, answered.at)?;
        match said {
            PaymentAnswer::Paid(facts) => self.paid(answered, facts).await,
            PaymentAnswer::NotPaid => Ok(Outcome::NotPaid),
            PaymentAnswer::Closed => Ok(Outcome::Closed),
            PaymentAnswer::Unknown => Ok(Outcome::Unknown),
            PaymentAnswer::Declined { code } => {
                let (channel, app_id, order_id) = (&*lane.channel, lane.app_id, order.order_id);
                self.alarm.raise(self.clock.now(), || {
                    tracing::warn!(channel, app_id, %order_id, code, "a channel does not say what has become of an order");
                });
                Ok(Outcome::Declined)
            }
        }
    }

    async fn paid(&self, answered: &Answered<'_>, facts: PaymentFacts) -> Result<Outcome, Trouble> {
        let (came, order_id) = (answered.came(), answered.claimed.order.order_id);
        let payment = payment::payment(came, facts).filter(|payment| payment.order_id == order_id);
        let other = CallbackRefusal::Malformed { field: "answer".into(), reason: "is not about the order" };
        let payment = payment.ok_or(other)?;
        let headers = answered.headers_json()?;
        let actor = format!("{} (asked)", came.channel);
        Ok(match self.orders.pay_as(&actor, &payment, answered.evidence(&headers)).await? {
            Receipt::Paid => {
                tracing::info!(channel = came.channel, app_id = came.app_id, %order_id, "a payment was found by asking");
                Outcome::Paid
            }
            Receipt::Repeated => Outcome::Paid,
            Receipt::NoSuchOrder => Outcome::Unfit("unknown_order"),
            Receipt::Refused { why, first } => {
                if first {
                    tracing::error!(
                        channel = came.channel,
                        app_id = came.app_id,
                        %order_id,
                        channel_order_id = payment.channel_order_id,
                        reason = %why,
                        "an authentic payment does not fit its order and was not applied: somebody has to look into it"
                    );
                }
                Outcome::Unfit(why.kind())
            }
        })
    }

    async fn refund(&self, answered: &Answered<'_>, asked: &AskedRefund<'_>) -> Result<Outcome, Trouble> {
        let (order, lane) = (&answered.claimed.order, &answered.claimed.lane);
        let facts = match answered.channel.read_refund(asked, &answered.answer, answered.at)? {
            RefundAnswer::Done(facts) => facts,
            RefundAnswer::UnderWay => return Ok(Outcome::UnderWay),
            RefundAnswer::Refused { code } => {
                tracing::error!(
                    channel = lane.channel,
                    app_id = lane.app_id,
                    order_id = %order.order_id,
                    code,
                    "a channel refuses to give money back: look into it there, then refund the order again"
                );
                return Ok(Outcome::RefundRefused(code));
            }
        };
        let refund = payment::refund(answered.came(), facts);
        let headers = answered.headers_json()?;
        Ok(match self.orders.refund_by_channel(&refund, answered.evidence(&headers)).await? {
            Returned::Refunded | Returned::Repeated => Outcome::Refunded,
            Returned::Part | Returned::Noted { .. } | Returned::NoSuchOrder => {
                tracing::error!(
                    channel = lane.channel,
                    app_id = lane.app_id,
                    order_id = %order.order_id,
                    "a channel has given back what the books don't show: somebody has to look into it"
                );
                Outcome::RefundNoted
            }
        })
    }
}

impl<'a> Answered<'a> {
    fn came(&'a self) -> Came<'a> {
        let lane = &self.claimed.lane;
        Came {
            channel: &lane.channel,
            app_id: lane.app_id,
            raw: self.answer.as_callback(self.headers),
            at: self.at,
            only_judged: false,
        }
    }

    fn headers_json(&self) -> Result<String, StoreError> {
        archive::pairs_of(self.headers)
    }

    fn evidence(&'a self, headers: &'a str) -> Evidence<'a> {
        let lane = &self.claimed.lane;
        Evidence { channel: &lane.channel, app_id: lane.app_id, headers, body: self.answer.body }
    }
}

fn asked_order(order: &Order) -> AskedOrder<'_> {
    AskedOrder {
        order_id: order.order_id.as_str(),
        channel_order_id: order.channel_order_id.as_deref(),
        price: money(order.price),
    }
}

fn asked_refund<'a>(order: &'a Order, amount: domain::Money, refund_id: &'a str) -> AskedRefund<'a> {
    AskedRefund { order: asked_order(order), amount: money(amount), refund_id }
}

/// As channels have it.
fn money(money: domain::Money) -> Money {
    Money { amount: money.amount(), currency: money.currency() }
}
