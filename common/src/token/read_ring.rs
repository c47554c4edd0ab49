//! A key ring as it was read, and what it can tell for certain.

use super::{
    access_token::{self, Buffer, Claims, Unopened},
    key_ring::{KeyId, KeyRing},
};
use crate::clock::Timestamp;

/// A key ring, and until when every key that signs is certain to be in it.
///
/// A key is stored a while before it signs. So a ring that was read within that while has every key that signs, and a
/// token of any other key is forged; afterwards it may be one of a key that was added since.
#[derive(Debug)]
pub struct ReadRing {
    ring: KeyRing,
    complete_until: Timestamp,
}

/// What a token is can't be told with this ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsure {
    /// It names a key that may have been added since the ring was read.
    #[error("the token names key {}, which may be newer than the ring", .0.get())]
    UnknownKey(KeyId),
    /// It is one of ours, and a later version made it.
    #[error("the token was made by a later version")]
    Unreadable,
}

impl ReadRing {
    /// The ring, and the moment from which keys that are not in it may sign: when it was read, and the time for which a
    /// new key is announced.
    pub fn new(ring: KeyRing, complete_until: Timestamp) -> Self {
        Self { ring, complete_until }
    }

    /// The keys.
    pub fn ring(&self) -> &KeyRing {
        &self.ring
    }

    /// For how much longer no key can be missing.
    pub fn complete_until(&self) -> Timestamp {
        self.complete_until
    }

    /// Opens a token: `Ok(None)` when it certainly is none of ours. Does no I/O and allocates nothing.
    pub fn open<'b>(&self, token: &str, buffer: &'b mut Buffer, now: Timestamp) -> Result<Option<Claims<'b>>, Unsure> {
        match access_token::open(&self.ring, token, buffer) {
            Ok(claims) => Ok(Some(claims)),
            Err(Unopened::Forged) => Ok(None),
            // Ids count up, so an unknown one below the newest is of a key that was deleted, or of none.
            Err(Unopened::UnknownKey(id)) if id > self.ring.newest() && now >= self.complete_until => {
                Err(Unsure::UnknownKey(id))
            }
            Err(Unopened::UnknownKey(_)) => Ok(None),
            Err(Unopened::Unreadable) => Err(Unsure::Unreadable),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::token::{
        access_token::{seal, tests::claims},
        cipher::{KEY_LENGTH, NONCE_LENGTH},
        key_ring::TokenKey,
    };

    const COMPLETE_UNTIL: Timestamp = Timestamp::from_millis(1000);

    fn key(id: u32) -> TokenKey {
        TokenKey::new(KeyId::new(id), Timestamp::default(), &[u8::try_from(id).expect("small"); KEY_LENGTH])
    }

    #[test]
    fn a_token_of_an_unknown_newer_key_is_forged_until_such_a_key_may_sign_and_an_open_question_then() {
        let ring = ReadRing::new(KeyRing::new(vec![key(2)]).expect("not empty"), COMPLETE_UNTIL);
        let open = |id: u32, now: Timestamp| {
            let token = seal(&key(id), &claims(), [5; NONCE_LENGTH]);
            ring.open(&token, &mut Buffer::default(), now).map(|claims| claims.is_some())
        };
        let before = COMPLETE_UNTIL.minus(Duration::from_millis(1));
        assert_eq!(open(3, before), Ok(false));
        assert_eq!(open(3, COMPLETE_UNTIL), Err(Unsure::UnknownKey(KeyId::new(3))));
        for now in [before, COMPLETE_UNTIL] {
            assert_eq!(open(2, now), Ok(true));
            assert_eq!(open(1, now), Ok(false), "of a key that was deleted");
        }
    }
}
