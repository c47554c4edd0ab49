//! A new order, or the one that was made for the same key.

use common::sql::{Contention, SqlError, Text};

use super::{Hand, Orders, journal, row};
use crate::{
    domain::{IdempotencyKey, NewOrder, Order, OrderEvent, OrderId, OrderState, Product},
    store::{StoreError, products, questions},
};

const INSERT_REQUEST: &str = "INSERT INTO pay_order_requests \
     (app_id, account_id, idempotency_key, digest, order_id, created_at) VALUES (?, ?, ?, ?, ?, ?)";

const SELECT_REQUEST: &str = "SELECT digest, order_id FROM pay_order_requests \
     WHERE app_id = ? AND account_id = ? AND idempotency_key = ?";

/// What a request to make an order came to. A repeated one is answered what its first self was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Created {
    pub(crate) order: Order,
    /// It was there before.
    pub(crate) repeated: bool,
}

/// Why no order was made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateError {
    /// The key belongs to another request of the player.
    #[error("the idempotency key was used for another order")]
    KeyReused,
    /// Another request with the key was under way and was taken back. The same request may be tried again.
    #[error("another request with this idempotency key was under way")]
    Raced,
    /// The app sells no such thing.
    #[error("the app sells no such product")]
    NoSuchProduct,
    /// Not in this currency.
    #[error("the product is not sold in this currency")]
    NotSoldInCurrency,
    /// The player was shown another price, or has changed it.
    #[error("the amount is not the product's price")]
    PriceDiffers,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Orders {
    /// Makes an order, once for each `key` of the player however often it is asked for. A repetition is answered the order
    /// as it was made: it was a request to make one, not to look at it.
    ///
    /// `product` is what the catalogue says now. A repetition does not look at it: the price may have changed since.
    /// `is_asked`: its channel can be asked about it, and is going to be.
    pub(crate) async fn create(
        &self,
        new: &NewOrder,
        key: &IdempotencyKey,
        product: Option<&Product>,
        is_asked: bool,
    ) -> Result<Created, CreateError> {
        let created = self.database.retrying(|| self.create_once(new, key, product, is_asked)).await?;
        if !created.repeated {
            self.moved(&created.order, &[created.order.state]);
        }
        Ok(created)
    }

    async fn create_once(
        &self,
        new: &NewOrder,
        key: &IdempotencyKey,
        product: Option<&Product>,
        is_asked: bool,
    ) -> Result<Created, CreateError> {
        // Most repetitions come long after the first.
        if let Some(created) = self.created_before(new, key).await? {
            return Ok(created);
        }
        let listed = product.ok_or(CreateError::NoSuchProduct)?;
        let price = products::price_of(Some(listed), new.price).ok_or(CreateError::NotSoldInCurrency)?;
        if price != new.price {
            return Err(CreateError::PriceDiffers);
        }
        let now = self.clock.now();
        let mut order = Order {
            order_id: OrderId::new(now, self.random.as_ref()),
            app_id: new.app_id,
            account_id: new.account_id,
            product_id: new.product_id.clone(),
            price,
            role_id: new.role_id.clone(),
            server_id: new.server_id.clone(),
            extension: new.extension.clone(),
            state: OrderState::Created,
            channel: new.channel.clone(),
            channel_order_id: None,
            created_at: now,
            expires_at: now + self.ttl,
            paid_at: None,
            delivered_at: None,
        };
        let mut tx = self.database.begin().await?;
        // First, so that a repetition that comes at the same moment meets the key before anything else.
        let inserted = tx
            .sql(INSERT_REQUEST)
            .bind(new.app_id)
            .bind(new.account_id)
            .bind(key.as_str())
            .bind(&new.digest()[..])
            .bind(order.order_id.as_str())
            .bind(now.as_millis())
            .execute()
            .await;
        match inserted {
            Ok(_) => common::crash_point!("requested"),
            Err(SqlError::UniqueViolation { .. }) => {
                drop(tx);
                return self.created_before(new, key).await?.ok_or(CreateError::Raced);
            }
            Err(error) => return Err(error.into()),
        }
        row::insert(&mut tx, &order).await?;
        let (moved, hand) = ((OrderState::Created, OrderState::Created), Hand { actor: "player", reason: "" });
        journal::append(&mut tx, order.order_id, moved, "created", hand, now).await?;
        if order.channel.is_some() {
            // The answer has what the channel is paid with.
            // A new order can start: the outcome is known.
            let _ = self.happen(&mut tx, &mut order, OrderEvent::PaymentStarted, hand, now).await?;
            if let Some(due_at) = self.plan.next(order.lifetime(), now).filter(|_| is_asked) {
                questions::put_payment(&mut tx, &order, due_at).await?;
            }
        }
        tx.commit().await?;
        common::crash_point!("created");
        Ok(Created { order, repeated: false })
    }

    /// The order that the key has, if it is for the same request.
    async fn created_before(&self, new: &NewOrder, key: &IdempotencyKey) -> Result<Option<Created>, CreateError> {
        // A write connection: a reader of a replica might not see yet what the key has just run into.
        let found: Option<(Vec<u8>, Text)> = self
            .database
            .write(SELECT_REQUEST)
            .bind(new.app_id)
            .bind(new.account_id)
            .bind(key.as_str())
            .optional()
            .await?;
        let Some((digest, order_id)) = found else { return Ok(None) };
        if digest != new.digest() {
            return Err(CreateError::KeyReused);
        }
        let order = row::find(&self.database, row::order_id(&order_id)?).await?;
        let order = order.ok_or(StoreError::Unreadable("order of a request"))?;
        // As it was when it was made.
        let channel = new.channel.clone();
        let state = if channel.is_some() { OrderState::Paying } else { OrderState::Created };
        Ok(Some(Created { order: Order { state, channel, ..order }, repeated: true }))
    }
}

impl From<SqlError> for CreateError {
    fn from(error: SqlError) -> Self {
        Self::Store(error.into())
    }
}

impl Contention for CreateError {
    fn is_contention(&self) -> bool {
        match self {
            Self::Raced => true,
            Self::Store(error) => error.is_contention(),
            Self::KeyReused | Self::NoSuchProduct | Self::NotSoldInCurrency | Self::PriceDiffers => false,
        }
    }
}
