//! How many codes a phone, an address and a device may cause.

use std::{net::IpAddr, num::NonZeroU32, time::Duration};

use common::shared::{Decision, Rate, SharedState};

use super::PhoneBudget;
use crate::{
    domain::{
        client::Client,
        personal_data::{PersonalData, PhoneIndex},
    },
    error::AccountError,
};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The budgets, counted by all instances together.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    config: PhoneBudget,
    /// In development everything comes from this machine.
    exempt_loopback: bool,
}

impl Budget {
    pub(crate) fn new(config: PhoneBudget, exempt_loopback: bool) -> Self {
        Self { config, exempt_loopback }
    }

    /// Charges one code to everybody it concerns. What was charged before one of them refused stays charged: asking has
    /// a price, too. Without an answer from the shared state no code is sent: each of them costs money.
    pub(crate) async fn charge(
        &self,
        shared: &dyn SharedState,
        data: &PersonalData,
        phone: &PhoneIndex,
        client: &Client,
        is_known: bool,
    ) -> Result<(), AccountError> {
        let config = &self.config;
        if let Some(network) = client.address.as_deref().and_then(|address| self.network(address)) {
            let limits = [config.address_per_hour, config.address_per_day];
            let refused = take(shared, &data.subject_key("phone-code-address", &network), limits).await?;
            refused.map_or(Ok(()), |retry_after| Err(AccountError::AddressLimited { retry_after }))?;
        }
        if let Some(device_id) = &client.device_id {
            let limits = [config.device_per_hour, config.device_per_day];
            let refused = take(shared, &data.subject_key("phone-code-device", device_id.as_str()), limits).await?;
            refused.map_or(Ok(()), |retry_after| Err(AccountError::SubjectLimited { retry_after }))?;
        }
        let refused = self.take_of_phone(shared, data, phone, is_known).await?;
        refused.map_or(Ok(()), |retry_after| Err(AccountError::SubjectLimited { retry_after }))
    }

    /// Everybody takes from the part that is for everybody. Once that is used up, a device that the phone's account knows
    /// goes on with the part that is kept for it. Answers the wait, if there is nothing left.
    async fn take_of_phone(
        &self,
        shared: &dyn SharedState,
        data: &PersonalData,
        phone: &PhoneIndex,
        is_known: bool,
    ) -> Result<Option<Duration>, AccountError> {
        let config = &self.config;
        let limits = [
            rest_of(config.phone_per_hour, config.phone_per_hour_reserved),
            rest_of(config.phone_per_day, config.phone_per_day_reserved),
        ];
        let refused = take(shared, &data.subject_key("phone-code-phone", phone.as_str()), limits).await?;
        let reserved = [config.phone_per_hour_reserved, config.phone_per_day_reserved].map(NonZeroU32::new);
        match (refused, reserved) {
            (Some(wait), [Some(per_hour), Some(per_day)]) if is_known => {
                let key = data.subject_key("phone-code-phone-known", phone.as_str());
                let refused = take(shared, &key, [per_hour, per_day]).await?;
                Ok(refused.map(|other_wait| wait.min(other_wait)))
            }
            (refused, _) => Ok(refused),
        }
    }

    /// What is counted of an address. Whoever has one IPv6 address has its whole /64.
    fn network(&self, address: &str) -> Option<String> {
        let address = address.parse::<IpAddr>().ok()?.to_canonical();
        if self.exempt_loopback && address.is_loopback() {
            return None;
        }
        Some(match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => (address.to_bits() >> 64).to_string(),
        })
    }
}

/// What of a budget is for everybody.
fn rest_of(whole: NonZeroU32, reserved: u32) -> NonZeroU32 {
    NonZeroU32::new(whole.get().saturating_sub(reserved)).unwrap_or(NonZeroU32::MIN)
}

/// The wait, if one of the two limits says no.
async fn take(shared: &dyn SharedState, key: &str, limits: [NonZeroU32; 2]) -> Result<Option<Duration>, AccountError> {
    for (limit, per, unit) in [(limits[0], HOUR, "hour"), (limits[1], DAY, "day")] {
        let key = format!("{key}:{unit}");
        if let Decision::Refused { retry_after } = shared.gcra(&key, &Rate::new(limit, per), 1).await? {
            return Ok(Some(retry_after));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use common::{
        clock::testing::{ManualClock, SeededRandom},
        shared::{MemoryState, SharedConfig},
    };

    use super::*;
    use crate::{
        MasterKey,
        domain::{client::ClientClaims, phone::PhoneNumber},
    };

    struct Bench {
        budget: Budget,
        shared: MemoryState,
        data: PersonalData,
        clock: Arc<ManualClock>,
    }

    impl Bench {
        fn new(config: PhoneBudget) -> Self {
            let clock = Arc::new(ManualClock::default());
            let shared = MemoryState::new(SharedConfig::default(), clock.clone());
            let data = PersonalData::new(&MasterKey::generate(&SeededRandom::new(1)));
            Self { budget: Budget::new(config, true), shared, data, clock }
        }

        async fn charge(&self, phone: u32, address: &str, device: Option<&str>) -> Result<(), AccountError> {
            self.charge_as(phone, address, device, false).await
        }

        async fn charge_as(
            &self,
            phone: u32,
            address: &str,
            device: Option<&str>,
            is_known: bool,
        ) -> Result<(), AccountError> {
            let phone = PhoneNumber::parse(&format!("+861380000{phone:04}")).expect("valid");
            let claims = ClientClaims { address: Some(address), device_id: device, ..ClientClaims::default() };
            let client = Client::parse(claims).expect("valid");
            self.budget.charge(&self.shared, &self.data, &self.data.index_of(&phone), &client, is_known).await
        }
    }

    fn one() -> PhoneBudget {
        let (one, many) = (NonZeroU32::MIN, NonZeroU32::MAX);
        PhoneBudget {
            phone_per_hour: many,
            phone_per_day: many,
            phone_per_hour_reserved: 0,
            phone_per_day_reserved: 0,
            address_per_hour: many,
            address_per_day: many,
            device_per_hour: one,
            device_per_day: many,
        }
    }

    #[tokio::test]
    async fn a_phone_is_limited_whoever_asks_and_an_hour_later_again_by_the_day() {
        let two = NonZeroU32::MIN.saturating_add(1);
        let bench = Bench::new(PhoneBudget { phone_per_hour: NonZeroU32::MIN, phone_per_day: two, ..one() });
        bench.charge(1, "192.0.2.1", None).await.expect("the first");
        let refused = bench.charge(1, "192.0.2.2", None).await.expect_err("used up");
        assert!(matches!(refused, AccountError::SubjectLimited { retry_after } if retry_after <= HOUR), "{refused}");
        bench.charge(2, "192.0.2.2", None).await.expect("another phone");
        bench.clock.advance(HOUR);
        bench.charge(1, "192.0.2.1", None).await.expect("the hour is over");
        bench.clock.advance(HOUR);
        let refused = bench.charge(1, "192.0.2.1", None).await.expect_err("the day is not");
        assert!(matches!(refused, AccountError::SubjectLimited { retry_after } if retry_after > HOUR), "{refused}");
    }

    #[tokio::test]
    async fn a_part_is_kept_for_devices_that_the_account_knows() {
        let number = |number: u32| NonZeroU32::MIN.saturating_add(number - 1);
        let bench = Bench::new(PhoneBudget {
            phone_per_hour: number(5),
            phone_per_day: number(7),
            phone_per_hour_reserved: 2,
            phone_per_day_reserved: 4,
            ..one()
        });
        for address in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
            bench.charge(1, address, None).await.expect("of the part that is for everybody");
        }
        bench.charge(1, "192.0.2.4", None).await.expect_err("used up");
        for _ in 0..2 {
            bench.charge_as(1, "192.0.2.5", None, true).await.expect("kept for the player");
        }
        let refused = bench.charge_as(1, "192.0.2.5", None, true).await.expect_err("used up, too");
        assert!(
            matches!(refused, AccountError::SubjectLimited { retry_after } if retry_after <= HOUR / 2),
            "{refused}"
        );
        bench.clock.advance(HOUR);
        bench.charge(1, "192.0.2.1", None).await.expect_err("strangers have had their day");
        for _ in 0..2 {
            bench.charge_as(1, "192.0.2.5", None, true).await.expect("the player has not");
        }
        bench.charge_as(1, "192.0.2.5", None, true).await.expect_err("seven a day in all");
    }

    #[tokio::test]
    async fn an_address_counts_with_its_network_and_this_machine_not_at_all() {
        let bench = Bench::new(PhoneBudget { address_per_hour: NonZeroU32::MIN, ..one() });
        for (first, same) in [("192.0.2.1", "::ffff:192.0.2.1"), ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9")] {
            bench.charge(1, first, None).await.expect("the first");
            let refused = bench.charge(2, same, None).await.expect_err("the same network");
            assert!(matches!(refused, AccountError::AddressLimited { .. }), "{refused}");
        }
        bench.charge(1, "2001:db8:1:3::1", None).await.expect("another network");
        for phone in 0..3 {
            bench.charge(phone, "127.0.0.1", None).await.expect("exempt");
        }
    }

    #[tokio::test]
    async fn a_device_is_limited_however_many_phones_it_names() {
        let bench = Bench::new(one());
        bench.charge(1, "192.0.2.1", Some("d")).await.expect("the first");
        let refused = bench.charge(2, "192.0.2.2", Some("d")).await.expect_err("the same device");
        assert!(matches!(refused, AccountError::SubjectLimited { .. }), "{refused}");
        bench.charge(2, "192.0.2.1", Some("e")).await.expect("another device");
    }
}
