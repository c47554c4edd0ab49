//! The number of an order: sortable by the time it was made, and not to be guessed.

use std::fmt;

use common::clock::{Random, Timestamp, random_bytes};

/// Without letters that are taken for digits (Crockford).
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

const LENGTH: usize = 26;

/// 26 of the digits and letters of Crockford's base 32: 48 bits of Unix milliseconds, then 80 random bits (a ULID). Of a
/// form that every channel takes for a merchant's order number (`out_trade_no`: at most 32 letters and digits).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct OrderId([u8; LENGTH]);

/// Not the form of an order's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not the number of an order")]
pub(crate) struct OrderIdError;

impl OrderId {
    /// A number nobody has had before.
    pub(crate) fn new(now: Timestamp, random: &dyn Random) -> Self {
        let tail = random_bytes::<10>(random).iter().fold(0_u128, |bits, byte| (bits << 8) | u128::from(*byte));
        Self::of(now, tail)
    }

    /// Not above any number that is made at `moment` or later, and above every one that was made before.
    pub(crate) fn first_of(moment: Timestamp) -> Self {
        Self::of(moment, 0)
    }

    /// The number's 128 bits, big-endian: half its size, for whoever has to remember many.
    pub(crate) fn to_bytes(self) -> [u8; 16] {
        let value = |letter: &u8| ALPHABET.iter().position(|known| known == letter).unwrap_or_default();
        // The first letter holds three bits.
        self.0.iter().fold(0_u128, |bits, letter| (bits << 5) | value(letter) as u128).to_be_bytes()
    }

    fn of(moment: Timestamp, tail: u128) -> Self {
        // Moments before 1970 and after the year 10889 have no numbers.
        let millis = u128::try_from(moment.as_millis()).unwrap_or(0).min((1 << 48) - 1);
        let bits = (millis << 80) | tail;
        let mut text = [0; LENGTH];
        for (place, letter) in text.iter_mut().rev().enumerate() {
            // Five bits: an index of the alphabet.
            *letter = ALPHABET[((bits >> (5 * place)) & 31) as usize];
        }
        Self(text)
    }

    /// Reads a number.
    pub(crate) fn parse(raw: &str) -> Result<Self, OrderIdError> {
        match <[u8; LENGTH]>::try_from(raw.as_bytes()) {
            Ok(letters) if letters.iter().all(|letter| ALPHABET.contains(letter)) => Ok(Self(letters)),
            _ => Err(OrderIdError),
        }
    }

    /// The number.
    pub(crate) fn as_str(&self) -> &str {
        // `parse` and `new` let nothing but ASCII in.
        str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use common::clock::testing::SeededRandom;

    use super::*;

    #[test]
    fn numbers_sort_by_time_and_are_never_the_same() {
        let random = SeededRandom::new(1);
        let at = |millis| OrderId::new(Timestamp::from_millis(millis), &random);
        let (first, twin, later) = (at(1_750_000_000_000), at(1_750_000_000_000), at(1_750_000_000_001));
        assert_ne!(first, twin);
        assert!(first < later && twin < later);
        assert!(first.as_str() < later.as_str());
        // The time is that of every ULID.
        assert_eq!(&first.as_str()[..10], "01JXT21Q00");
    }

    #[test]
    fn the_first_number_of_a_moment_stands_between_those_before_and_those_after() {
        let random = SeededRandom::new(1);
        let at = |millis| OrderId::new(Timestamp::from_millis(millis), &random);
        let first = OrderId::first_of(Timestamp::from_millis(1_750_000_000_000));
        assert!(at(1_749_999_999_999) < first && first <= at(1_750_000_000_000));
        assert!(OrderId::first_of(Timestamp::from_millis(-1)) < first);
        assert!(OrderId::first_of(Timestamp::from_millis(i64::MAX)) > at(1_750_000_000_000));
    }

    #[test]
    fn the_bits_of_a_number_are_its_own() {
        let random = SeededRandom::new(1);
        let number = OrderId::new(Timestamp::from_millis(1_750_000_000_000), &random);
        let other = OrderId::new(Timestamp::from_millis(1_750_000_000_000), &random);
        assert_ne!(number.to_bytes(), other.to_bytes());
        assert_eq!(number.to_bytes()[..6], 1_750_000_000_000_u64.to_be_bytes()[2..]);
    }

    #[test]
    fn a_number_is_read_back_and_nothing_else_is_read() {
        let number = OrderId::new(Timestamp::from_millis(1_750_000_000_000), &SeededRandom::new(1));
        assert_eq!(OrderId::parse(number.as_str()), Ok(number));
        for bad in
            ["", "01JXT21Q00", &format!("{number}0"), &number.as_str().to_lowercase(), "01JXT21Q00000000000000000I"]
        {
            assert_eq!(OrderId::parse(bad), Err(OrderIdError), "{bad:?}");
        }
    }
}
