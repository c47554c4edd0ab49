//! The pure rules of money: currencies, owners, postings that always balance, and the life of an order.
//!
//! Nothing here knows of databases, time or the network.

mod currency;
mod delivery;
mod field;
mod ledger;
mod money;
mod order;
mod order_id;
mod order_state;
mod product;
mod question;
mod refund;
mod spend;

pub use self::{
    currency::{Currency, CurrencyError},
    ledger::{ENTRIES_MAX, Entry, IdempotencyKey, IdempotencyKeyError, Overdrawn, Owner, Posting, PostingError},
};
pub(crate) use self::{
    delivery::{Breaker, BreakerRules, Schedule, is_acknowledgement},
    field::FieldError,
    ledger::{is_id, new_balance},
    money::Money,
    order::{Charge, Mismatch, NewOrder, Order, Payment},
    order_id::OrderId,
    order_state::{Impossible, OrderEvent, OrderState, Step, advance},
    product::{CHANNEL_BYTES_MAX, Product, ProductId},
    question::{Lifetime, QuestionKind, QuestionPlan},
    refund::{Addition, Extent, NoticeState, Refund, adds, counted, is_back, is_told, refund_id},
    spend::Spend,
};
