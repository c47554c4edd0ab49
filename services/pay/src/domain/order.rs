//! An order, and what it is made of.

use aws_lc_rs::digest::{Context, SHA256};
use common::clock::Timestamp;

use super::{FieldError, Money, OrderId, OrderState, ProductId, is_id};

/// `role_id` and `server_id`: what game servers call characters and shards.
const NAME_BYTES_MAX: usize = 64;

/// What a studio wants to get back with the delivery.
const EXTENSION_BYTES_MAX: usize = 1024;

/// What a player asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NewOrder {
    /// Whose game.
    pub(crate) app_id: i64,
    /// Who buys.
    pub(crate) account_id: i64,
    /// What.
    pub(crate) product_id: ProductId,
    /// For how much, as the player was shown it.
    pub(crate) price: Money,
    /// For which character, as the game calls it. May be empty.
    pub(crate) role_id: String,
    /// On which shard, as the game calls it. May be empty.
    pub(crate) server_id: String,
    /// Whatever the studio wants to get back. May be empty.
    pub(crate) extension: String,
    /// The channel it is to be paid through; `None`: any.
    pub(crate) channel: Option<String>,
}

/// An order as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) order_id: OrderId,
    pub(crate) app_id: i64,
    pub(crate) account_id: i64,
    pub(crate) product_id: ProductId,
    pub(crate) price: Money,
    pub(crate) role_id: String,
    pub(crate) server_id: String,
    pub(crate) extension: String,
    pub(crate) state: OrderState,
    /// Through which channel it is to be paid, or was.
    pub(crate) channel: Option<String>,
    /// What the channel calls the payment, once there is one.
    pub(crate) channel_order_id: Option<String>,
    pub(crate) created_at: Timestamp,
    /// From when on nobody is expected to pay any more.
    pub(crate) expires_at: Timestamp,
    /// When it was paid, as the channel says.
    pub(crate) paid_at: Option<Timestamp>,
    pub(crate) delivered_at: Option<Timestamp>,
}

/// What a channel says of a payment, once its signature has been checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Payment {
    /// The channel.
    pub(crate) channel: String,
    /// The app whose callback it came in by.
    pub(crate) app_id: i64,
    /// Our number.
    pub(crate) order_id: OrderId,
    /// The channel's.
    pub(crate) channel_order_id: String,
    /// What was paid.
    pub(crate) charged: Charge,
    /// What was bought, as the channel calls it, of channels that say so.
    pub(crate) channel_product: Option<String>,
    /// When, as the channel says.
    pub(crate) paid_at: Timestamp,
}

/// What a channel says was paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Charge {
    /// Exactly this.
    Amount(Money),
    /// Whatever the store asks for the product in the player's country: the product decides.
    StorePrice,
}

/// Why a payment is not one for the order it names. Closed: these are shown in the journal and counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Mismatch {
    /// The order belongs to another app.
    #[error("the order is another app's")]
    App,
    /// Another amount.
    #[error("the amount is not the order's")]
    Amount,
    /// Another currency.
    #[error("the currency is not the order's")]
    Currency,
    /// Another product.
    #[error("the product is not the order's")]
    Product,
    /// The order was to be paid through another channel.
    #[error("the order is to be paid through another channel")]
    Channel,
}

impl NewOrder {
    /// Checks the forms; whether the product exists and costs that much is asked of the catalogue.
    pub(crate) fn check(self) -> Result<Self, FieldError> {
        for (field, id) in [("app_id", self.app_id), ("account_id", self.account_id)] {
            if !is_id(id) {
                return Err(FieldError::new(field, "must be a positive integer below 2^53"));
            }
        }
        for (field, text, most) in [
            ("role_id", &self.role_id, NAME_BYTES_MAX),
            ("server_id", &self.server_id, NAME_BYTES_MAX),
            ("extension", &self.extension, EXTENSION_BYTES_MAX),
        ] {
            if text.len() > most {
                return Err(FieldError::new(field, format!("is longer than {most} bytes")));
            }
        }
        if self.role_id.chars().chain(self.server_id.chars()).any(char::is_control) {
            return Err(FieldError::new("role_id", "and `server_id` must not have control characters"));
        }
        Ok(self)
    }

    /// Tells a repeated request from another one under the same key: every field, each with its length before it.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        let amount = self.price.amount().to_string();
        for part in [
            self.product_id.as_str(),
            &amount,
            self.price.currency().as_str(),
            &self.role_id,
            &self.server_id,
            &self.extension,
            self.channel.as_deref().unwrap_or_default(),
        ] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        digest
    }
}

impl Order {
    /// Whether `payment` is one for this order. `channel_product`: what its channel calls the order's product, if the
    /// catalogue says so.
    pub(crate) fn compare(&self, payment: &Payment, channel_product: Option<&str>) -> Result<(), Mismatch> {
        if self.app_id != payment.app_id {
            return Err(Mismatch::App);
        }
        self.compare_price(payment.charged)?;
        // Then it has to say which product: nothing else tells a cheap one from a dear one.
        if payment.charged == Charge::StorePrice && payment.channel_product.is_none() {
            return Err(Mismatch::Product);
        }
        if self.channel.as_ref().is_some_and(|channel| *channel != payment.channel) {
            return Err(Mismatch::Channel);
        }
        let expected = channel_product.unwrap_or(self.product_id.as_str());
        if payment.channel_product.as_ref().is_some_and(|product| product != expected) {
            return Err(Mismatch::Product);
        }
        Ok(())
    }

    /// Whether so much is what the order costs. What a store has set the price of is never compared.
    pub(crate) fn compare_price(&self, charged: Charge) -> Result<(), Mismatch> {
        match charged {
            Charge::Amount(paid) if paid.currency() != self.price.currency() => Err(Mismatch::Currency),
            Charge::Amount(paid) if paid.amount() != self.price.amount() => Err(Mismatch::Amount),
            Charge::Amount(_) | Charge::StorePrice => Ok(()),
        }
    }
}

impl Mismatch {
    /// The closed set, as the metric label.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::Amount => "amount",
            Self::Currency => "currency",
            Self::Product => "product",
            Self::Channel => "channel",
        }
    }
}

#[cfg(test)]
mod tests {
    use common::clock::testing::SeededRandom;
    use proptest::prelude::*;

    use super::*;
    use crate::domain::Currency;

    fn money(amount: i64, code: &str) -> Money {
        Money::new(amount, Currency::parse(code).expect("a currency")).expect("an amount")
    }

    fn new_order() -> NewOrder {
        NewOrder {
            app_id: 1,
            account_id: 7,
            product_id: ProductId::parse("gems60").expect("an id"),
            price: money(600, "CNY"),
            role_id: "r".to_owned(),
            server_id: "s".to_owned(),
            extension: "x".to_owned(),
            channel: None,
        }
    }

    fn order() -> Order {
        let NewOrder { app_id, account_id, product_id, price, role_id, server_id, extension, channel } = new_order();
        let at = Timestamp::from_millis(1);
        Order {
            order_id: OrderId::new(at, &SeededRandom::new(1)),
            app_id,
            account_id,
            product_id,
            price,
            role_id,
            server_id,
            extension,
            state: OrderState::Created,
            channel,
            channel_order_id: None,
            created_at: at,
            expires_at: at,
            paid_at: None,
            delivered_at: None,
        }
    }

    fn payment() -> Payment {
        Payment {
            channel: "sandbox".to_owned(),
            app_id: 1,
            order_id: order().order_id,
            channel_order_id: "c-1".to_owned(),
            charged: Charge::Amount(money(600, "CNY")),
            channel_product: None,
            paid_at: Timestamp::from_millis(2),
        }
    }

    #[test]
    fn a_payment_is_for_an_order_only_if_everything_fits() {
        let order = order();
        assert_eq!(order.compare(&payment(), None), Ok(()));
        for (payment, mismatch) in [
            (Payment { app_id: 2, ..payment() }, Mismatch::App),
            (Payment { charged: Charge::Amount(money(599, "CNY")), ..payment() }, Mismatch::Amount),
            (Payment { charged: Charge::Amount(money(601, "CNY")), ..payment() }, Mismatch::Amount),
            (Payment { charged: Charge::Amount(money(600, "USD")), ..payment() }, Mismatch::Currency),
            (Payment { channel_product: Some("gems6".to_owned()), ..payment() }, Mismatch::Product),
            (Payment { charged: Charge::StorePrice, ..payment() }, Mismatch::Product),
        ] {
            assert_eq!(order.compare(&payment, None), Err(mismatch));
        }
        let named = Payment { channel_product: Some("com.studio.gems".to_owned()), ..payment() };
        assert_eq!(order.compare(&named, Some("com.studio.gems")), Ok(()));
        let at_the_store_price = Payment { charged: Charge::StorePrice, ..named };
        assert_eq!(order.compare(&at_the_store_price, Some("com.studio.gems")), Ok(()));
        let elsewhere = Order { channel: Some("alipay".to_owned()), ..order };
        assert_eq!(elsewhere.compare(&payment(), None), Err(Mismatch::Channel));
    }

    #[test]
    fn what_is_carried_through_is_bounded_and_named_when_it_is_not() {
        let refused = |order: NewOrder| order.check().map_err(|error| error.field).map(drop);
        assert_eq!(refused(NewOrder { extension: "x".repeat(1024), ..new_order() }), Ok(()));
        assert_eq!(refused(NewOrder { extension: "x".repeat(1025), ..new_order() }), Err("extension"));
        assert_eq!(refused(NewOrder { role_id: "r".repeat(65), ..new_order() }), Err("role_id"));
        assert_eq!(refused(NewOrder { server_id: "s".repeat(65), ..new_order() }), Err("server_id"));
        assert_eq!(refused(NewOrder { role_id: "r\n".to_owned(), ..new_order() }), Err("role_id"));
        assert_eq!(refused(NewOrder { account_id: 1 << 53, ..new_order() }), Err("account_id"));
    }

    proptest! {
        #[test]
        fn two_bodies_have_one_digest_only_if_they_are_the_same(
            parts in prop::collection::vec("[ab]{0,3}", 3), others in prop::collection::vec("[ab]{0,3}", 3)
        ) {
            let with = |parts: &[String]| NewOrder {
                role_id: parts[0].clone(), server_id: parts[1].clone(), extension: parts[2].clone(), ..new_order()
            };
            prop_assert_eq!(with(&parts).digest() == with(&others).digest(), parts == others);
        }
    }
}
