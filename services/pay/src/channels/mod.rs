//! Payment channels: whoever takes the player's money and tells us so. A raw callback in, verified facts and an answer out.
//!
//! No input or output, no clock and no database: time and keys are passed in, and what is found out is compared with the
//! order by whoever keeps the orders. A signature is checked over what came, before anything of it is believed; amounts
//! are integers in minor units from the first byte on.
//!
//! In reading order:
//! - [`callback`]: what came, what it says, why it may be refused.
//! - [`channel`]: what every channel can do.
//! - [`asking`]: what a channel can be asked, and what it answers.
//! - [`config`]: the configuration of a channel, checked as a whole.
//! - [`money`], [`moment`], [`text`], [`parameters`], [`json`], [`jws`]: what channels write, read exactly and by field.
//! - [`public_key`], [`issuer_keys`]: what signatures are checked with. [`private_key`]: what questions are signed with.
//! - [`sandbox`]: a channel for development.
//! - [`alipay`], [`wechat_pay`].
//! - [`apple`], with [`apple_chain`] and [`apple_order`].
//! - [`google_play`], with [`google_purchase`] and [`service_account`].
//! - [`manifest`]: channels that are data.
//!
//! `docs/pay-channels.md` is the same for operators.

mod alipay;
mod apple;
mod apple_chain;
mod apple_order;
mod asking;
mod callback;
mod channel;
mod config;
mod google_play;
mod google_purchase;
mod issuer_keys;
mod json;
mod jws;
mod manifest;
pub(crate) mod moment;
mod money;
mod parameters;
mod private_key;
mod public_key;
mod sandbox;
mod service_account;
#[cfg(test)]
pub(crate) mod testing;
mod text;
mod wechat_pay;

pub(crate) use self::money::cny;
pub use self::{
    apple_order::app_account_token,
    asking::{AskInputs, AskedOrder, AskedRefund, PaymentAnswer, RefundAnswer},
    callback::{
        Answer, CallbackRefusal, Charged, PaymentFacts, Question, RawCallback, Refund, RefundExtent, Verdict, What,
    },
    channel::{Acknowledgement, Outcome, PaymentChannel},
    config::{BuildInputs, ChannelConfig, ChannelConfigError, ConfigProblem},
    issuer_keys::{IssuerKeys, IssuerKeysError},
    manifest::{SHIPPED, ShippedManifest},
    money::{AmountError, Money},
    service_account::{AccessToken, ServiceAccount, TokenRefusal},
};
