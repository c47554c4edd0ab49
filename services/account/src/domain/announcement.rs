//! A revocation as it travels to the other instances: a hint that saves them waiting for their next read, never the
//! truth.

use common::clock::Timestamp;

use super::{
    ids::{AccountId, SessionId},
    revocation::{Ban, Revocation},
};

/// The first byte of what is written here. An instance that does not know it reads the database instead.
const VERSION: u8 = 1;

const SESSION: u8 = b's';
const ACCOUNT: u8 = b'a';
const BAN: u8 = b'b';
const BAN_LIFTED: u8 = b'l';

/// The end of a ban that has none.
const FOR_GOOD: i64 = i64::MAX;

/// What was revoked, and until when that has to be remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Announcement {
    pub(crate) revocation: Revocation,
    pub(crate) expires_at: Timestamp,
}

/// Writes announcements one behind the other: a kind, its fields, the time; numbers in big-endian order. The one text, the
/// reason of a ban, has its length in front.
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
            Revocation::Ban { account_id, revision, ban } => {
                bytes.push(if ban.is_some() { BAN } else { BAN_LIFTED });
                bytes.extend(account_id.get().to_be_bytes());
                bytes.extend(revision.to_be_bytes());
                if let Some(ban) = ban {
                    encode_ban(ban, &mut bytes);
                }
            }
        }
        bytes.extend(expires_at.as_millis().to_be_bytes());
    }
    bytes
}

fn encode_ban(ban: &Ban, bytes: &mut Vec<u8>) {
    let until = ban.until.map_or(FOR_GOOD, Timestamp::as_millis);
    // A reason has at most 255 bytes; a longer one would be cut, and read from the database in full.
    let length = u8::try_from(ban.reason.len()).unwrap_or(u8::MAX);
    bytes.extend(until.to_be_bytes());
    bytes.push(length);
    bytes.extend(&ban.reason.as_bytes()[..usize::from(length)]);
}

fn decode_ban(rest: &mut &[u8]) -> Option<Ban> {
    let until = i64::from_be_bytes(take(rest)?);
    let [length] = take(rest)?;
    let (reason, after) = rest.split_at_checked(usize::from(length))?;
    *rest = after;
    let reason = std::str::from_utf8(reason).ok()?.to_owned().into();
    Some(Ban { reason, until: (until != FOR_GOOD).then(|| Timestamp::from_millis(until)) })
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
            BAN | BAN_LIFTED => Revocation::Ban {
                account_id: AccountId::parse(i64::from_be_bytes(take(&mut rest)?)).ok()?,
                revision: u32::from_be_bytes(take(&mut rest)?),
                ban: if *kind == BAN { Some(decode_ban(&mut rest)?) } else { None },
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
        let reason = (proptest::option::of("[a-zé]{1,100}"), proptest::option::of(0..i64::MAX));
        let ban = (1..1_000_000_000_i64, any::<u32>(), reason).prop_map(|(id, revision, (reason, until))| {
            let until = until.map(Timestamp::from_millis);
            Revocation::Ban {
                account_id: AccountId::parse(id).expect("in range"),
                revision,
                ban: reason.map(|reason| Ban { reason: reason.into(), until }),
            }
        });
        (prop_oneof![session, account, ban], any::<i64>()).prop_map(|(revocation, expires_at)| Announcement {
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
            Announcement {
                revocation: Revocation::Ban {
                    account_id,
                    revision: 1,
                    ban: Some(Ban { reason: "bot".into(), until: Some(Timestamp::from_millis(9)) }),
                },
                expires_at: Timestamp::from_millis(3),
            },
            Announcement {
                revocation: Revocation::Ban { account_id, revision: 2, ban: None },
                expires_at: Timestamp::from_millis(4),
            },
        ];
        let expected = "0173070707070707070707070707070707070000000000000001\
                        610000000000000102000000030000000000000002\
                        6200000000000001020000000100000000000000090\
                        3626f740000000000000003\
                        6c0000000000000102000000020000000000000004";
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
