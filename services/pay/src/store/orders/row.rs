//! The rows of `pay_orders`.

use common::{
    clock::Timestamp,
    sql::{Database, Query, Sql, SqlError, Text, Tx},
};

use crate::{
    domain::{Currency, Money, Order, OrderId, OrderState, ProductId},
    store::StoreError,
};

const INSERT: &str = "INSERT INTO pay_orders \
     (order_id, app_id, account_id, product_id, amount, currency, role_id, server_id, extension, state, channel, \
     created_at, expires_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";

const FIND: &str = "SELECT order_id, app_id, account_id, product_id, amount, currency, role_id, server_id, extension, \
     state, channel, channel_order_id, created_at, expires_at, paid_at, delivered_at \
     FROM pay_orders WHERE order_id = ?";

const LOCK: Sql = Sql::Each {
    mysql: "SELECT order_id, app_id, account_id, product_id, amount, currency, role_id, server_id, extension, \
            state, channel, channel_order_id, created_at, expires_at, paid_at, delivered_at \
            FROM pay_orders WHERE order_id = ? FOR UPDATE",
    sqlite: FIND,
};

const UPDATE: &str = "UPDATE pay_orders SET state = ?, channel = ?, channel_order_id = ?, paid_at = ?, \
     delivered_at = ?, updated_at = ? WHERE order_id = ?";

const OF_PAYMENT: &str = "SELECT order_id FROM pay_orders WHERE channel = ? AND channel_order_id = ?";

#[derive(sqlx::FromRow)]
struct Row {
    order_id: Text,
    app_id: i64,
    account_id: i64,
    product_id: Text,
    amount: i64,
    currency: Text,
    role_id: Text,
    server_id: Text,
    extension: Text,
    state: i16,
    channel: Option<Text>,
    channel_order_id: Option<Text>,
    created_at: i64,
    expires_at: i64,
    paid_at: Option<i64>,
    delivered_at: Option<i64>,
}

/// Without a lock: what it says may be over already.
pub(crate) async fn find(database: &Database, order_id: OrderId) -> Result<Option<Order>, StoreError> {
    let row: Option<Row> = database.read(FIND).bind(order_id.as_str()).optional().await?;
    row.map(Order::try_from).transpose()
}

/// The orders of a query that selects every column.
pub(crate) async fn read_all(query: Query<'_>) -> Result<Vec<Order>, StoreError> {
    query.all::<Row>().await?.into_iter().map(Order::try_from).collect()
}

/// Nobody else changes the order until the transaction ends.
pub(crate) async fn lock(tx: &mut Tx, order_id: OrderId) -> Result<Option<Order>, StoreError> {
    let row: Option<Row> = tx.sql(LOCK).bind(order_id.as_str()).optional().await?;
    row.map(Order::try_from).transpose()
}

/// As it is now, within a transaction that has not locked it.
pub(crate) async fn find_in(tx: &mut Tx, order_id: OrderId) -> Result<Option<Order>, StoreError> {
    let row: Option<Row> = tx.sql(FIND).bind(order_id.as_str()).optional().await?;
    row.map(Order::try_from).transpose()
}

pub(crate) async fn insert(tx: &mut Tx, order: &Order) -> Result<(), SqlError> {
    tx.sql(INSERT)
        .bind(order.order_id.as_str())
        .bind(order.app_id)
        .bind(order.account_id)
        .bind(order.product_id.as_str())
        .bind(order.price.amount())
        .bind(order.price.currency().as_str())
        .bind(&*order.role_id)
        .bind(&*order.server_id)
        .bind(&*order.extension)
        .bind(order.state.number())
        .bind(order.channel.as_deref())
        .bind(order.created_at.as_millis())
        .bind(order.expires_at.as_millis())
        .bind(order.created_at.as_millis())
        .execute()
        .await?;
    Ok(())
}

/// Writes what may change of an order. For whoever has locked it.
pub(crate) async fn update(tx: &mut Tx, order: &Order, now: Timestamp) -> Result<(), SqlError> {
    tx.sql(UPDATE)
        .bind(order.state.number())
        .bind(order.channel.as_deref())
        .bind(order.channel_order_id.as_deref())
        .bind(order.paid_at.map(Timestamp::as_millis))
        .bind(order.delivered_at.map(Timestamp::as_millis))
        .bind(now.as_millis())
        .bind(order.order_id.as_str())
        .execute()
        .await?;
    Ok(())
}

/// The order that a payment has paid for.
pub(crate) async fn of_payment(
    tx: &mut Tx,
    channel: &str,
    channel_order_id: &str,
) -> Result<Option<OrderId>, StoreError> {
    let row: Option<(Text,)> = tx.sql(OF_PAYMENT).bind(channel).bind(channel_order_id).optional().await?;
    row.map(|(id,)| order_id(&id)).transpose()
}

/// The same without a lock.
pub(crate) async fn find_of_payment(
    database: &Database,
    channel: &str,
    channel_order_id: &str,
) -> Result<Option<OrderId>, StoreError> {
    let row: Option<(Text,)> = database.read(OF_PAYMENT).bind(channel).bind(channel_order_id).optional().await?;
    row.map(|(id,)| order_id(&id)).transpose()
}

pub(crate) fn order_id(raw: &str) -> Result<OrderId, StoreError> {
    OrderId::parse(raw).map_err(|_| StoreError::Unreadable("order_id"))
}

pub(crate) fn state(number: i16) -> Result<OrderState, StoreError> {
    OrderState::of_number(number).ok_or(StoreError::Unreadable("state"))
}

impl TryFrom<Row> for Order {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let currency = Currency::parse(&row.currency).map_err(|_| StoreError::Unreadable("currency"))?;
        Ok(Self {
            order_id: order_id(&row.order_id)?,
            app_id: row.app_id,
            account_id: row.account_id,
            product_id: ProductId::parse(&row.product_id).map_err(|_| StoreError::Unreadable("product_id"))?,
            price: Money::new(row.amount, currency).map_err(|_| StoreError::Unreadable("amount"))?,
            role_id: row.role_id.into(),
            server_id: row.server_id.into(),
            extension: row.extension.into(),
            state: state(row.state)?,
            channel: row.channel.map(String::from),
            channel_order_id: row.channel_order_id.map(String::from),
            created_at: Timestamp::from_millis(row.created_at),
            expires_at: Timestamp::from_millis(row.expires_at),
            paid_at: row.paid_at.map(Timestamp::from_millis),
            delivered_at: row.delivered_at.map(Timestamp::from_millis),
        })
    }
}
