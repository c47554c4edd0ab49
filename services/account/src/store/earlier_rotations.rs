//! The rotations before the last one, as they are packed into one column.
//!
//! A byte that says which layout it is, then per rotation, newest first, all big endian:
//! generation of the token that was used (4) | when, Unix ms (8) | SHA-256 of that token (32) | its sealed successor (48).
//!
//! What can't be read, because a later version wrote it, is as if it was not there: then less is known of the past.

use common::clock::Timestamp;

use crate::domain::{
    refresh_token::{SEALED_SUCCESSOR_LENGTH, TokenDigest},
    rotation::PastRotation,
};

const LAYOUT: u8 = 1;
const DIGEST_LENGTH: usize = 32;
const ROTATION_LENGTH: usize = 4 + 8 + DIGEST_LENGTH + SEALED_SUCCESSOR_LENGTH;

/// The column's value; `None` when there is nothing to remember.
pub(super) fn pack(rotations: &[PastRotation]) -> Option<Vec<u8>> {
    let mut packed = vec![LAYOUT];
    for rotation in rotations {
        packed.extend_from_slice(&rotation.generation.to_be_bytes());
        packed.extend_from_slice(&rotation.rotated_at.as_millis().to_be_bytes());
        packed.extend_from_slice(rotation.predecessor.as_bytes());
        packed.extend_from_slice(&rotation.sealed_successor);
    }
    (!rotations.is_empty()).then_some(packed)
}

/// What [`pack`] packed.
pub(super) fn unpack(packed: &[u8]) -> Vec<PastRotation> {
    let Some((&LAYOUT, rotations)) = packed.split_first() else { return Vec::new() };
    let (rotations, rest) = rotations.as_chunks::<ROTATION_LENGTH>();
    if !rest.is_empty() {
        return Vec::new();
    }
    rotations.iter().filter_map(|rotation| read(rotation)).collect()
}

fn read(rotation: &[u8]) -> Option<PastRotation> {
    let (generation, rest) = rotation.split_first_chunk()?;
    let (rotated_at, rest) = rest.split_first_chunk()?;
    let (predecessor, sealed_successor) = rest.split_first_chunk()?;
    Some(PastRotation {
        generation: u32::from_be_bytes(*generation),
        rotated_at: Timestamp::from_millis(i64::from_be_bytes(*rotated_at)),
        predecessor: TokenDigest::from_bytes(*predecessor),
        sealed_successor: sealed_successor.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{ids::SessionId, refresh_token::RefreshToken, rotation::MOST_KEPT};

    fn rotations() -> Vec<PastRotation> {
        let mut token = RefreshToken::first(SessionId::from_bytes([1; 16]), [0; 32]);
        let mut rotation = |number: u8| {
            let successor = token.successor([number; 32]);
            let rotation = PastRotation {
                generation: token.generation(),
                predecessor: token.digest(),
                sealed_successor: token.seal_successor(&successor),
                rotated_at: Timestamp::from_millis(i64::from(number)),
            };
            token = successor;
            rotation
        };
        (1..=3).map(&mut rotation).collect()
    }

    #[test]
    fn what_is_packed_reads_back_and_fits_its_column() {
        let packed = pack(&rotations()).expect("some");
        let read = unpack(&packed);
        assert_eq!(format!("{read:?}"), format!("{:?}", rotations()));
        assert_eq!(rotations().len(), MOST_KEPT - 1);
        assert!(packed.len() <= 512, "{}", packed.len());
        assert_eq!(pack(&[]), None);
    }

    #[test]
    fn what_a_later_version_wrote_is_as_if_it_was_not_there() {
        let mut packed = pack(&rotations()).expect("some");
        for unreadable in [&packed[..packed.len() - 1], &packed[..1], &[]] {
            assert!(unpack(unreadable).is_empty());
        }
        packed[0] = LAYOUT + 1;
        assert!(unpack(&packed).is_empty());
    }
}
