//! What the command line does, on the same parts as the RPC methods: to the books only what those would do.

use common::{clock::Timestamp, error_code::PublicError};
use serde::Serialize;

use crate::{
    Pay, Replayed,
    domain::OrderId,
    error::OrderError,
    store::{
        StoreError, archive,
        dead_letters::{self, Behind, Undelivered},
        orders::Hand,
        outbox::RedeliverError,
    },
};

/// Orders of one step of [`Pay::redeliver_dead`].
const STEP: u32 = 500;

/// Dead letters that are read at once.
const PAGE: u32 = 200;

/// As journals name it.
const ACTOR: &str = "command line";

/// Why a command did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum ByHandError {
    /// There is no order of this number.
    #[error("there is no such order")]
    NoSuchOrder,
    /// No callback of the order was kept that has this digest; or none at all.
    #[error("no such callback of the order is kept: payments that do not fit, and those that do, are kept once each")]
    NothingKept,
    /// The app has no channel of the callback's name any more.
    #[error("the app has no such payment channel (any more)")]
    NoSuchChannel,
    /// The configuration of the channel can't be read.
    #[error("the payment channel can't be used: {0}")]
    Channel(String),
    /// The app could not be looked up.
    #[error("the app can't be looked up: {0}")]
    App(PublicError),
    /// The database did not answer, or not as expected.
    #[error("the orders can't be read or changed")]
    Store(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A paid order that nobody tells its game server of any more.
#[derive(Clone, Debug, Serialize)]
pub struct DeadLetter {
    /// The order.
    pub order_id: String,
    /// Its app.
    pub app_id: i64,
    /// Who paid.
    pub account_id: i64,
    /// What for.
    pub product_id: String,
    /// Minor units.
    pub amount: i64,
    /// ISO 4217.
    pub currency: String,
    /// Where the order is.
    pub state: &'static str,
    /// When it was paid, Unix milliseconds.
    pub paid_at: Option<i64>,
    /// How often the game server was told.
    pub attempts: i32,
    /// When it was given up, Unix milliseconds.
    pub given_up_at: i64,
    /// What came of the last attempt; `None`: it is forgotten.
    pub last_outcome: Option<String>,
    /// The HTTP status of the last answer, if there was one.
    pub last_status: Option<i32>,
    /// More of it.
    pub last_detail: Option<String>,
}

/// What became of orders that were to be sent again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct SentAgain {
    /// So many were put back.
    pub redelivered: u64,
    /// These were not.
    pub refused: Vec<NotAgain>,
}

/// An order that is not sent again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotAgain {
    /// The order.
    pub order_id: String,
    /// Why.
    pub reason: String,
}

impl Pay {
    /// Judges the callbacks again that were kept of an order, oldest first; `digest` chooses those whose digest begins with
    /// it. With `dry_run` nothing comes of it.
    ///
    /// # Errors
    /// When there is no such order, nothing to be judged, or nothing to judge it with.
    pub async fn replay(
        &self,
        order_id: &str,
        digest: Option<&str>,
        dry_run: bool,
    ) -> Result<Vec<Replayed>, ByHandError> {
        let parts = self.parts();
        let order_id = OrderId::parse(order_id).map_err(|_| ByHandError::NoSuchOrder)?;
        parts.orders.find(order_id).await?.ok_or(ByHandError::NoSuchOrder)?;
        let digest = digest.map(str::to_ascii_lowercase).unwrap_or_default();
        let mut kept = archive::of_order(&parts.database, order_id).await?;
        kept.retain(|kept| hex::encode(&kept.digest).starts_with(&digest));
        if kept.is_empty() {
            return Err(ByHandError::NothingKept);
        }
        let mut replayed = Vec::with_capacity(kept.len());
        for kept in kept {
            replayed.push(Box::pin(parts.callbacks.replay(&kept, dry_run)).await?);
        }
        Ok(replayed)
    }

    /// Hands every dead letter of an app, or of all, to `show`, those given up first first. Few are in memory at once.
    ///
    /// # Errors
    /// When they can't be read, or `show` fails.
    pub async fn dead_letters<E: From<ByHandError>>(
        &self,
        app_id: Option<i64>,
        mut show: impl FnMut(DeadLetter) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut behind = None;
        loop {
            let page = self.parts().orders.dead_letters(app_id, behind, PAGE).await.map_err(ByHandError::from)?;
            let is_last = page.len() < PAGE as usize;
            for letter in page {
                behind = Some(Behind { given_up_at: letter.given_up_at, order_id: letter.order_id });
                show(letter.into())?;
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// Has every dead letter of an app sent again, from the beginning of the schedule. A running pay service finds them
    /// within `pay.delivery.look_every`.
    ///
    /// # Errors
    /// When the database fails. What was put back by then stays so.
    pub async fn redeliver_dead(&self, app_id: i64) -> Result<SentAgain, ByHandError> {
        let (hand, mut redelivered) = (Hand { actor: ACTOR, reason: "" }, 0);
        loop {
            let step = self.parts().orders.redeliver_many(app_id, Undelivered::Dead, STEP, hand).await?;
            redelivered += u64::from(step);
            if step == 0 {
                return Ok(SentAgain { redelivered, refused: Vec::new() });
            }
        }
    }

    /// Has these orders of an app sent again. Those that can't be are named, and don't keep the others.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn redeliver(&self, app_id: i64, order_ids: &[String]) -> Result<SentAgain, ByHandError> {
        let mut sent = SentAgain::default();
        for order_id in order_ids {
            match self.redeliver_one(app_id, order_id).await {
                Ok(()) => sent.redelivered += 1,
                Err(RedeliverError::Store(error)) => return Err(error.into()),
                Err(error @ (RedeliverError::NoSuchOrder | RedeliverError::NotDeliverable(_))) => {
                    sent.refused.push(NotAgain { order_id: order_id.clone(), reason: error.to_string() });
                }
            }
        }
        Ok(sent)
    }

    async fn redeliver_one(&self, app_id: i64, order_id: &str) -> Result<(), RedeliverError> {
        let orders = &self.parts().orders;
        let order_id = OrderId::parse(order_id).map_err(|_| RedeliverError::NoSuchOrder)?;
        match orders.find(order_id).await? {
            Some(order) if order.app_id == app_id => {}
            Some(_) | None => return Err(RedeliverError::NoSuchOrder),
        }
        orders.redeliver(order_id, Hand { actor: ACTOR, reason: "" }).await.map(drop)
    }
}

impl From<dead_letters::DeadLetter> for DeadLetter {
    fn from(letter: dead_letters::DeadLetter) -> Self {
        let (last_outcome, last_status, last_detail) = match letter.last {
            Some(last) => (Some(last.outcome), last.status, Some(last.detail)),
            None => (None, None, None),
        };
        Self {
            order_id: letter.order_id.to_string(),
            app_id: letter.app_id,
            account_id: letter.account_id,
            product_id: letter.product_id,
            amount: letter.price.amount(),
            currency: letter.price.currency().to_string(),
            state: letter.state.as_str(),
            paid_at: letter.paid_at.map(Timestamp::as_millis),
            attempts: letter.attempts,
            given_up_at: letter.given_up_at.as_millis(),
            last_outcome,
            last_status,
            last_detail,
        }
    }
}

impl From<StoreError> for ByHandError {
    fn from(error: StoreError) -> Self {
        Self::Store(Box::new(error))
    }
}

impl From<OrderError> for ByHandError {
    fn from(error: OrderError) -> Self {
        match error {
            OrderError::NoSuchOrder => Self::NoSuchOrder,
            OrderError::NoSuchChannel => Self::NoSuchChannel,
            OrderError::Channel(error) => Self::Channel(error.to_string()),
            OrderError::Account(error) => Self::App(error),
            other => Self::Store(Box::new(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use idl::{pay::PayService, pay_admin::PutPayChannelRequest};
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        channels::RawCallback,
        store::archive::Evidence,
        testing::{APP, Answering, GameServer, OTHER_APP, Service, impatient, payment, public},
    };

    fn verdicts(replayed: &[Replayed]) -> Vec<(&str, &str)> {
        replayed.iter().map(|one| (&*one.verdict_then, &*one.verdict)).collect()
    }

    async fn books(service: &Service) -> (i64, i64, i64, i64) {
        (
            service.wallet().await,
            service.count("SELECT COUNT(*) FROM pay_order_journal").await,
            service.count("SELECT COUNT(*) FROM pay_outbox").await,
            service.count("SELECT COUNT(*) FROM pay_callbacks").await,
        )
    }

    common::on_each_database! {
        async fn a_replayed_callback_counts_as_often_as_one_that_comes_again(database: TestDatabase) {
            let service = Service::start(database).await;
            let order_id = service.paid_order("k-1").await;
            let before = books(&service).await;
            for dry_run in [true, false, false] {
                let replayed = service.pay.replay(&order_id, None, dry_run).await.expect("judged");
                assert_eq!(verdicts(&replayed), [("paid", "repeated")]);
                assert_eq!((replayed[0].dry_run, replayed[0].app_id), (dry_run, APP));
                assert_eq!(books(&service).await, before);
            }
        }

        async fn what_was_refused_and_now_fits_is_applied_by_a_replay_and_by_a_dry_run_is_not(database: TestDatabase) {
            let service = Service::start(database).await;
            let order_id = service.order("k-1").await;
            let mut wrong = payment(&order_id);
            wrong["amount"] = json!(300);
            assert_eq!(service.call_back(&wrong).await, "FAIL");
            // An operator finds that the order had the wrong price.
            let mended = "UPDATE pay_orders SET amount = 300";
            service.database.write(mended).execute().await.expect("changed");
            let before = books(&service).await;
            let rehearsed = service.pay.replay(&order_id, None, true).await.expect("judged");
            assert_eq!(verdicts(&rehearsed), [("amount", "paid")]);
            assert_eq!(rehearsed[0].outcome, crate::ReplayedOutcome::Accepted);
            assert_eq!((books(&service).await, &*service.state(&order_id).await), (before, "created"));

            let replayed = service.pay.replay(&order_id, None, false).await.expect("judged");
            assert_eq!(verdicts(&replayed), [("amount", "paid")]);
            assert_eq!((service.wallet().await, &*service.state(&order_id).await), (300, "paid"));
            let again = service.pay.replay(&order_id, None, false).await.expect("judged");
            assert_eq!(verdicts(&again), [("amount", "repeated")]);
            assert_eq!(service.wallet().await, 300);
        }

        async fn one_of_several_callbacks_is_chosen_by_its_digest(database: TestDatabase) {
            let service = Service::start(database).await;
            let order_id = service.order("k-1").await;
            let mut wrong = payment(&order_id);
            wrong["amount"] = json!(300);
            wrong["channel_order_id"] = json!("another-payment");
            service.call_back(&wrong).await;
            service.clock.advance(Duration::from_secs(1));
            service.call_back(&payment(&order_id)).await;
            let all = service.pay.replay(&order_id, None, true).await.expect("judged");
            assert_eq!(verdicts(&all), [("amount", "paid_twice"), ("paid", "repeated")]);
            let chosen = all[1].digest[..12].to_uppercase();
            let one = service.pay.replay(&order_id, Some(&chosen), true).await.expect("judged");
            assert_eq!((one.len(), &one[0].digest), (1, &all[1].digest));
            let none = service.pay.replay(&order_id, Some("zz"), true).await;
            assert!(matches!(none, Err(ByHandError::NothingKept)), "{none:?}");
            for unknown in ["01JXT21Q00C5Z0E8T3Y6A9B2DK", "x"] {
                let unknown = service.pay.replay(unknown, None, true).await;
                assert!(matches!(unknown, Err(ByHandError::NoSuchOrder)), "{unknown:?}");
            }
            let unpaid = service.order("k-2").await;
            let none = service.pay.replay(&unpaid, None, true).await;
            assert!(matches!(none, Err(ByHandError::NothingKept)), "{none:?}");
        }

        async fn a_signature_is_judged_by_the_time_at_which_it_came(database: TestDatabase) {
            let service = Service::start(database).await;
            let vectors: Value = serde_json::from_str(include_str!("channels/vectors/wechat_pay.json")).expect("JSON");
            let text = |value: &Value| value.as_str().expect("a text").to_owned();
            let document = json!({
                "kind": "wechat_pay", "mch_id": "1900000001", "app_id": "wx0000000000000001",
                "platform_keys": { text(&vectors["serial"]): vectors["public_key"] },
                "secrets": { "api_v3_key": vectors["api_v3_key"] },
            });
            let request = PutPayChannelRequest {
                actor: "operator".into(),
                app_id: APP,
                channel: "wechat".into(),
                document_json: document.to_string().into(),
            };
            public(service.pay.admin_put_channel(request).await).expect("put");

            // Signed long after what the clock of this test says.
            let signed_at = Timestamp::from_millis(1_780_000_000_000);
            assert!(service.clock_now() < signed_at.minus(Duration::from_secs(3600)));
            let headers = [
                ("wechatpay-timestamp", &vectors["timestamp"]),
                ("wechatpay-nonce", &vectors["nonce"]),
                ("wechatpay-serial", &vectors["serial"]),
                ("wechatpay-signature", &vectors["paid"]["signature"]),
            ];
            let headers = headers.map(|(name, value)| (name.to_owned(), text(value)));
            let body = text(&vectors["paid"]["body"]);
            for (received_at, verdict) in [
                // It names an order that is not one of ours, which only a callback that is believed does.
                (signed_at, "unknown_order"),
                (signed_at + Duration::from_secs(299), "unknown_order"),
                (signed_at + Duration::from_secs(301), "stale"),
            ] {
                let order_id = service.order(&format!("at-{received_at}")).await;
                let raw = RawCallback { method: "POST", path: "/", query: "", headers: &headers, body: body.as_bytes() };
                let line = archive::headers_of(&raw).expect("text");
                let evidence = Evidence { channel: "wechat", app_id: APP, headers: &line, body: raw.body };
                let mut tx = service.database.begin().await.expect("begun");
                let number = OrderId::parse(&order_id).expect("a number");
                archive::keep(&mut tx, number, evidence, "paid", received_at).await.expect("kept");
                tx.commit().await.expect("committed");
                let replayed = service.pay.replay(&order_id, None, false).await.expect("judged");
                assert_eq!(verdicts(&replayed), [("paid", verdict)], "{received_at}");
            }
        }

        async fn a_secret_that_is_gone_makes_a_replay_a_bad_signature(database: TestDatabase) {
            let service = Service::start(database).await;
            let order_id = service.paid_order("k-1").await;
            service.change_secret("another secret");
            // One that has not asked for the app yet.
            let replayed = service.replica().await.replay(&order_id, None, false).await.expect("judged");
            assert_eq!(verdicts(&replayed), [("paid", "bad_signature")]);
        }

        async fn orders_are_sent_again_by_number_and_by_being_dead(database: TestDatabase) {
            let (service, game) = (Service::start_with(database, impatient()).await, GameServer::start().await);
            service.deliver_to(APP, &game.url());
            game.answer(Answering::With(500, "no".to_owned()));
            let mut hands = service.hands();
            let (first, second) = (service.paid_order("k-1").await, service.paid_order("k-2").await);
            let unpaid = service.order("k-3").await;
            hands.deliver().await;
            service.clock.advance(Duration::from_secs(60));
            hands.deliver().await;
            let mut letters = Vec::new();
            let shown = |letter: DeadLetter| { letters.push(letter); Ok::<_, ByHandError>(()) };
            service.pay.dead_letters(None, shown).await.expect("read");
            assert_eq!(letters.len(), 2);
            assert_eq!((letters[0].attempts, letters[0].last_status, letters[0].app_id), (2, Some(500), APP));
            for (app_id, expected) in [(APP, 2), (OTHER_APP, 0)] {
                let mut count = 0;
                let shown = |_| {
                    count += 1;
                    Ok::<_, ByHandError>(())
                };
                service.pay.dead_letters(Some(app_id), shown).await.expect("read");
                assert_eq!(count, expected);
            }

            let asked = [first.clone(), unpaid.clone(), "nothing".to_owned()];
            let sent = service.pay.redeliver(APP, &asked).await.expect("sent");
            assert_eq!(sent.redelivered, 1);
            assert_eq!(sent.refused.iter().map(|one| &*one.order_id).collect::<Vec<_>>(), [&*unpaid, "nothing"]);
            let elsewhere = service.pay.redeliver(OTHER_APP, std::slice::from_ref(&second)).await.expect("looked at");
            assert_eq!((elsewhere.redelivered, elsewhere.refused.len()), (0, 1));
            assert_eq!(service.pay.redeliver_dead(APP).await.expect("sent").redelivered, 1);
            game.answer(Answering::With(200, "SUCCESS".to_owned()));
            assert_eq!(hands.deliver().await, 2);
            let by = service.describe(&second).await.journal;
            assert!(by.iter().any(|line| line.actor == "command line"));
        }
    }
}
