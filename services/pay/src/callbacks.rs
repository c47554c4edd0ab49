//! What channels say, from the raw bytes to the answer: whose it is, whether it is believed, and what became of it.

pub(crate) mod alarm;
mod judging;
pub(crate) mod payment;
mod replay;

use std::sync::Arc;

use common::{
    clock::{SharedClock, Timestamp},
    error_code::PublicError,
};

use self::alarm::Alarm;
pub use self::replay::{Replayed, ReplayedOutcome};
use crate::{
    apps::{App, Apps},
    channel_book::ChannelBook,
    channels::{
        Acknowledgement, BuildInputs, CallbackRefusal, ChannelConfig, Outcome, PaymentChannel, PaymentFacts,
        RawCallback, Verdict,
    },
    domain::Extent,
    error::OrderError,
    google::Google,
    metrics::OrderMetrics,
    store::{
        archive::{self, Evidence},
        channel_tasks::Owed,
        orders::{Orders, Receipt, Refused, Returned},
    },
};

/// A callback, and by which door it came.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Came<'a> {
    pub(crate) channel: &'a str,
    pub(crate) app_id: i64,
    pub(crate) raw: RawCallback<'a>,
    /// When.
    pub(crate) at: Timestamp,
    /// It is judged and nothing comes of it.
    pub(crate) only_judged: bool,
}

/// Judges callbacks. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Callbacks {
    apps: Apps,
    orders: Orders,
    clock: SharedClock,
    metrics: Arc<OrderMetrics>,
    channels: ChannelBook,
    google: Google,
    alarm: Arc<Alarm>,
}

/// What became of a callback, as it is counted.
type Judged = (&'static str, Outcome);

impl Callbacks {
    pub(crate) fn new(
        apps: Apps,
        channels: ChannelBook,
        orders: Orders,
        google: Google,
        clock: SharedClock,
        metrics: Arc<OrderMetrics>,
    ) -> Self {
        Self { apps, orders, clock, metrics, channels, google, alarm: Arc::default() }
    }

    /// Takes a callback and says what its channel is answered. An error only where there is no channel that could be
    /// answered.
    pub(crate) async fn handle(&self, came: Came<'_>) -> Result<Acknowledgement, OrderError> {
        common::crash_point!("called_back");
        let config = self.channels.find(came.app_id, came.channel).await?.ok_or_else(|| {
            self.metrics.callback(None, "unknown_channel");
            OrderError::NoSuchChannel
        })?;
        let channel = match self.apps.find(came.app_id).await {
            Ok(app) => build(&config, app.as_deref()),
            Err(error) => {
                let channel = build(&config, None);
                return Ok(channel.acknowledge(self.could_not_tell(came, &OrderError::Account(error))));
            }
        };
        let (verdict, outcome) = match self.judge(came, &*channel, &config).await {
            Ok(judged) => judged,
            Err(error) => return Ok(channel.acknowledge(self.could_not_tell(came, &error))),
        };
        self.metrics.callback(Some(came.channel), verdict);
        common::crash_point!("acknowledging");
        Ok(channel.acknowledge(outcome))
    }

    async fn judge(
        &self,
        came: Came<'_>,
        channel: &dyn PaymentChannel,
        config: &ChannelConfig,
    ) -> Result<Judged, OrderError> {
        let verified = match config.issuer_keys_url() {
            Some(url) => match self.verify_by_published_keys(came, config, url).await {
                Ok(verified) => verified,
                Err(why) => return Ok(self.not_asked(came, "unanswered", &why.to_string())),
            },
            None => self.verify(came, channel, config).await?,
        };
        match verified {
            Ok(Verdict::Facts(facts)) => {
                let headers = archive::headers_of(&came.raw)?;
                let (channel, app_id, body) = (came.channel, came.app_id, came.raw.body);
                let evidence = Evidence { channel, app_id, headers: &headers, body };
                self.believed(came, facts, evidence, None).await
            }
            Ok(Verdict::Ignored(reason)) => Ok(ignored(came, reason)),
            Ok(Verdict::Ask(question)) => self.ask(came, channel, config, &question).await,
            Err(refusal) => Ok(self.not_believed(came, &refusal)),
        }
    }

    async fn paid(
        &self,
        came: Came<'_>,
        facts: PaymentFacts,
        evidence: Evidence<'_>,
        owed: Option<Owed<'_>>,
    ) -> Result<Judged, OrderError> {
        let (channel, app_id) = (came.channel, came.app_id);
        let Some(payment) = payment::payment(came, facts) else {
            tracing::warn!(channel, app_id, "a payment names no order of ours");
            return Ok(("unknown_order", Outcome::Refused));
        };
        let order_id = payment.order_id;
        common::crash_point!("judged");
        let receipt = match owed {
            _ if came.only_judged => self.orders.rehearse_pay(&payment).await?,
            Some(owed) => self.orders.pay_owing(&payment, evidence, owed).await?,
            None => self.orders.pay(&payment, evidence).await?,
        };
        Ok(match receipt {
            Receipt::Paid => ("paid", Outcome::Accepted),
            Receipt::Repeated => ("repeated", Outcome::Accepted),
            Receipt::NoSuchOrder => {
                tracing::warn!(channel, app_id, %order_id, "a payment is for no order of this app");
                ("unknown_order", Outcome::Refused)
            }
            Receipt::Refused { why: why @ Refused::TakenBack, .. } => {
                tracing::warn!(channel, app_id, %order_id, "a payment was taken back before its order was paid with it");
                (why.kind(), Outcome::Accepted)
            }
            Receipt::Refused { why, first } => {
                if first {
                    tracing::error!(
                        channel,
                        app_id,
                        %order_id,
                        channel_order_id = payment.channel_order_id,
                        reason = %why,
                        "an authentic payment does not fit its order and was not applied: somebody has to look into it"
                    );
                }
                (why.kind(), Outcome::Refused)
            }
        })
    }

    async fn refunded(
        &self,
        came: Came<'_>,
        facts: PaymentFacts,
        evidence: Evidence<'_>,
    ) -> Result<Judged, OrderError> {
        let (channel, app_id, refund) = (came.channel, came.app_id, payment::refund(came, facts));
        let returned = match came.only_judged {
            true => self.orders.rehearse_refund(&refund).await?,
            false => self.orders.refund_by_channel(&refund, evidence).await?,
        };
        Ok(match returned {
            Returned::Refunded => ("refunded", Outcome::Accepted),
            Returned::Part => ("partly_refunded", Outcome::Accepted),
            Returned::Repeated => ("repeated", Outcome::Accepted),
            Returned::NoSuchOrder if refund.extent == Extent::Everything && !came.only_judged => {
                // Its payment may be on its way, or be handed in later.
                let is_settled = self.orders.note_early_refund(app_id, channel, &refund.channel_order_id).await?;
                tracing::warn!(channel, app_id, "a refund is for no payment of this app, and none will count");
                ("unknown_order", if is_settled { Outcome::Accepted } else { Outcome::ComeBackLater })
            }
            Returned::NoSuchOrder => {
                tracing::warn!(channel, app_id, "a refund is for no payment of this app");
                ("unknown_order", Outcome::Refused)
            }
            Returned::Noted { first } => {
                if first {
                    tracing::error!(
                        channel,
                        app_id,
                        channel_order_id = refund.channel_order_id,
                        "a refund that the books don't show: somebody has to look into it"
                    );
                }
                ("refund_noted", Outcome::Accepted)
            }
        })
    }

    /// Changes nothing, is counted, and logged now and then: anybody can send these.
    fn not_believed(&self, came: Came<'_>, refusal: &CallbackRefusal) -> Judged {
        let verdict = match refusal {
            CallbackRefusal::BadSignature => "bad_signature",
            CallbackRefusal::Malformed { .. } => "malformed",
            CallbackRefusal::WrongMerchant { .. } => "wrong_merchant",
            CallbackRefusal::UnknownCertificate { .. } | CallbackRefusal::UntrustedCertificate { .. } => "certificate",
            CallbackRefusal::StaleTimestamp => "stale",
            CallbackRefusal::NotConfigured { .. } => "not_configured",
            CallbackRefusal::ChannelUnavailable { .. } => "unanswered",
        };
        self.alarm.raise(self.clock.now(), || {
            tracing::warn!(
                channel = came.channel,
                app_id = came.app_id,
                %refusal,
                "a callback is not believed; further ones of the next seconds are only counted"
            );
        });
        match refusal {
            CallbackRefusal::ChannelUnavailable { .. } => (verdict, Outcome::ComeBackLater),
            CallbackRefusal::BadSignature
            | CallbackRefusal::Malformed { .. }
            | CallbackRefusal::WrongMerchant { .. }
            | CallbackRefusal::UnknownCertificate { .. }
            | CallbackRefusal::UntrustedCertificate { .. }
            | CallbackRefusal::StaleTimestamp
            | CallbackRefusal::NotConfigured { .. } => (verdict, Outcome::Refused),
        }
    }

    fn could_not_tell(&self, came: Came<'_>, error: &OrderError) -> Outcome {
        self.metrics.callback(Some(came.channel), "unanswered");
        self.alarm.raise(self.clock.now(), || {
            tracing::warn!(channel = came.channel, app_id = came.app_id, %error, "a callback could not be looked into; it has to come again");
        });
        Outcome::ComeBackLater
    }
}

fn ignored(came: Came<'_>, reason: &str) -> Judged {
    tracing::debug!(channel = came.channel, app_id = came.app_id, reason, "a callback says nothing of money");
    ("ignored", Outcome::Accepted)
}

/// Without an app there is no secret, and nothing is believed.
fn build(config: &ChannelConfig, app: Option<&App>) -> Box<dyn PaymentChannel> {
    let app_secrets = app.map(|app| app.secrets.clone()).unwrap_or_default();
    config.build(&BuildInputs { app_secrets, ..BuildInputs::default() })
}

/// So that a question to account that failed reads as one.
impl From<PublicError> for OrderError {
    fn from(error: PublicError) -> Self {
        Self::Account(error)
    }
}

#[cfg(test)]
mod tests;
