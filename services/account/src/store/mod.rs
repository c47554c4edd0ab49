//! The SQL of the account service: statements and rows, no decisions.
//!
//! Each file owns the statements of its tables; nothing outside this module knows a table. In reading order:
//! - [`accounts`]: accounts and their credentials.
//! - [`sessions`], [`earlier_rotations`]: sign-ins and the rotation of their refresh tokens.
//! - [`session_batches`]: ending sessions, however many an account has.
//! - [`links`], [`passwords`]: further credentials of an account, and its password.
//! - [`phone_codes`]: codes that were sent to phones.
//! - [`bans`]: who may not play.
//! - [`subject_bans`]: devices and parts of the network that are kept out.
//! - [`revocations`]: the feed that other instances follow.
//! - [`apps`], [`channels`], [`partners`], [`token_keys`], [`signing_keys`]: what is read rarely and kept in memory.
//! - [`audit`]: what operators changed.
//! - [`history`]: what happened to accounts.
//! - [`imports`]: accounts of another platform, many at once.
//! - [`deletions`]: accounts that come to their end.
//! - [`cleanup`]: deleting what no longer matters.

pub(crate) mod accounts;
pub(crate) mod apps;
pub(crate) mod audit;
pub(crate) mod bans;
pub(crate) mod channels;
pub(crate) mod cleanup;
pub(crate) mod deletions;
mod earlier_rotations;
pub(crate) mod history;
pub(crate) mod imports;
pub(crate) mod links;
pub(crate) mod partners;
pub(crate) mod passwords;
pub(crate) mod phone_codes;
pub(crate) mod revocations;
pub(crate) mod sealed;
pub(crate) mod session_batches;
pub(crate) mod sessions;
pub(crate) mod signing_keys;
pub(crate) mod subject_bans;
pub(crate) mod token_keys;

use common::clock::Timestamp;

use crate::{
    domain::ids::{AccountId, AppId, SessionId},
    error::AccountError,
};

fn account_id(stored: i64) -> Result<AccountId, AccountError> {
    AccountId::parse(stored).map_err(|_| AccountError::Damaged("account_id"))
}

fn app_id(stored: i64) -> Result<AppId, AccountError> {
    AppId::parse(stored).map_err(|_| AccountError::Damaged("app_id"))
}

fn session_id(stored: &[u8]) -> Result<SessionId, AccountError> {
    bytes(stored, "session_id").map(SessionId::from_bytes)
}

fn bytes<const N: usize>(stored: &[u8], column: &'static str) -> Result<[u8; N], AccountError> {
    stored.try_into().map_err(|_| AccountError::Damaged(column))
}

/// A counter that is 32 bits in memory and BIGINT in the table.
fn counter(stored: i64, column: &'static str) -> Result<u32, AccountError> {
    u32::try_from(stored).map_err(|_| AccountError::Damaged(column))
}

fn at(stored: i64) -> Timestamp {
    Timestamp::from_millis(stored)
}
