//! A revocation as it travels to the other instances: a hint that saves them waiting for their next read, never the
//! truth.

use common::clock::Timestamp;

use super::{
    ids::{AccountId, SessionId},
    revocation::Revocation,
};

/// The first byte of what is written here. An instance that does not know it reads the database instead.
const VERSION: u8 = 1;

const SESSION: u8 = b's';
const ACCOUNT: u8 = b'a';

/// What was revoked, and until when that has to be remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Announcement {
    pub(crate) revocation: Revocation,
    pub(crate) expires_at: Timestamp,
}

/// Writes announcements one behind the other: a kind, its fixed fields, the time; numbers in big-endian order.
pub(crate) fn encode(announcements: &[Announcement]) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    for Announcement { revocation, expires_at } in announcements {
        match revocation {
            Revocation::Session(id) => {
                bytes.push(SESSION);
                bytes.extend(id.as_bytes());
            }
            Revocation::Account { account_id, epoch } => {
                bytes.push(ACCOUNT);
                bytes.extend(account_id.get().to_be_bytes());
                bytes.extend(epoch.to_be_bytes());
            }
        }
        bytes.extend(expires_at.as_millis().to_be_bytes());
    }
    bytes
}

/// Reads what [`encode`] wrote; `None` if it was written by something else.
pub(crate) fn decode(bytes: &[u8]) -> Option<Vec<Announcement>> {
    let (&VERSION, mut rest) = bytes.split_first()? else { return None };
    let mut announcements = Vec::new();
    while let Some((kind, after)) = rest.split_first() {
        rest = after;
        let revocation = match *kind {
            SESSION => Revocation::Session(SessionId::from_bytes(take(&mut rest)?)),
            ACCOUNT => Revocation::Account {
                account_id: AccountId::parse(i64::from_be_bytes(take(&mut rest)?)).ok()?,
                epoch: u32::from_be_bytes(take(&mut rest)?),
            },
            _ => return None,
        };
        let expires_at = Timestamp::from_millis(i64::from_be_bytes(take(&mut rest)?));
        announcements.push(Announcement { revocation, expires_at });
    }
    Some(announcements)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(*taken)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn announcement() -> impl Strategy<Value = Announcement> {
        let session = any::<[u8; 16]>().prop_map(|id| Revocation::Session(SessionId::from_bytes(id)));
        let account = (1..1_000_000_000_i64, any::<u32>())
            .prop_map(|(id, epoch)| Revocation::Account { account_id: AccountId::parse(id).expect("in range"), epoch });
        (prop_oneof![session, account], any::<i64>()).prop_map(|(revocation, expires_at)| Announcement {
            revocation,
            expires_at: Timestamp::from_millis(expires_at),
        })
    }

    #[test]
    fn the_form_is_fixed_because_instances_of_different_versions_read_it() {
        let account_id = AccountId::parse(258).expect("in range");
        let announcements = [
            Announcement {
                revocation: Revocation::Session(SessionId::from_bytes([7; 16])),
                expires_at: Timestamp::from_millis(1),
            },
            Announcement {
                revocation: Revocation::Account { account_id, epoch: 3 },
                expires_at: Timestamp::from_millis(2),
            },
        ];
        let expected = "0173070707070707070707070707070707070000000000000001\
                        610000000000000102000000030000000000000002";
        assert_eq!(hex::encode(encode(&announcements)), expected);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(announcements in prop::collection::vec(announcement(), 0..20)) {
            prop_assert_eq!(decode(&encode(&announcements)), Some(announcements));
        }

        #[test]
        fn anything_else_is_refused_or_read_but_never_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            if let Some(announcements) = decode(&bytes) {
                prop_assert_eq!(encode(&announcements), bytes);
            }
        }

        #[test]
        fn what_is_cut_off_is_refused(announcement in announcement(), cut in 1..10_usize) {
            let bytes = encode(&[announcement]);
            prop_assert_eq!(decode(&bytes[..bytes.len() - cut]), None);
        }
    }
}
