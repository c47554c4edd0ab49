//! An order's number as Apple's `appAccountToken`, which has to be a UUID, and back.
//!
//! A number is 26 digits and letters of Crockford's base 32 that stand for 128 bits, and so is a UUID: one is the other,
//! written differently.

use uuid::Uuid;

/// Without letters that are taken for digits (Crockford).
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

const LENGTH: u32 = 26;

/// What a client has to give StoreKit as `appAccountToken` with a purchase for this order; `None`: the text is not the
/// number of an order.
pub fn app_account_token(order_id: &str) -> Option<String> {
    if order_id.len() != LENGTH as usize {
        return None;
    }
    let bits = order_id.bytes().try_fold(0_u128, |bits, letter| {
        let digit = ALPHABET.iter().position(|known| *known == letter)?;
        // 26 letters have room for two bits more than there are.
        bits.checked_mul(32)?.checked_add(digit as u128)
    })?;
    Some(Uuid::from_u128(bits).hyphenated().to_string())
}

/// The number of the order that an `appAccountToken` stands for.
pub(super) fn order_id(app_account_token: &str) -> Option<String> {
    let bits = Uuid::try_parse(app_account_token).ok()?.as_u128();
    let letter = |place: u32| char::from(ALPHABET[((bits >> (5 * place)) & 31) as usize]);
    Some((0..LENGTH).rev().map(letter).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_order_s_number_and_its_token_are_the_same_128_bits() {
        // By Python, from the definition.
        for (number, token) in [
            ("00000000000000000000000000", "00000000-0000-0000-0000-000000000000"),
            ("01JEKW0QJBF8Y8TBRVDTD0RKAQ", "0193a7c0-5e4b-7a3c-8d2f-1b6e9a0c4d57"),
            ("7ZZZZZZZZZZZZZZZZZZZZZZZZZ", "ffffffff-ffff-ffff-ffff-ffffffffffff"),
        ] {
            assert_eq!(app_account_token(number).as_deref(), Some(token));
            assert_eq!(order_id(token).as_deref(), Some(number));
            assert_eq!(order_id(&token.to_uppercase()).as_deref(), Some(number));
        }
        for bad in ["", "1", "80000000000000000000000000", "0000000000000000000000000I", "0000000000000000000000000a"] {
            assert_eq!(app_account_token(bad), None, "{bad}");
        }
        assert_eq!(order_id("ann"), None);
    }

    proptest! {
        #[test]
        fn no_text_panics_and_every_number_comes_back(text in ".*", number in "[0-7][0-9A-HJKMNP-TV-Z]{25}") {
            let _ = (app_account_token(&text), order_id(&text));
            let token = app_account_token(&number).expect("a number");
            prop_assert_eq!(order_id(&token), Some(number));
        }
    }
}
