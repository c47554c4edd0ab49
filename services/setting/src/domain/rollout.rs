//! Rollouts: a share of the players, the same ones at every request.

use std::fmt;

use pilota::FastStr;
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
        let device = || caller.device.as_ref().map(|device: &FastStr| self.place_of(device));
        match self.by {
            By::Either => account().or_else(device),
            By::Account => account(),
            By::Device => device(),
        }
    }

    fn place_of(&self, identifier: &str) -> Place {
        let place = xxh3_64_with_seed(identifier.as_bytes(), self.seed) % PLACES;
        #[expect(clippy::cast_possible_truncation, reason = "below 100 000")]
        Place(place as u32)
    }
}
