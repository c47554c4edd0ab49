//! Phone numbers: the one form that is accepted, and what of it is shown.

use std::fmt;

use super::field::FieldError;

const REFUSED: FieldError =
    FieldError::new("phone", "must be an international number: + and 8 to 15 digits, like +8613812345678");

/// Digits at the end of a masked number that are shown, and those before them that are not.
const SHOWN_AT_THE_END: usize = 4;
const HIDDEN: usize = 4;

/// A phone number as ITU-T E.164 writes it: `+`, a country code, at most 15 digits in all. Never printed.
///
/// Only this form is read. A national number means something else in each country, and digits with spaces or brackets
/// could name one phone in many ways.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct PhoneNumber(String);

impl PhoneNumber {
    /// Reads what a player typed or an app made of it.
    pub(crate) fn parse(raw: &str) -> Result<Self, FieldError> {
        let digits = raw.strip_prefix('+').ok_or(REFUSED)?;
        let well_formed = (8..=15).contains(&digits.len())
            && digits.bytes().all(|byte| byte.is_ascii_digit())
            && !digits.starts_with('0');
        if well_formed { Ok(Self(raw.to_owned())) } else { Err(REFUSED) }
    }

    /// The number, for those who have to call it or find it.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }

    /// Enough for its owner to recognise it: `+86138****5678`.
    pub(crate) fn masked(&self) -> String {
        // `parse` has left at least 8 digits behind the sign.
        let (start, end) = self.0.split_at(self.0.len() - SHOWN_AT_THE_END);
        format!("{}****{end}", &start[..start.len() - HIDDEN])
    }
}

impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PhoneNumber(<redacted>)")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_an_international_number_is_read() {
        for good in ["+8613812345678", "+14155550100", "+12345678", "+123456789012345"] {
            assert_eq!(PhoneNumber::parse(good).map(|phone| phone.0), Ok(good.to_owned()));
        }
        for bad in [
            "",
            "+",
            "13812345678",
            "008613812345678",
            "+1234567",
            "+1234567890123456",
            "+0138123456",
            "+86 138 1234 5678",
            "+86-13812345678",
            "+861381234567a",
            "+８６１３８１２３４５６７８",
            "+8613812345678\n",
        ] {
            assert_eq!(PhoneNumber::parse(bad), Err(REFUSED), "{bad:?}");
        }
    }

    #[test]
    fn a_masked_number_is_recognised_and_cannot_be_called() {
        for (phone, masked) in
            [("+8613812345678", "+86138****5678"), ("+14155550100", "+141****0100"), ("+12345678", "+****5678")]
        {
            assert_eq!(PhoneNumber::parse(phone).expect("valid").masked(), masked);
        }
    }

    #[test]
    fn a_number_never_prints() {
        let phone = PhoneNumber::parse("+8613812345678").expect("valid");
        assert_eq!(format!("{phone:?}"), "PhoneNumber(<redacted>)");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(raw in "\\PC{0,20}") {
            if let Ok(phone) = PhoneNumber::parse(&raw) {
                prop_assert_eq!(phone.masked().len(), raw.len());
            }
        }
    }
}
