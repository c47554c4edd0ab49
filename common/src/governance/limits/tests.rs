//! Limits by who asks, as handlers ask them. Those over a real Redis are in `redis`.

#![expect(clippy::print_stdout, reason = "what a shared limit costs is of interest, and printed beside the asserts")]

mod redis;

use std::{net::IpAddr, num::NonZeroU32, sync::Arc, time::Duration};

use govern::rules::Rules;
use prometheus::Registry;
use volo::FastStr;

use super::{Limits, LimitsParts};
use crate::{
    clock::testing::{ManualClock, SeededRandom},
    error_code::{ErrorCode, PublicError},
    governance::Governance,
    lifecycle::RequestTasks,
    shared::{MemoryState, SharedConfig, SharedState},
};

/// A gateway's limits.
struct Gateway {
    limits: Limits,
    governance: Governance,
    registry: Registry,
}

impl Gateway {
    fn new(document: &str, shared: Arc<dyn SharedState>, replicas: u32) -> Self {
        let (governance, registry) = (Governance::new(rules(document)), Registry::new());
        let parts = LimitsParts {
            governance: governance.clone(),
            shared,
            replicas: NonZeroU32::new(replicas).expect("positive"),
            tasks: RequestTasks::default(),
            random: Arc::new(SeededRandom::new(1)),
            spares_loopback: false,
        };
        let limits = Limits::new(parts, &registry).expect("a new registry");
        Self { limits, governance, registry }
    }

    /// The only one of its kind.
    fn alone(document: &str) -> Self {
        let clock = Arc::new(ManualClock::default());
        Self::new(document, Arc::new(MemoryState::new(SharedConfig::default(), clock)), 1)
    }

    /// The sum of a counter's series that have the label.
    fn counted(&self, name: &str, (key, value): (&str, &str)) -> f64 {
        let families = self.registry.gather();
        let series = families.iter().filter(|family| family.name() == name).flat_map(|family| family.get_metric());
        let named = series
            .filter(|series| series.get_label().iter().any(|label| label.name() == key && label.value() == value));
        named.map(|series| series.get_counter().get_value()).sum()
    }

    /// How many of `wanted` requests of an app are let in.
    async fn let_in(&self, app_id: i64, wanted: u32) -> u32 {
        let mut let_in = 0;
        for _ in 0..wanted {
            let_in += u32::from(self.limits.app(app_id).await.is_ok());
        }
        let_in
    }
}

fn rules(document: &str) -> Rules {
    Rules::parse(document).expect("valid rules")
}

fn address(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn code(refused: &Result<(), PublicError>) -> Option<ErrorCode> {
    refused.as_ref().err().map(|refusal| refusal.code)
}

#[tokio::test(start_paused = true)]
async fn an_app_that_has_used_its_quota_up_is_refused_and_another_is_not() {
    let gateway = Gateway::alone(r#"keys.app.rate = { limit = 20, per = "1m" }"#);
    assert_eq!(gateway.let_in(7, 30).await, 20);
    let refused = gateway.limits.app(7).await.expect_err("used up");
    assert_eq!(refused.code, ErrorCode::RATE_LIMITED_APP);
    let fields = refused.limit.expect("the limit is named");
    assert_eq!(fields.policy, r#""app";q=20;w=60"#);
    assert!(fields.limit.starts_with(r#""app";r=0;t="#), "{}", fields.limit);
    assert_eq!(gateway.let_in(8, 5).await, 5);
    let allowed = gateway.counted("playgate_limit_decisions_total", ("outcome", "allowed"));
    assert!((allowed - 25.0).abs() < 0.5, "{allowed}");
}

#[tokio::test(start_paused = true)]
async fn an_app_may_have_a_rate_of_its_own_with_or_without_one_for_all() {
    let own = r#"keys.app.overrides.7 = { limit = 3, per = "1m" }"#;
    let gateway = Gateway::alone(own);
    assert_eq!((gateway.let_in(7, 10).await, gateway.let_in(8, 10).await), (3, 10));
    let gateway = Gateway::alone(&format!("{own}\nkeys.app.rate = {{ limit = 5, per = \"1m\" }}"));
    assert_eq!((gateway.let_in(7, 10).await, gateway.let_in(8, 10).await), (3, 5));
}

#[tokio::test(start_paused = true)]
async fn a_partner_has_a_quota_of_its_own_in_requests() {
    let gateway = Gateway::alone(r#"keys.partner.rate = { limit = 4, per = "1m" }"#);
    let name = FastStr::from_static_str("ads");
    for _ in 0..4 {
        assert_eq!(gateway.limits.partner(&name).await, Ok(()));
    }
    assert_eq!(code(&gateway.limits.partner(&name).await), Some(ErrorCode::RATE_LIMITED_APP));
    assert_eq!(gateway.limits.partner(&FastStr::from_static_str("other")).await, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn rules_apply_from_the_next_request_on() {
    let gateway = Gateway::alone("");
    assert_eq!(gateway.let_in(7, 50).await, 50, "no rate, no limit");
    gateway.governance.put_in_force(rules(r#"keys.app.rate = { limit = 2, per = "1m" }"#));
    assert_eq!(gateway.let_in(7, 50).await, 2);
    let off = "switches.limits = false\nkeys.app.rate = { limit = 2, per = \"1m\" }";
    gateway.governance.put_in_force(rules(off));
    assert_eq!(gateway.let_in(7, 50).await, 50, "switched off");
    gateway.governance.put_in_force(rules(r#"keys.app.rate = { limit = 2, per = "1m" }"#));
    assert_eq!(gateway.let_in(7, 50).await, 0, "and what was used before is not forgotten");
}

#[tokio::test(start_paused = true)]
async fn more_keys_than_there_is_room_for_share_one_quota() {
    let gateway = Gateway::alone(r#"keys.app = { rate = { limit = 3, per = "1m" }, capacity = 2 }"#);
    assert_eq!((gateway.let_in(1, 1).await, gateway.let_in(2, 1).await), (1, 1));
    assert_eq!((gateway.let_in(3, 2).await, gateway.let_in(4, 5).await), (2, 1));
    assert_eq!(gateway.let_in(1, 5).await, 2, "who has a place keeps it");
}

#[tokio::test(start_paused = true)]
async fn units_that_nobody_needs_are_given_back_and_can_be_had_by_others() {
    let shared: Arc<dyn SharedState> =
        Arc::new(MemoryState::new(SharedConfig::default(), Arc::new(ManualClock::default())));
    let document = r#"keys.app.rate = { limit = 100, per = "1h" }"#;
    let (one, other) = (Gateway::new(document, shared.clone(), 2), Gateway::new(document, shared, 2));
    let keeping = RequestTasks::default().tracker().spawn(one.limits.clone().keep());
    let let_in = one.let_in(7, 10).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!(one.counted("playgate_limit_leased_units_total", ("way", "given_back")) > 0.0);
    keeping.abort();
    let mut elsewhere = 0;
    for _ in 0..60 {
        elsewhere += other.let_in(7, 10).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(let_in + elsewhere, 100, "all of the quota was used, and no more");
}

#[tokio::test(start_paused = true)]
async fn at_the_end_everything_that_is_held_is_given_back() {
    let gateway = Gateway::alone(r#"keys.app.rate = { limit = 100, per = "1h" }"#);
    let let_in = f64::from(gateway.let_in(7, 10).await);
    gateway.limits.clone().give_back().await;
    let units = |way| gateway.counted("playgate_limit_leased_units_total", ("way", way));
    assert!((units("leased") - units("given_back") - let_in).abs() < 0.5, "what is used stays used");
}

#[test]
fn a_device_is_refused_in_its_network_and_nobody_elsewhere_can_use_its_share_up() {
    let gateway = Gateway::alone(r#"keys.device.rate = { limit = 2, per = "1m" }"#);
    let ask = |device, from| gateway.limits.device(7, device, address(from));
    assert_eq!([ask("phone", "203.0.113.9"), ask("phone", "203.0.113.10")], [Ok(()), Ok(())]);
    assert_eq!(code(&ask("phone", "203.0.113.9")), Some(ErrorCode::RATE_LIMITED_SUBJECT));
    assert_eq!(ask("tablet", "203.0.113.9"), Ok(()));
    assert_eq!(ask("phone", "198.51.100.1"), Ok(()), "who only says to be it, from elsewhere");
    assert_eq!(gateway.limits.device(8, "phone", address("203.0.113.9")), Ok(()), "another app's device");
}

#[test]
fn the_tokens_of_an_account_count_together_and_a_token_that_proves_nothing_counts_for_itself() {
    let gateway = Gateway::alone(r#"keys.account.rate = { limit = 2, per = "1m" }"#);
    let ask = |token: &str, account| gateway.limits.player(token, || account);
    assert_eq!([ask("first", Some(1)), ask("second", Some(1))], [Ok(()), Ok(())]);
    assert_eq!(code(&ask("third", Some(1))), Some(ErrorCode::RATE_LIMITED_SUBJECT));
    assert_eq!(ask("fourth", Some(2)), Ok(()));
    assert_eq!([ask("old", None), ask("old", None)], [Ok(()), Ok(())], "of whom it was is not asked");
    assert_eq!(code(&ask("old", None)), Some(ErrorCode::RATE_LIMITED_SUBJECT));
    assert_eq!(ask("other", None), Ok(()));
}

#[test]
fn who_is_refused_for_itself_does_not_use_up_what_it_shares() {
    let gateway = Gateway::alone(
        r#"
        keys.address.rate = { limit = 2, per = "1m" }
        keys.address_block.rate = { limit = 6, per = "1m" }
        routes.login.rate = { limit = 5, per = "1m" }
        "#,
    );
    let ask = |from| gateway.limits.at_the_edge(|| Some(govern::priority::Class::Login), Some(address(from)));
    assert_eq!((0..100).filter(|_| ask("203.0.113.1").is_ok()).count(), 2);
    assert_eq!((0..2).filter(|_| ask("203.0.113.2").is_ok()).count(), 2);
    assert_eq!((0..2).filter(|_| ask("198.51.100.2").is_ok()).count(), 1, "the fifth of its kind");
    let refused = ask("198.51.100.3").expect_err("too many logins");
    assert_eq!(refused.limit.map(|fields| fields.policy).as_deref(), Some(r#""route";q=5;w=60"#));
}

#[test]
fn a_caller_is_told_before_a_limit_refuses_it() {
    let gateway = Gateway::alone(r#"keys.address.rate = { limit = 4, per = "1m" }"#);
    let ask = || gateway.limits.at_the_edge(|| None, Some(address("203.0.113.1")));
    let told: Vec<_> = (0..4).map(|_| ask().expect("let in").map(|standing| standing.fields().limit)).collect();
    assert_eq!(told[..2], [None, None], "there is much left");
    assert!(told[2].as_ref().is_some_and(|told| told.starts_with(r#""address";r=1;"#)), "{told:?}");
    assert!(told[3].as_ref().is_some_and(|told| told.starts_with(r#""address";r=0;"#)), "{told:?}");
}
