//! The rule in Lua is the rule in Rust.

use std::time::Duration;

use redis::Client;

use super::super::{
    scripts::CLIMB_AT,
    state::{arguments_of, climbed},
    testing,
};
use crate::clock::{Clock, testing::ManualClock};
use crate::{
    clock::{random_bytes, testing::SeededRandom},
    shared::{Climb, Ladder, MemoryState, Rung, SharedConfig, SharedState},
};

fn up_to(random: &SeededRandom, most: u32) -> u32 {
    u32::from_le_bytes(random_bytes(random)) % (most + 1)
}

#[tokio::test]
async fn the_script_climbs_exactly_as_the_rule_in_memory() {
    let random = SeededRandom::new(7);
    let prefix = testing::config_for("").key_prefix;
    let client = Client::open(testing::redis_url()).expect("a URL");
    let mut connection = client.get_multiplexed_async_connection().await.expect("a server");
    let clock = std::sync::Arc::new(ManualClock::default());
    let memory = MemoryState::new(SharedConfig::default(), clock.clone());
    let (mut counted, mut locked) = (0, 0);
    for round in 0..40 {
        let rung = |failures, most| Rung { failures, wait: Duration::from_millis(u64::from(up_to(&random, most)) + 1) };
        // Longer than the test takes: Redis forgets by its own clock, not by the one that is moved here.
        let window = Duration::from_secs(3600);
        let ladder = Ladder { rungs: vec![rung(2, 100), rung(4, 1000), rung(20, 10_000)], window };
        let key = format!("{prefix}{round}");
        for _ in 0..40 {
            clock.advance(Duration::from_millis(u64::from(up_to(&random, 900))));
            let expected = memory.climb(&key, &ladder).await.expect("never fails");
            let mut script = CLIMB_AT.key(&key);
            script.arg(clock.now().as_millis() * 1000);
            for argument in arguments_of(&ladder) {
                script.arg(argument);
            }
            let answer = climbed(script.invoke_async(&mut connection).await.expect("an answer"));
            assert_eq!(answer.climb, expected, "{ladder:?}");
            match expected {
                Climb::Climbed(_) => counted += 1,
                Climb::Locked(_) => locked += 1,
            }
        }
    }
    assert!(counted > 100 && locked > 100, "both outcomes are compared: {counted}, {locked}");
}
