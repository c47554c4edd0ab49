//! What a game server spends from a player's wallet.

use aws_lc_rs::digest::{Context, SHA256};

use super::{Entry, FieldError, Money, Owner, Posting, is_id};

/// A reason is kept with the spend; longer ones are refused.
const REASON_BYTES_MAX: usize = 255;

/// An amount that leaves a wallet for the app's own side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spend {
    app_id: i64,
    account_id: i64,
    amount: Money,
    reason: String,
}

impl Spend {
    /// What is asked for, if it can be.
    pub(crate) fn new(app_id: i64, account_id: i64, amount: Money, reason: &str) -> Result<Self, FieldError> {
        for (field, id) in [("app_id", app_id), ("account_id", account_id)] {
            if !is_id(id) {
                return Err(FieldError::new(field, "must be a positive integer below 2^53"));
            }
        }
        if reason.len() > REASON_BYTES_MAX || reason.chars().any(char::is_control) {
            return Err(FieldError::new("reason", "must be at most 255 bytes without control characters"));
        }
        Ok(Self { app_id, account_id, amount, reason: reason.to_owned() })
    }

    /// Whose game.
    pub(crate) fn app_id(&self) -> i64 {
        self.app_id
    }

    /// Whose wallet.
    pub(crate) fn account_id(&self) -> i64 {
        self.account_id
    }

    /// How much.
    pub(crate) fn amount(&self) -> Money {
        self.amount
    }

    /// For operators; may be empty.
    pub(crate) fn reason(&self) -> &str {
        &self.reason
    }

    /// From the wallet to the app's own side.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        let (amount, currency) = (self.amount.amount(), self.amount.currency());
        let entry = |owner, amount| Entry { owner, currency, amount };
        vec![entry(Owner::Player(self.account_id), -amount), entry(Owner::App, amount)]
    }

    /// The same as a posting. `None` only if this value could not be.
    pub(crate) fn posting(&self) -> Option<Posting> {
        Posting::new(self.app_id, self.entries()).ok()
    }

    /// Tells a repeated request from another one under the same key: every field, each with its length before it.
    pub(crate) fn digest(&self) -> [u8; 32] {
        let mut context = Context::new(&SHA256);
        let (account, amount) = (self.account_id.to_string(), self.amount.amount().to_string());
        for part in [&*account, &*amount, self.amount.currency().as_str(), &*self.reason] {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        digest
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Currency;

    fn spend(account_id: i64, amount: i64, code: &str, reason: &str) -> Result<Spend, FieldError> {
        let currency = Currency::parse(code).expect("a currency");
        Spend::new(1001, account_id, Money::new(amount, currency).expect("an amount"), reason)
    }

    #[test]
    fn a_spend_is_a_posting_that_takes_from_the_player_and_gives_to_the_app() {
        let posting = spend(7, 60, "CNY", "a sword").expect("a spend").posting().expect("balances");
        let amounts: Vec<_> = posting.entries().iter().map(|entry| (entry.owner, entry.amount)).collect();
        assert_eq!(amounts, [(Owner::Player(7), -60), (Owner::App, 60)]);
    }

    #[test]
    fn another_request_has_another_digest_and_what_can_not_be_is_refused_by_field() {
        let first = spend(7, 60, "CNY", "x").expect("a spend").digest();
        assert_eq!(spend(7, 60, "CNY", "x").expect("a spend").digest(), first);
        for other in
            [spend(8, 60, "CNY", "x"), spend(7, 61, "CNY", "x"), spend(7, 60, "USD", "x"), spend(7, 60, "CNY", "")]
        {
            assert_ne!(other.expect("a spend").digest(), first);
        }
        assert_eq!(spend(0, 60, "CNY", "").expect_err("refused").field, "account_id");
        assert_eq!(spend(7, 60, "CNY", &"x".repeat(256)).expect_err("refused").field, "reason");
        assert_eq!(spend(7, 60, "CNY", "a\nb").expect_err("refused").field, "reason");
    }
}
