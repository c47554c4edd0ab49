//! Double entry: money is never made or lost, it moves.
//!
//! A [`Posting`] is a set of signed amounts that add up to zero in every currency, so that one that exists is one that
//! may be written. Amounts are minor units; a positive amount raises the owner's balance.

use std::collections::BTreeMap;

use crate::domain::Currency;

/// The most entries of one posting: it is written in one transaction, which holds a lock per entry.
pub const ENTRIES_MAX: usize = 64;

/// Identifiers stay below 2^53, so that JavaScript and Lua clients can hold them.
const ID_END: i64 = 1 << 53;

const IDEMPOTENCY_KEY_BYTES_MAX: usize = 64;

/// Whose balance it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// A player's wallet, by account id. Never below zero.
    Player(i64),
    /// The app's own side: what it sold or gave. The counterpart of every wallet, so usually below zero.
    App,
}

impl Owner {
    /// Whether the balance may fall below zero.
    pub fn may_owe(self) -> bool {
        match self {
            Self::Player(_) => false,
            Self::App => true,
        }
    }
}

/// One movement on one balance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Whose balance.
    pub owner: Owner,
    /// In what.
    pub currency: Currency,
    /// By how many minor units; never zero.
    pub amount: i64,
}

/// Entries of one app that belong together: written all or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posting {
    app_id: i64,
    /// Sorted by owner and currency, each pair once: locks are taken in this order everywhere.
    entries: Vec<Entry>,
}

/// Why entries are not a posting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostingError {
    /// Nothing moves.
    #[error("a posting has at least two entries")]
    Empty,
    /// See [`ENTRIES_MAX`].
    #[error("a posting has at most {ENTRIES_MAX} entries")]
    TooManyEntries,
    /// An entry without effect.
    #[error("an entry of zero moves nothing")]
    ZeroAmount,
    /// Two entries for one balance: what they add up to should be one entry.
    #[error("an owner appears twice in one currency")]
    RepeatedOwner,
    /// Money would be made or lost.
    #[error("the entries in {currency} add up to {sum}, not to zero")]
    Unbalanced {
        /// The currency.
        currency: Currency,
        /// What is over.
        sum: i128,
    },
    /// An identifier outside 1..2^53.
    #[error("an app or account id is not a positive integer below 2^53")]
    Id,
}

impl Posting {
    /// A posting of `app_id`, if `entries` are one.
    pub fn new(app_id: i64, mut entries: Vec<Entry>) -> Result<Self, PostingError> {
        if entries.len() < 2 {
            return Err(PostingError::Empty);
        }
        if entries.len() > ENTRIES_MAX {
            return Err(PostingError::TooManyEntries);
        }
        let ids_are_good = entries.iter().all(|entry| match entry.owner {
            Owner::Player(account_id) => is_id(account_id),
            Owner::App => true,
        });
        if !is_id(app_id) || !ids_are_good {
            return Err(PostingError::Id);
        }
        entries.sort_unstable();
        if entries.windows(2).any(|pair| (pair[0].owner, pair[0].currency) == (pair[1].owner, pair[1].currency)) {
            return Err(PostingError::RepeatedOwner);
        }
        // At most 64 amounts of 64 bits: the sums can't overflow 128.
        let mut sums: BTreeMap<Currency, i128> = BTreeMap::new();
        for entry in &entries {
            if entry.amount == 0 {
                return Err(PostingError::ZeroAmount);
            }
            *sums.entry(entry.currency).or_default() += i128::from(entry.amount);
        }
        match sums.into_iter().find(|(_, sum)| *sum != 0) {
            Some((currency, sum)) => Err(PostingError::Unbalanced { currency, sum }),
            None => Ok(Self { app_id, entries }),
        }
    }

    /// The app whose books these are.
    pub fn app_id(&self) -> i64 {
        self.app_id
    }

    /// The entries, sorted by owner and currency.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }
}

/// A movement a balance can't take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Overdrawn {
    /// The owner does not have that much.
    #[error("the balance would fall below zero")]
    Insufficient,
    /// Beyond what 64 bits count.
    #[error("the balance would leave the range of a 64-bit integer")]
    Overflow,
}

/// What `owner`'s balance is after `amount`.
pub(crate) fn new_balance(owner: Owner, balance: i64, amount: i64) -> Result<i64, Overdrawn> {
    match balance.checked_add(amount) {
        None => Err(Overdrawn::Overflow),
        // A correction upwards is taken even if it does not reach zero.
        Some(after) if after < 0 && amount < 0 && !owner.may_owe() => Err(Overdrawn::Insufficient),
        Some(after) => Ok(after),
    }
}

/// What tells a repeated request from a new one, within an app: 1-64 printable ASCII characters without spaces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdempotencyKey(String);

/// Not a usable idempotency key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be 1-{IDEMPOTENCY_KEY_BYTES_MAX} printable ASCII characters without spaces")]
pub struct IdempotencyKeyError;

impl IdempotencyKey {
    /// Reads a key.
    pub fn parse(raw: &str) -> Result<Self, IdempotencyKeyError> {
        let sized = (1..=IDEMPOTENCY_KEY_BYTES_MAX).contains(&raw.len());
        if sized && raw.bytes().all(|byte| byte.is_ascii_graphic()) {
            Ok(Self(raw.to_owned()))
        } else {
            Err(IdempotencyKeyError)
        }
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

pub(crate) fn is_id(id: i64) -> bool {
    (1..ID_END).contains(&id)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn currency(code: &str) -> Currency {
        Currency::parse(code).expect("a currency")
    }

    fn entry(owner: Owner, code: &str, amount: i64) -> Entry {
        Entry { owner, currency: currency(code), amount }
    }

    #[test]
    fn entries_that_do_not_balance_are_no_posting() {
        let (player, app) = (Owner::Player(7), Owner::App);
        let unbalanced = |sum| Err(PostingError::Unbalanced { currency: currency("CNY"), sum });
        let too_many = (1..=65).map(|id| entry(Owner::Player(id), "CNY", 1)).collect();
        for (entries, expected) in [
            (vec![], Err(PostingError::Empty)),
            (vec![entry(player, "CNY", 5)], Err(PostingError::Empty)),
            (too_many, Err(PostingError::TooManyEntries)),
            (vec![entry(player, "CNY", 5), entry(app, "CNY", -4)], unbalanced(1)),
            // Zero over all currencies is not zero in each.
            (vec![entry(player, "CNY", 5), entry(app, "USD", -5)], unbalanced(5)),
            (vec![entry(player, "CNY", 0), entry(app, "CNY", 0)], Err(PostingError::ZeroAmount)),
            (vec![entry(player, "CNY", 5), entry(player, "CNY", -5)], Err(PostingError::RepeatedOwner)),
            (vec![entry(Owner::Player(0), "CNY", 5), entry(app, "CNY", -5)], Err(PostingError::Id)),
            // A sum that would wrap to zero in 64 bits.
            (
                vec![entry(Owner::Player(1), "CNY", i64::MIN), entry(player, "CNY", i64::MIN)],
                unbalanced(2 * i128::from(i64::MIN)),
            ),
        ] {
            assert_eq!(Posting::new(1, entries.clone()).map(|_| ()), expected, "{entries:?}");
        }
        assert_eq!(Posting::new(1 << 53, vec![entry(player, "CNY", 5), entry(app, "CNY", -5)]), Err(PostingError::Id));
    }

    #[test]
    fn a_player_s_balance_never_falls_below_zero_and_no_balance_wraps() {
        let (player, app) = (Owner::Player(7), Owner::App);
        for (owner, balance, amount, expected) in [
            (player, 5, -5, Ok(0)),
            (player, 5, -6, Err(Overdrawn::Insufficient)),
            (player, -9, 5, Ok(-4)),
            (app, 5, -6, Ok(-1)),
            (player, i64::MAX, 1, Err(Overdrawn::Overflow)),
            (app, i64::MIN, -1, Err(Overdrawn::Overflow)),
        ] {
            assert_eq!(new_balance(owner, balance, amount), expected, "{owner:?} {balance} {amount}");
        }
    }

    #[test]
    fn an_idempotency_key_is_short_and_printable() {
        let (longest, too_long) = ("k".repeat(64), "k".repeat(65));
        for (raw, good) in [
            ("a", true),
            (&longest, true),
            ("", false),
            (&too_long, false),
            ("a b", false),
            ("a\n", false),
            ("ü", false),
        ] {
            assert_eq!(IdempotencyKey::parse(raw).is_ok(), good, "{raw:?}");
        }
    }

    fn any_entries() -> impl Strategy<Value = Vec<Entry>> {
        let owner = prop_oneof![Just(Owner::App), (-1_i64..6).prop_map(Owner::Player)];
        let code = prop_oneof![Just("CNY"), Just("USD")];
        // Small amounts balance by chance often enough; large ones try the arithmetic.
        let amount = prop_oneof![-2_i64..3, Just(i64::MIN), Just(i64::MAX)];
        let entry = (owner, code, amount).prop_map(|(owner, code, amount)| entry(owner, code, amount));
        prop::collection::vec(entry, 0..6)
    }

    proptest! {
        #[test]
        fn no_posting_exists_that_makes_or_loses_money(entries in any_entries()) {
            if let Ok(posting) = Posting::new(1, entries.clone()) {
                for code in ["CNY", "USD"] {
                    let in_currency = posting.entries().iter().filter(|entry| entry.currency == currency(code));
                    prop_assert_eq!(in_currency.map(|entry| i128::from(entry.amount)).sum::<i128>(), 0);
                }
                prop_assert_eq!(posting.entries().len(), entries.len());
                prop_assert!(posting.entries().is_sorted());
            }
        }

        #[test]
        fn balanced_entries_are_one_posting_in_whatever_order_they_come(
            amounts in prop::collection::vec(1_i64..1_000, 1..ENTRIES_MAX)
        ) {
            let mut entries = vec![entry(Owner::App, "CNY", -amounts.iter().sum::<i64>())];
            entries.extend((1..).zip(amounts).map(|(id, amount)| entry(Owner::Player(id), "CNY", amount)));
            let posting = Posting::new(1, entries.clone());
            prop_assert!(posting.is_ok());
            entries.reverse();
            prop_assert_eq!(Posting::new(1, entries), posting);
        }
    }
}
