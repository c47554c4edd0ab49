//! Currencies by their ISO 4217 alphabetic code.

use std::fmt;

/// Three upper-case letters. Which minor unit a currency has is the business of whoever shows amounts: the ledger only
/// ever counts minor units.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency([u8; 3]);

/// Not the form of an ISO 4217 alphabetic code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be three upper-case letters (ISO 4217)")]
pub struct CurrencyError;

impl Currency {
    /// Reads a code.
    pub fn parse(raw: &str) -> Result<Self, CurrencyError> {
        match <[u8; 3]>::try_from(raw.as_bytes()) {
            Ok(letters) if letters.iter().all(u8::is_ascii_uppercase) => Ok(Self(letters)),
            _ => Err(CurrencyError),
        }
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        // `parse` lets nothing but ASCII in.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_three_upper_case_letters_are_a_currency() {
        assert_eq!(Currency::parse("CNY").expect("a currency").as_str(), "CNY");
        for bad in ["", "CN", "CNYY", "cny", "C1Y", "C Y", "Ä1", "元"] {
            assert_eq!(Currency::parse(bad), Err(CurrencyError), "{bad:?}");
        }
    }
}
