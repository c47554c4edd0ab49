//! The orders that a bill is compared with.

use std::time::Duration;

use common::{
    clock::Timestamp,
    sql::{Database, Sql, Text},
};

use super::{compare::Ours, day::Day};
use crate::{
    domain::{Currency, Money, OrderId, OrderState},
    store::{StoreError, orders::row},
};

/// Numbers that are looked for at once. Always as many, so that there is one statement.
pub(super) const BATCH: usize = 500;

/// Orders of the day that are read at once.
const PAGE: usize = 1000;

/// No channel gives money back later than this after it was paid.
const REFUNDABLE_FOR: Duration = Duration::from_secs(400 * 24 * 3600);

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT order_id, app_id, channel, channel_order_id, amount, currency, state, paid_at, delivered_at, \
             updated_at, (SELECT CAST(COALESCE(SUM(amount), 0) AS SIGNED) FROM pay_refunds \
             WHERE pay_refunds.order_id = pay_orders.order_id) AS refunded FROM pay_orders WHERE ",
            $rest
        )
    };
}

const PAID: &str = select!(
    "app_id = ? AND channel = ? AND paid_at >= ? AND paid_at < ? AND (paid_at > ? OR order_id > ?) \
     ORDER BY paid_at, order_id LIMIT ?"
);

/// There are few of them, and an order's number begins with when it was made.
const REFUNDED: &str = select!("app_id = ? AND state = ? AND order_id > ? ORDER BY order_id LIMIT ?");

#[derive(sqlx::FromRow)]
struct Row {
    order_id: Text,
    app_id: i64,
    channel: Option<Text>,
    channel_order_id: Option<Text>,
    amount: i64,
    currency: Text,
    state: i16,
    paid_at: Option<i64>,
    delivered_at: Option<i64>,
    updated_at: i64,
    refunded: i64,
}

/// The orders of one channel of one app.
#[derive(Clone, Copy, Debug)]
pub(super) struct Books<'a> {
    pub(super) database: &'a Database,
    pub(super) channel: &'a str,
    pub(super) app_id: i64,
}

impl Books<'_> {
    /// The orders that were paid with these payments, of any app: up to [`BATCH`] of them.
    pub(super) async fn by_payments(&self, numbers: &[&str]) -> Result<Vec<Ours>, StoreError> {
        let sql = Sql::repeated(select!("channel = ? AND channel_order_id IN ("), "?", BATCH, ")");
        self.by(sql, Some(self.channel), numbers).await
    }

    /// The orders of these numbers, of any app: up to [`BATCH`] of them.
    pub(super) async fn by_numbers(&self, numbers: &[&str]) -> Result<Vec<Ours>, StoreError> {
        self.by(Sql::repeated(select!("order_id IN ("), "?", BATCH, ")"), None, numbers).await
    }

    async fn by(&self, sql: Sql, channel: Option<&str>, numbers: &[&str]) -> Result<Vec<Ours>, StoreError> {
        let Some(last) = numbers.last() else { return Ok(Vec::new()) };
        let mut query = self.database.read(sql);
        if let Some(channel) = channel {
            query = query.bind(channel);
        }
        // The last one stands for those that are not there.
        for number in numbers.iter().chain(std::iter::repeat(last)).take(BATCH) {
            query = query.bind(*number);
        }
        query.all::<Row>().await?.into_iter().map(Ours::try_from).collect()
    }

    /// Hands everything to `see` that was paid on the day, once each.
    pub(super) async fn paid(&self, day: &Day, mut see: impl FnMut(&Ours)) -> Result<(), StoreError> {
        let (mut at, mut behind) = (day.start(), String::new());
        loop {
            let query = self.database.read(PAID).bind(self.app_id).bind(self.channel);
            let query = query.bind(at.as_millis()).bind(day.end().as_millis()).bind(at.as_millis());
            let rows: Vec<Row> = query.bind(behind).bind(i64::try_from(PAGE).unwrap_or(i64::MAX)).all().await?;
            let is_last = rows.len() < PAGE;
            behind = String::new();
            for row in rows {
                let ours = Ours::try_from(row)?;
                (at, behind) = (ours.paid_at.unwrap_or(at), ours.order_id.to_string());
                see(&ours);
            }
            if is_last {
                return Ok(());
            }
        }
    }

    /// Hands everything to `see` that was refunded on the day, once each.
    pub(super) async fn refunded(&self, day: &Day, mut see: impl FnMut(&Ours)) -> Result<(), StoreError> {
        let mut behind = OrderId::first_of(day.start().minus(REFUNDABLE_FOR)).to_string();
        loop {
            let query = self.database.read(REFUNDED).bind(self.app_id).bind(OrderState::Refunded.number());
            let rows: Vec<Row> = query.bind(&*behind).bind(i64::try_from(PAGE).unwrap_or(i64::MAX)).all().await?;
            let is_last = rows.len() < PAGE;
            let mut last = None;
            for row in rows {
                let ours = Ours::try_from(row)?;
                if ours.channel.as_deref() == Some(self.channel) && (day.start()..day.end()).contains(&ours.changed_at)
                {
                    see(&ours);
                }
                last = Some(ours.order_id);
            }
            match last {
                Some(last) if !is_last => behind = last.to_string(),
                _ => return Ok(()),
            }
        }
    }
}

impl TryFrom<Row> for Ours {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        let currency = Currency::parse(&row.currency).map_err(|_| StoreError::Unreadable("currency"))?;
        Ok(Self {
            order_id: row::order_id(&row.order_id)?,
            app_id: row.app_id,
            channel: row.channel.map(String::from),
            channel_order_id: row.channel_order_id.map(String::from),
            price: Money::new(row.amount, currency).map_err(|_| StoreError::Unreadable("amount"))?,
            state: row::state(row.state)?,
            refunded: row.refunded,
            is_acknowledged: row.delivered_at.is_some(),
            paid_at: row.paid_at.map(Timestamp::from_millis),
            changed_at: Timestamp::from_millis(row.updated_at),
        })
    }
}
