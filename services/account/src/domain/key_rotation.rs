//! When a key begins to sign, and when nothing it signed can still be alive. One rule for every kind of key.
//!
//! A new key is stored a while before it signs (the announcement), so that everybody who has to accept its tokens knows
//! it by then. An old key stays until the last token it can have signed has expired.

use std::time::Duration;

use common::clock::Timestamp;

/// Keys of one kind at a time. Every token check may look at all of them, and every one is published or loaded by each
/// replica: a rotation that is repeated by mistake must end somewhere.
pub(crate) const MOST_KEYS: usize = 16;

/// A key as its rotation sees it. Numbers count up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scheduled {
    pub(crate) number: u32,
    pub(crate) signs_from: Timestamp,
}

/// What the rotation of one kind of key has to wait for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// How long before its first use a key is stored.
    pub(crate) announce: Duration,
    /// No token of these keys lives longer.
    pub(crate) longest_token: Duration,
}

/// What a rotation does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Plan {
    /// The key to make.
    pub(crate) next: Scheduled,
    /// The keys to delete: none of their tokens is alive.
    pub(crate) over: Vec<u32>,
}

/// There are [`MOST_KEYS`] keys whose tokens may still be alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there are {MOST_KEYS} keys whose tokens may still be alive: wait until some of them have expired")]
pub(crate) struct TooManyKeys;

impl Pace {
    /// Whether every token of a key has expired, given when the key after it begins to sign.
    pub(crate) fn is_over(&self, successor_signs_from: Timestamp, now: Timestamp) -> bool {
        // `announce` once more: a replica may be that late in taking over the successor.
        successor_signs_from + self.announce + self.longest_token <= now
    }

    /// Plans a rotation of `keys`, which are in the order of their numbers.
    pub(crate) fn plan(&self, keys: &[Scheduled], now: Timestamp) -> Result<Plan, TooManyKeys> {
        let pairs = keys.iter().zip(keys.iter().skip(1));
        let over: Vec<u32> =
            pairs.filter(|(_, after)| self.is_over(after.signs_from, now)).map(|(key, _)| key.number).collect();
        if keys.len() - over.len() >= MOST_KEYS {
            return Err(TooManyKeys);
        }
        let number = keys.last().map_or(1, |newest| newest.number + 1);
        Ok(Plan { next: Scheduled { number, signs_from: now + self.announce }, over })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace { announce: Duration::from_millis(10), longest_token: Duration::from_millis(100) };

    fn key(number: u32, signs_from: i64) -> Scheduled {
        Scheduled { number, signs_from: Timestamp::from_millis(signs_from) }
    }

    fn plan(keys: &[Scheduled], now: i64) -> Result<Plan, TooManyKeys> {
        PACE.plan(keys, Timestamp::from_millis(now))
    }

    #[test]
    fn a_new_key_is_announced_before_it_signs() {
        assert_eq!(plan(&[], 5), Ok(Plan { next: key(1, 15), over: vec![] }));
        assert_eq!(plan(&[key(7, 0)], 5), Ok(Plan { next: key(8, 15), over: vec![] }));
    }

    #[test]
    fn an_old_key_goes_when_the_last_token_it_can_have_signed_has_expired() {
        let keys = [key(1, 0), key(2, 50), key(3, 90)];
        assert_eq!(plan(&keys, 159).map(|plan| plan.over), Ok(vec![]));
        assert_eq!(plan(&keys, 160).map(|plan| plan.over), Ok(vec![1]));
        assert_eq!(plan(&keys, 10_000).map(|plan| plan.over), Ok(vec![1, 2]), "the newest stays for good");
    }

    #[test]
    fn rotations_in_a_row_end_somewhere_and_go_on_when_keys_are_over() {
        let keys: Vec<Scheduled> = (1..=16).map(|number| key(number, i64::from(number))).collect();
        assert_eq!(plan(&keys, 20), Err(TooManyKeys));
        assert_eq!(plan(&keys, 112).map(|plan| plan.over), Ok(vec![1]));
    }
}
