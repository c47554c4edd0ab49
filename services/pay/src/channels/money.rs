//! Amounts as channels write them, read exactly: never through floating point.

use std::fmt;

use crate::domain::Currency;

/// An amount in a currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Money {
    /// Minor units, never negative.
    pub amount: i64,
    /// In what.
    pub currency: Currency,
}

/// Not an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Something else than digits and one point.
    #[error("must be digits, with at most one point between them")]
    Form,
    /// A part of the smallest unit there is.
    #[error("has more decimals than its currency")]
    Decimals,
    /// Beyond what a 64-bit integer counts in minor units.
    #[error("is too large")]
    TooLarge,
}

impl AmountError {
    /// The reason as a text that lives as long as the program.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::Form => "must be digits, with at most one point between them",
            Self::Decimals => "has more decimals than its currency",
            Self::TooLarge => "is too large",
        }
    }
}

impl Money {
    /// Reads major units such as `6.00`. Neither signs, spaces, exponents, a bare point nor grouping are an amount, and
    /// decimals beyond the currency's are refused even if they are zero.
    pub fn parse_major(raw: &str, currency: Currency) -> Result<Self, AmountError> {
        let (whole, decimals) = match raw.split_once('.') {
            Some((_, "")) => return Err(AmountError::Form),
            Some((whole, decimals)) => (whole, decimals),
            None => (raw, ""),
        };
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !digits(whole) || !digits(decimals) {
            return Err(AmountError::Form);
        }
        let exponent = minor_unit_digits(currency);
        let missing = exponent.checked_sub(decimals.len()).ok_or(AmountError::Decimals)?;
        let minor = [whole, decimals, &"0".repeat(missing)].concat();
        Self::parse_minor(&minor, currency)
    }

    /// Reads minor units such as `600`.
    pub fn parse_minor(raw: &str, currency: Currency) -> Result<Self, AmountError> {
        if raw.is_empty() || !raw.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(AmountError::Form);
        }
        // Only digits: nothing but the range can be wrong.
        raw.parse().map(|amount| Self { amount, currency }).map_err(|_| AmountError::TooLarge)
    }

    /// Major units, with as many decimals as the currency has: `6.00`.
    pub fn to_major(self) -> String {
        let digits = minor_unit_digits(self.currency);
        let written = format!("{:0width$}", self.amount, width = digits + 1);
        match written.split_at_checked(written.len() - digits) {
            Some((whole, decimals)) if digits > 0 => format!("{whole}.{decimals}"),
            _ => written,
        }
    }

    /// Thousandths of a major unit, as Apple counts. Parts of a minor unit are refused.
    pub fn from_thousandths(thousandths: i64, currency: Currency) -> Result<Self, AmountError> {
        if thousandths < 0 {
            return Err(AmountError::Form);
        }
        let digits = u32::try_from(minor_unit_digits(currency)).map_err(|_| AmountError::Decimals)?;
        let minor = i128::from(thousandths) * 10_i128.pow(digits);
        if minor % 1000 != 0 {
            return Err(AmountError::Decimals);
        }
        i64::try_from(minor / 1000).map(|amount| Self { amount, currency }).map_err(|_| AmountError::TooLarge)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount, self.currency)
    }
}

/// The currency of channels that know no other.
#[expect(clippy::expect_used, reason = "a constant")]
pub(crate) fn cny() -> Currency {
    Currency::parse("CNY").expect("three upper-case letters")
}

/// Digits behind the point, by ISO 4217; two where the standard names no others.
pub(super) fn minor_unit_digits(currency: Currency) -> usize {
    match currency.as_str() {
        "BIF" | "CLP" | "DJF" | "GNF" | "ISK" | "JPY" | "KMF" | "KRW" | "PYG" | "RWF" | "UGX" | "UYI" | "VND"
        | "VUV" | "XAF" | "XOF" | "XPF" => 0,
        "BHD" | "IQD" | "JOD" | "KWD" | "LYD" | "OMR" | "TND" => 3,
        "CLF" | "UYW" => 4,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn major(raw: &str, currency: &str) -> Result<i64, AmountError> {
        Money::parse_major(raw, Currency::parse(currency).expect("a currency")).map(|money| money.amount)
    }

    #[test]
    fn major_units_are_read_exactly_by_the_currency() {
        for (raw, currency, expected) in [
            ("6.00", "CNY", Ok(600)),
            ("6", "CNY", Ok(600)),
            ("6.5", "CNY", Ok(650)),
            ("0.01", "CNY", Ok(1)),
            ("0.29", "CNY", Ok(29)),
            ("006.00", "CNY", Ok(600)),
            ("600", "JPY", Ok(600)),
            ("1.234", "KWD", Ok(1234)),
            ("6.001", "CNY", Err(AmountError::Decimals)),
            ("6.000", "CNY", Err(AmountError::Decimals)),
            ("6.0", "JPY", Err(AmountError::Decimals)),
            ("-6.00", "CNY", Err(AmountError::Form)),
            ("+6.00", "CNY", Err(AmountError::Form)),
            ("6e2", "CNY", Err(AmountError::Form)),
            (" 6.00", "CNY", Err(AmountError::Form)),
            ("6.", "CNY", Err(AmountError::Form)),
            (".5", "CNY", Err(AmountError::Form)),
            ("6.0.0", "CNY", Err(AmountError::Form)),
            ("6,00", "CNY", Err(AmountError::Form)),
            ("６", "CNY", Err(AmountError::Form)),
            ("", "CNY", Err(AmountError::Form)),
            ("92233720368547758.07", "CNY", Ok(i64::MAX)),
            ("92233720368547758.08", "CNY", Err(AmountError::TooLarge)),
        ] {
            assert_eq!(major(raw, currency), expected, "{raw} {currency}");
        }
    }

    #[test]
    fn thousandths_become_minor_units_or_are_refused() {
        let read = |thousandths, currency| {
            Money::from_thousandths(thousandths, Currency::parse(currency).expect("a currency"))
                .map(|money| money.amount)
        };
        assert_eq!(read(990, "USD"), Ok(99));
        assert_eq!(read(6_000, "CNY"), Ok(600));
        assert_eq!(read(160_000, "JPY"), Ok(160));
        assert_eq!(read(1_234, "KWD"), Ok(1234));
        assert_eq!(read(995, "USD"), Err(AmountError::Decimals));
        assert_eq!(read(500, "JPY"), Err(AmountError::Decimals));
        assert_eq!(read(-990, "USD"), Err(AmountError::Form));
        assert_eq!(read(i64::MAX, "CLF"), Err(AmountError::TooLarge));
    }

    proptest! {
        #[test]
        fn no_text_panics(raw in ".*", digits in "[0-9]{0,40}\\.?[0-9]{0,6}") {
            for text in [raw, digits] {
                let _ = major(&text, "CNY");
                let _ = major(&text, "JPY");
            }
        }

        #[test]
        fn what_is_written_out_is_read_back(amount in 0_i64..i64::MAX) {
            let written = format!("{}.{:02}", amount / 100, amount % 100);
            prop_assert_eq!(major(&written, "CNY"), Ok(amount));
            for code in ["CNY", "JPY", "KWD", "CLF"] {
                let currency = Currency::parse(code).expect("a currency");
                prop_assert_eq!(major(&Money { amount, currency }.to_major(), code), Ok(amount));
            }
        }
    }
}
