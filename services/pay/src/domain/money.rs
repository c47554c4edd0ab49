//! An amount somebody pays.

use std::fmt;

use super::Currency;

/// Amounts stay below 2^53, so that JavaScript and Lua clients can hold them.
const AMOUNT_END: i64 = 1 << 53;

/// Minor units of a currency, at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Money {
    amount: i64,
    currency: Currency,
}

/// Not an amount that can be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a positive number of minor units below 2^53")]
pub(crate) struct AmountError;

impl Money {
    /// `amount` minor units of `currency`.
    pub(crate) fn new(amount: i64, currency: Currency) -> Result<Self, AmountError> {
        match amount {
            1..AMOUNT_END => Ok(Self { amount, currency }),
            _ => Err(AmountError),
        }
    }

    /// Minor units.
    pub(crate) fn amount(self) -> i64 {
        self.amount
    }

    /// Of what.
    pub(crate) fn currency(self) -> Currency {
        self.currency
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount, self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_and_less_than_nothing_can_not_be_paid() {
        let currency = Currency::parse("CNY").expect("a currency");
        for (amount, good) in [(1, true), ((1 << 53) - 1, true), (0, false), (-600, false), (1 << 53, false)] {
            assert_eq!(Money::new(amount, currency).is_ok(), good, "{amount}");
        }
    }
}
