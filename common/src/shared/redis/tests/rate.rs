//! The rule in Lua is the rule in Rust.

use std::{num::NonZeroU32, time::Duration};

use govern::{Moment, gcra::decide};
use redis::Client;

use super::super::{
    scripts::GCRA_AT,
    state::{charged, rule_of},
    testing,
};
use crate::{
    clock::{random_bytes, testing::SeededRandom},
    shared::{Decision, Rate},
};

/// Some moment in 2025: as many digits as the numbers have in practice.
const START_US: u64 = 1_750_000_000_123_456;

fn up_to(random: &SeededRandom, most: u32) -> u32 {
    u32::from_le_bytes(random_bytes(random)) % (most + 1)
}

/// Nobody is told to wait for less than one.
fn in_micros(decision: Decision) -> Decision {
    match decision {
        Decision::Refused { retry_after } => {
            Decision::Refused { retry_after: retry_after.max(Duration::from_micros(1)) }
        }
        allowed @ Decision::Allowed { .. } => allowed,
    }
}

#[tokio::test]
async fn the_script_decides_exactly_as_the_rule_in_memory() {
    let random = SeededRandom::new(7);
    let prefix = testing::config_for("").key_prefix;
    let client = Client::open(testing::redis_url()).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("a server");
    let (mut allowed, mut refused) = (0, 0);
    for round in 0..40 {
        let positive = |most| NonZeroU32::MIN.saturating_add(up_to(&random, most));
        let rate = Rate::new(positive(50), Duration::from_micros(u64::from(up_to(&random, 3_000_000)) + 1));
        let rate = rate.burst(positive(20));
        let (mut now, mut arrival) = (START_US, 0);
        for _ in 0..30 {
            now += u64::from(up_to(&random, 200_000));
            let cost = up_to(&random, 6);
            let moment = |us: u64| Moment::from_nanos(us * 1000);
            let verdict = decide(&rate.in_micros(), moment(arrival), moment(now), cost);
            let arrival_us = verdict.arrival.as_nanos() / 1000;
            let mut script = GCRA_AT.key(format!("{prefix}{round}"));
            for argument in rule_of(&rate, cost) {
                script.arg(argument);
            }
            let answer = charged(script.arg(now).invoke_async(&mut connection).await.expect("an answer"));
            assert_eq!(answer.decision, in_micros(verdict.decision), "{rate:?} {cost} at {now}");
            assert_eq!(answer.ahead, Duration::from_micros(arrival_us - now), "{rate:?} {cost} at {now}");
            match verdict.decision {
                Decision::Allowed { .. } => {
                    allowed += 1;
                    arrival = arrival_us;
                }
                Decision::Refused { .. } => refused += 1,
            }
        }
    }
    assert!(allowed > 100 && refused > 100, "both outcomes are compared: {allowed}, {refused}");
}
