//! What every form of a bill is read into.

use common::clock::Timestamp;
use serde::Serialize;

use crate::{channels::Money, domain::Currency};

/// The longest number of a payment: what the books keep.
const NUMBER_BYTES_MAX: usize = 255;

/// Something that happened, as the channel says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::reconciliation) struct BillLine {
    /// Where it stands, from 1.
    pub(in crate::reconciliation) line: u64,
    pub(in crate::reconciliation) kind: Kind,
    /// Our number, as the channel gives it back.
    pub(in crate::reconciliation) order_id: Option<String>,
    /// The channel's number of the payment. One of the two is there.
    pub(in crate::reconciliation) channel_order_id: Option<String>,
    /// `None`: amounts are not compared.
    pub(in crate::reconciliation) money: Option<Money>,
    pub(in crate::reconciliation) at: Option<Timestamp>,
}

/// Which way the money went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// To us.
    Payment,
    /// Back.
    Refund,
}

/// A line of a bill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::reconciliation) enum Entry {
    Line(BillLine),
    /// It says nothing of payments: a fee, a transfer.
    Other,
    /// It should say something, and can't be read.
    Unreadable {
        line: u64,
        reason: &'static str,
    },
}

/// The two numbers that a line may name; an error when it names neither, or one that no payment has.
pub(super) fn numbers(
    order_id: Option<&str>,
    channel_order_id: Option<&str>,
) -> Result<(Option<String>, Option<String>), &'static str> {
    let known = |number: Option<&str>| number.filter(|number| !number.is_empty()).map(str::to_owned);
    let (order_id, channel_order_id) = (known(order_id), known(channel_order_id));
    let is_long = |number: &Option<String>| number.as_ref().is_some_and(|number| number.len() > NUMBER_BYTES_MAX);
    match (&order_id, &channel_order_id) {
        (None, None) => Err("names neither our number nor the channel's"),
        _ if is_long(&order_id) || is_long(&channel_order_id) => Err("has a number that is too long"),
        _ => Ok((order_id, channel_order_id)),
    }
}

/// An amount in major units, whatever its sign; and whether it is negative.
pub(super) fn major(raw: &str, currency: Currency) -> Result<(Money, bool), &'static str> {
    let (digits, is_negative) = unsigned(raw);
    let money = Money::parse_major(digits, currency);
    money.map(|money| (money, is_negative)).map_err(|_| "has an amount that can't be read")
}

/// The same in minor units.
pub(super) fn minor(raw: &str, currency: Currency) -> Result<(Money, bool), &'static str> {
    let (digits, is_negative) = unsigned(raw);
    let money = Money::parse_minor(digits, currency);
    money.map(|money| (money, is_negative)).map_err(|_| "has an amount that can't be read")
}

fn unsigned(raw: &str) -> (&str, bool) {
    match raw.strip_prefix('-') {
        Some(digits) => (digits, true),
        None => (raw.strip_prefix('+').unwrap_or(raw), false),
    }
}
