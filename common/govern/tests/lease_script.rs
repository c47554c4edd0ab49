//! The script of [`govern::lease`] on a Redis: it decides as the rule does that it is written after.
//!
//! Speaks just enough of the protocol itself: a client would be this crate's largest dependency.

#![expect(clippy::expect_used, reason = "a panic in a test's helper is a failed test")]

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    num::NonZeroU32,
    time::Duration,
};

use govern::{
    Moment,
    gcra::{Rate, take_up_to},
    lease::{SCRIPT, script_arguments},
};

const URL_VARIABLE: &str = "PLAYGATE_TEST_REDIS_URL";

struct Redis {
    stream: BufReader<TcpStream>,
    key: String,
}

impl Redis {
    /// A connection, and a key that no other test uses.
    fn connect(test: &str) -> Self {
        let url = std::env::var(URL_VARIABLE).unwrap_or_else(|_| {
            panic!("{URL_VARIABLE} is not set: run `cargo xtask test`, or skip these tests with `--skip redis`")
        });
        let address = url.trim_start_matches("redis://").trim_end_matches('/');
        let stream = TcpStream::connect(address).expect("it listens");
        let key = format!("test:govern:{test}:{}", std::process::id());
        let mut redis = Self { stream: BufReader::new(stream), key };
        redis.ask(&["DEL".to_owned(), redis.key.clone()]);
        redis
    }

    fn ask(&mut self, command: &[String]) -> Vec<i64> {
        let mut wire = format!("*{}\r\n", command.len());
        for part in command {
            wire.push_str(&format!("${}\r\n{part}\r\n", part.len()));
        }
        self.stream.get_mut().write_all(wire.as_bytes()).expect("it reads");
        match self.line().split_at(1) {
            ("*", len) => (0..len.parse().expect("a number of items")).map(|_| self.integer()).collect(),
            (":", integer) => vec![integer.parse().expect("an integer")],
            (kind, rest) => panic!("{kind}{rest}"),
        }
    }

    fn integer(&mut self) -> i64 {
        self.line().strip_prefix(':').expect("an integer").parse().expect("an integer")
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).expect("it answers");
        line.trim_end().to_owned()
    }

    /// Units granted, and microseconds until the next one.
    fn take(&mut self, rate: &Rate, units: i64) -> (i64, i64) {
        let arguments = script_arguments(rate, units).map(|argument| argument.to_string());
        let mut command = vec!["EVAL".to_owned(), SCRIPT.to_owned(), "1".to_owned(), self.key.clone()];
        command.extend(arguments);
        match self.ask(&command)[..] {
            [granted, next_in] => (granted, next_in),
            ref other => panic!("{other:?}"),
        }
    }

    fn milliseconds_kept(&mut self) -> i64 {
        self.ask(&["PTTL".to_owned(), self.key.clone()])[0]
    }
}

/// So slow that what comes back while a test runs is nothing.
fn slow(burst: u32) -> Rate {
    let burst = NonZeroU32::new(burst).expect("positive");
    Rate::new(NonZeroU32::MIN, Duration::from_secs(3600)).burst(burst)
}

#[test]
fn redis_grants_what_there_is_and_no_more() {
    let (mut redis, rate) = (Redis::connect("grants"), slow(10));
    assert_eq!(redis.take(&rate, 4), (4, 0));
    let (granted, next_in) = redis.take(&rate, 20);
    assert_eq!(granted, 6);
    let (none, next_again) = redis.take(&rate, 1);
    assert_eq!(none, 0);
    let hour_us = 3_600_000_000;
    assert!(next_again <= next_in && (hour_us - 60_000_000..=hour_us).contains(&next_in), "{next_in} {next_again}");
}

#[test]
fn redis_takes_back_what_was_not_needed_and_never_more_than_was_charged() {
    let (mut redis, rate) = (Redis::connect("takes_back"), slow(10));
    redis.take(&rate, 10);
    assert_eq!(redis.take(&rate, -3).0, -3);
    assert_eq!(redis.take(&rate, 10).0, 3);
    redis.take(&rate, -1000);
    assert_eq!(redis.milliseconds_kept(), -2, "a full burst needs no key");
    assert_eq!(redis.take(&rate, 1000).0, 10, "and is not more than full");
}

#[test]
fn redis_forgets_a_key_as_soon_as_it_says_nothing() {
    let mut redis = Redis::connect("forgets");
    redis.take(&slow(10), 2);
    let kept = redis.milliseconds_kept();
    assert!((7_100_000..=7_200_000).contains(&kept), "{kept}");
}

/// Many steps of all sizes, each against the rule on the same past.
#[test]
fn redis_decides_as_the_rule_does() {
    let (mut redis, rate) = (Redis::connect("as_the_rule"), slow(50));
    let (now, mut arrival, mut random) =
        (Moment::from_nanos(1_000_000_000), Moment::START, fastrand::Rng::with_seed(5));
    for step in 0..500 {
        let units = random.u32(0..30);
        if random.bool() {
            let expected = take_up_to(&rate, arrival, now, units);
            arrival = expected.arrival;
            let (granted, next_in) = redis.take(&rate, i64::from(units));
            assert_eq!(granted, i64::from(expected.granted), "step {step}");
            let expected_us = i64::try_from(expected.next_in.as_micros()).expect("small");
            // The server's clock has gone on meanwhile.
            assert!((0..60_000_000).contains(&(expected_us - next_in)), "step {step}: {next_in} and not {expected_us}");
        } else {
            redis.take(&rate, -i64::from(units));
            let back = u64::from(units) * 3_600_000_000_000;
            arrival = Moment::from_nanos(arrival.as_nanos().saturating_sub(back)).max(now);
        }
    }
}
