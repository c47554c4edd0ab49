//! Rollouts: a share of the players, the same ones at every request.

use std::fmt;

use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::domain::caller::Caller;

/// Places a caller may be at: a percentage has three decimals.
const PLACES: u64 = 100_000;

/// Which of a caller's identifiers draws its lot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum By {
    /// The account; the device while nobody has signed in.
    #[default]
    Either,
    Account,
    Device,
}

/// Thousandths of a percent, 0-100 000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Percent(u32);

impl Percent {
    /// `None` unless `percent` is 0-100 with at most three decimals.
    pub(crate) fn new(percent: f64) -> Option<Self> {
        if !(0.0..=100.0).contains(&percent) {
            return None;
        }
        let thousandths = (percent * 1000.0).round();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole number from 0 to 100 000")]
        let whole = thousandths as u32;
        ((percent * 1000.0 - thousandths).abs() < 1e-6).then_some(Self(whole))
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1000, self.0 % 1000);
        if rest == 0 {
            return write!(f, "{whole}");
        }
        let decimals = format!("{rest:03}");
        write!(f, "{whole}.{}", decimals.trim_end_matches('0'))
    }
}

/// Where a caller is in a rollout: 0.000-99.999. It is in all that are larger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place(u32);

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1000, self.0 % 1000)
    }
}

/// A percentage of the players.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rollout {
    pub(crate) percent: Percent,
    pub(crate) by: By,
    /// The salt's hash.
    seed: u64,
}

impl Rollout {
    /// `salt` decides who is in: rollouts with one salt take the same players, and the larger has all of the smaller.
    pub(crate) fn new(percent: Percent, by: By, salt: &str) -> Self {
        Self { percent, by, seed: xxh3_64(salt.as_bytes()) }
    }

    /// Whether `caller` is in. One that has no identifier is in none below 100 %.
    pub(crate) fn holds(&self, caller: &Caller) -> bool {
        match u64::from(self.percent.0) {
            0 => false,
            PLACES => true,
            _ => self.place(caller).is_some_and(|place| place.0 < self.percent.0),
        }
    }

    /// Whether it depends on who asks.
    pub(crate) fn draws(&self) -> bool {
        !matches!(u64::from(self.percent.0), 0 | PLACES)
    }

    /// Where `caller` is: XXH3-64 of the account's decimal digits or of the device, seeded with XXH3-64 of the salt,
    /// modulo 100 000. The hash is stable (its authors fixed it in version 0.8) and takes some nanoseconds.
    pub(crate) fn place(&self, caller: &Caller) -> Option<Place> {
        let account = || caller.account.map(|account| self.place_of(itoa::Buffer::new().format(account)));
        // An empty text is no device: all who send one would share a lot.
        let known = || caller.device.as_ref().filter(|device| !device.is_empty());
        let device = || known().map(|device| self.place_of(device));
        match self.by {
            By::Either => account().or_else(device),
            By::Account => account(),
            By::Device => device(),
        }
    }

    fn place_of(&self, identifier: &str) -> Place {
        let place = xxh3_64_with_seed(identifier.as_bytes(), self.seed) % PLACES;
        Place(place as u32)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::testing::{account, device};

    fn rollout(percent: f64, salt: &str) -> Rollout {
        Rollout::new(Percent::new(percent).expect("a percentage"), By::Either, salt)
    }

    #[test]
    fn a_percentage_has_three_decimals_and_is_shown_as_it_was_written() {
        for (good, shown) in
            [(0.0, "0"), (10.0, "10"), (37.204, "37.204"), (0.001, "0.001"), (99.9, "99.9"), (100.0, "100")]
        {
            assert_eq!(Percent::new(good).expect("a percentage").to_string(), shown);
        }
        for bad in [-0.001, 100.001, 0.0001, 33.333_333, f64::NAN, f64::INFINITY] {
            assert_eq!(Percent::new(bad), None, "{bad}");
        }
    }

    /// Everybody's lot must survive an upgrade: these values are from the reference implementation of XXH3.
    #[test]
    fn the_hash_is_the_published_one() {
        assert_eq!(xxh3_64(b""), 0x2d06_8005_38d3_94c2);
        let place = |identifier: &str| rollout(1.0, "drop_rate").place_of(identifier).to_string();
        assert_eq!([place("1"), place("100001"), place("a-device")], ["64.601", "42.900", "62.190"]);
    }

    #[test]
    fn a_share_of_a_million_accounts_is_in_and_none_of_them_drops_out_when_it_grows() {
        let shares = [0.001, 0.5, 1.0, 10.0, 33.333, 50.0, 99.0, 99.999];
        let rollouts = shares.map(|percent| rollout(percent, "new_shop"));
        let mut inside = [0_u32; 8];
        for id in 1..=1_000_000 {
            let caller = account(id);
            let holds = rollouts.map(|rollout| rollout.holds(&caller));
            assert!(holds.is_sorted(), "{id} dropped out: {holds:?}");
            for (count, holds) in inside.iter_mut().zip(holds) {
                *count += u32::from(holds);
            }
        }
        for (percent, count) in shares.into_iter().zip(inside) {
            let share = f64::from(count) / 10_000.0;
            assert!((share - percent).abs() < 0.5, "{percent} % took {share} %");
        }
    }

    #[test]
    fn who_is_at_a_place_is_in_every_rollout_that_is_larger() {
        let caller = account(100_001);
        assert_eq!(rollout(1.0, "drop_rate").place(&caller).expect("has one").to_string(), "42.900");
        assert!(!rollout(42.9, "drop_rate").holds(&caller));
        assert!(rollout(42.901, "drop_rate").holds(&caller));
    }

    #[test]
    fn another_salt_draws_other_lots() {
        let [first, second] = ["first", "second"].map(|salt| rollout(50.0, salt));
        let both = (1..=10_000).filter(|id| first.holds(&account(*id)) && second.holds(&account(*id))).count();
        assert!((2_300..2_700).contains(&both), "half of a half of 10 000, and not {both}");
    }

    #[test]
    fn who_has_no_identifier_is_in_no_rollout_below_everyone() {
        let nobody = crate::domain::testing::nobody();
        assert!(!rollout(99.999, "s").holds(&nobody));
        assert!(!rollout(99.999, "s").holds(&device("")));
        assert!(rollout(100.0, "s").holds(&nobody));
        assert!(!rollout(0.0, "s").holds(&account(1)));
    }

    proptest! {
        #[test]
        fn nobody_ever_drops_out_when_a_rollout_grows(id in ".{1,40}", salt in ".{0,20}", small in 0..=100_000_u32, more in 0..=100_000_u32) {
            let share = |thousandths: u32| rollout(f64::from(thousandths) / 1000.0, &salt).holds(&device(&id));
            let large = small.saturating_add(more).min(100_000);
            prop_assert!(!share(small) || share(large));
        }
    }
}
