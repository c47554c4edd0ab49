//! The keys under `account.risk`.

use std::{num::NonZeroU32, time::Duration};

use common::{
    config::Invalid,
    shared::{Ladder, MOST_FAILURES, Rate, Rung},
};
use serde::{Deserialize, Serialize};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The defaults of the ladders of an account and of a device, which Rauthy has for addresses.
const RUNGS: [(u32, Duration); 5] =
    [(7, MINUTE), (10, MINUTE.saturating_mul(10)), (15, MINUTE.saturating_mul(15)), (20, HOUR), (25, DAY)];

/// An address stands for many players at a time (a school, an internet café, a mobile carrier), so it may fail this
/// many times as often.
const PLAYERS_PER_ADDRESS: u32 = 10;

/// How guessers, stuffers and sign-up bots are kept off. While Redis is away every number of failures and every budget
/// here is divided by `redis.fallback_rate_divisor`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RiskConfig {
    /// For how long a username is locked after how many failures in a row, on devices that its account does not know;
    /// a device that it knows has the same ladder for itself. Protects passwords from being guessed. An empty list
    /// locks nothing, here and below.
    pub account_ladder: Vec<Rung>,
    /// A row of failures with a username is forgotten this long after its first one, unless a success ends it before.
    #[serde(with = "humantime_serde")]
    pub account_window: Duration,
    /// The same for a device, whatever usernames fail on it. Protects accounts from a device that goes through a list.
    pub device_ladder: Vec<Rung>,
    /// A row of failures on a device is forgotten this long after its first one.
    #[serde(with = "humantime_serde")]
    pub device_window: Duration,
    /// The same for an address (IPv6: a network of 64 bits). Higher, because many players share one, and a success
    /// does not end the row: a guesser has an account, too.
    pub address_ladder: Vec<Rung>,
    /// Failures at an address are forgotten this long after the first of them.
    #[serde(with = "humantime_serde")]
    pub address_window: Duration,
    /// From this many different usernames that failed at one address within `stuffing_window` on, the address may sign
    /// in only devices that the accounts know. Protects accounts from lists of stolen passwords.
    pub stuffing_usernames: NonZeroU32,
    /// How far back usernames are counted.
    #[serde(with = "humantime_serde")]
    pub stuffing_window: Duration,
    /// For how long such an address is restricted.
    #[serde(with = "humantime_serde")]
    pub stuffing_restricts_for: Duration,
    /// New accounts, guests included, that an address may ask for within `registration_address_window`. Protects the
    /// platform from being filled by a bot; must leave room for a net café on the day of a launch.
    pub registrations_per_address: NonZeroU32,
    /// The time in which the budget of an address comes back, evenly.
    #[serde(with = "humantime_serde")]
    pub registration_address_window: Duration,
    /// New accounts, guests included, that a device may ask for within `registration_device_window`. Protects a little
    /// only, since a bot invents devices.
    pub registrations_per_device: NonZeroU32,
    /// The time in which the budget of a device comes back, evenly.
    #[serde(with = "humantime_serde")]
    pub registration_device_window: Duration,
    /// New passwords (linked or changed) that an account may ask for within `password_hash_window`. Each costs a hash, and
    /// asking takes no more than an access token: protects the hash pool from whoever has stolen or made some.
    pub password_hashes_per_account: NonZeroU32,
    /// The time in which that budget comes back, evenly.
    #[serde(with = "humantime_serde")]
    pub password_hash_window: Duration,
}

impl Default for RiskConfig {
    fn default() -> Self {
        let rungs = |factor: u32| RUNGS.map(|(failures, wait)| Rung { failures: failures * factor, wait }).to_vec();
        let number = |number: u32| NonZeroU32::MIN.saturating_add(number - 1);
        Self {
            account_ladder: rungs(1),
            account_window: DAY * 2,
            device_ladder: rungs(1),
            device_window: DAY * 2,
            address_ladder: rungs(PLAYERS_PER_ADDRESS),
            address_window: HOUR,
            stuffing_usernames: number(30),
            stuffing_window: HOUR * 3,
            stuffing_restricts_for: HOUR,
            registrations_per_address: number(100),
            registration_address_window: HOUR,
            registrations_per_device: number(50),
            registration_device_window: DAY,
            password_hashes_per_account: number(10),
            password_hash_window: HOUR,
        }
    }
}

impl RiskConfig {
    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        for (key, ladder) in
            [("account_ladder", self.account()), ("device_ladder", self.device()), ("address_ladder", self.address())]
        {
            ladder.check().map_err(|reason| Invalid::new(format!("risk.{key}"), reason))?;
        }
        if self.stuffing_usernames.get() > MOST_FAILURES {
            return Err(Invalid::new("risk.stuffing_usernames", format!("must be at most {MOST_FAILURES}")));
        }
        for (key, time) in [
            ("account_window", self.account_window),
            ("device_window", self.device_window),
            ("address_window", self.address_window),
            ("stuffing_window", self.stuffing_window),
            ("stuffing_restricts_for", self.stuffing_restricts_for),
            ("registration_address_window", self.registration_address_window),
            ("registration_device_window", self.registration_device_window),
            ("password_hash_window", self.password_hash_window),
        ] {
            if time < Duration::from_millis(1) {
                return Err(Invalid::new(format!("risk.{key}"), "must be at least 1ms"));
            }
        }
        Ok(())
    }

    pub(super) fn account(&self) -> Ladder {
        Ladder { rungs: self.account_ladder.clone(), window: self.account_window }
    }

    pub(super) fn device(&self) -> Ladder {
        Ladder { rungs: self.device_ladder.clone(), window: self.device_window }
    }

    pub(super) fn address(&self) -> Ladder {
        Ladder { rungs: self.address_ladder.clone(), window: self.address_window }
    }

    pub(super) fn stuffing(&self) -> Ladder {
        let rung = Rung { failures: self.stuffing_usernames.get(), wait: self.stuffing_restricts_for };
        Ladder { rungs: vec![rung], window: self.stuffing_window }
    }

    pub(super) fn registrations_of_address(&self) -> Rate {
        Rate::new(self.registrations_per_address, self.registration_address_window)
    }

    pub(super) fn registrations_of_device(&self) -> Rate {
        Rate::new(self.registrations_per_device, self.registration_device_window)
    }

    pub(super) fn password_hashes(&self) -> Rate {
        Rate::new(self.password_hashes_per_account, self.password_hash_window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_the_documented_ladder() {
        let ladder = RiskConfig::default().account();
        let waits = [6, 7, 10, 15, 20, 25, 99].map(|failures| ladder.wait_after(failures).map(|wait| wait.as_secs()));
        assert_eq!(waits, [None, Some(60), Some(600), Some(900), Some(3600), Some(86_400), Some(86_400)]);
        assert_eq!(RiskConfig::default().address().wait_after(69), None);
        assert_eq!(RiskConfig::default().validate(), Ok(()));
    }

    #[test]
    fn a_value_that_cannot_work_is_refused_by_its_key() {
        let check = |change: fn(&mut RiskConfig), key: &str| {
            let mut config = RiskConfig::default();
            change(&mut config);
            assert_eq!(config.validate().map_err(|invalid| invalid.key), Err(key.to_owned()));
        };
        check(|config| config.account_ladder.reverse(), "risk.account_ladder");
        check(|config| config.device_ladder[0].failures = 0, "risk.device_ladder");
        check(|config| config.address_ladder[0].wait = Duration::ZERO, "risk.address_ladder");
        check(|config| config.stuffing_usernames = NonZeroU32::MAX, "risk.stuffing_usernames");
        check(|config| config.registration_device_window = Duration::ZERO, "risk.registration_device_window");
    }
}
