//! Refresh tokens held against the contract in its own words: used in any order, by several at once, on instances that
//! share nothing but their database and are restarted in between.

use std::{collections::BTreeSet, future::Future, time::Duration};

use common::{
    clock::{Clock, Timestamp},
    error_code::{ErrorCode, PublicError},
    sql::testing::TestDatabase,
};
use proptest::{
    prelude::*,
    sample::Index,
    test_runner::{Config as Cases, TestRunner},
};

use crate::{
    Account, Config, TokenConfig,
    domain::rotation::MOST_KEPT,
    testing::{GRACE, Service, config, refresh_on},
};

/// Short, so that sessions end by themselves in some of the cases.
const SLIDING: Duration = Duration::from_secs(300);
const ABSOLUTE: Duration = Duration::from_secs(900);

/// Every case is a session of its own, on one database. On a server each step takes longer.
const CASES_ON_SQLITE: u32 = 40;
const CASES_ON_MARIADB: u32 = 15;

/// What happens next.
#[derive(Clone, Debug)]
enum Step {
    /// One of the tokens that were answered is used so many times at once, at every instance in turn.
    Use { which: Index, times: usize },
    /// So many seconds pass.
    Wait(u64),
    /// An instance begins anew.
    Restart(Index),
}

/// What the contract promises: a list of every token that was answered, and when each was made.
struct Model {
    answered: Vec<String>,
    made_at: Vec<Timestamp>,
    slides_until: Timestamp,
    ends_at: Timestamp,
    ended: bool,
}

/// What a use has to end with.
#[derive(Debug, PartialEq, Eq)]
enum Expected {
    /// A token that was never answered before, the same for everybody.
    Successor,
    /// The one that was answered last, to whoever is within the grace of an earlier one.
    Current,
    Refusal(ErrorCode),
}

impl Model {
    fn begin(first: String, now: Timestamp) -> Self {
        let (slides_until, ends_at) = (now + SLIDING, now + ABSOLUTE);
        Self { answered: vec![first], made_at: vec![now], slides_until, ends_at, ended: false }
    }

    fn expects(&self, index: usize, now: Timestamp) -> Expected {
        let newest = self.answered.len() - 1;
        if self.ended {
            Expected::Refusal(ErrorCode::TOKEN_REVOKED)
        } else if now >= self.slides_until.min(self.ends_at) {
            Expected::Refusal(ErrorCode::TOKEN_EXPIRED)
        } else if index == newest {
            Expected::Successor
        } else if newest - index > MOST_KEPT && now < self.made_at[newest - MOST_KEPT + 1] + GRACE {
            Expected::Refusal(ErrorCode::TOKEN_INVALID)
        } else if newest - index <= MOST_KEPT && now < self.made_at[index + 1] + GRACE {
            Expected::Current
        } else {
            Expected::Refusal(ErrorCode::REFRESH_TOKEN_REUSED)
        }
    }

    /// Holds what everybody was told who used the token at once against the contract, and goes on from there.
    fn holds(
        &mut self,
        index: usize,
        now: Timestamp,
        told: &BTreeSet<Result<String, i32>>,
    ) -> Result<(), TestCaseError> {
        let expected = self.expects(index, now);
        let refused = |code: ErrorCode| Err(code.inner());
        match expected {
            Expected::Successor => {
                let [Ok(successor)] = Vec::from_iter(told)[..] else {
                    return Err(TestCaseError::fail(format!("no single successor: {told:?}")));
                };
                prop_assert!(!self.answered.contains(successor));
                self.answered.push(successor.clone());
                self.made_at.push(now);
                self.slides_until = now + SLIDING;
            }
            Expected::Current => {
                let same = self.answered.last().cloned().unwrap_or_default();
                prop_assert_eq!(told, &BTreeSet::from([Ok(same)]));
            }
            Expected::Refusal(ErrorCode::REFRESH_TOKEN_REUSED) => {
                // Whoever comes second may find the session ended already.
                let late = refused(ErrorCode::TOKEN_REVOKED);
                prop_assert!(told.contains(&refused(ErrorCode::REFRESH_TOKEN_REUSED)), "{told:?}");
                prop_assert!(told.iter().all(|one| one == &late || one == &refused(ErrorCode::REFRESH_TOKEN_REUSED)));
                self.ended = true;
            }
            Expected::Refusal(code) => prop_assert_eq!(told, &BTreeSet::from([refused(code)])),
        }
        Ok(())
    }
}

mod whatever_is_done_with_refresh_tokens_on_any_instance_ends_as_the_contract_says {
    use super::*;

    #[test]
    fn sqlite() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        promise(&runtime, TestDatabase::sqlite(), CASES_ON_SQLITE);
    }

    /// On several threads: uses at once really meet in the database.
    #[test]
    fn mariadb() {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
        promise(&runtime, TestDatabase::mariadb(), CASES_ON_MARIADB);
    }
}

fn promise(runtime: &tokio::runtime::Runtime, database: impl Future<Output = TestDatabase>, cases: u32) {
    let service = runtime.block_on(async { Service::start_with(database.await, short()).await });
    let step = prop_oneof![
        6 => (any::<Index>(), 1..4_usize).prop_map(|(which, times)| Step::Use { which, times }),
        2 => (0..8_u64).prop_map(Step::Wait),
        3 => (0..40_u64).prop_map(Step::Wait),
        1 => (0..400_u64).prop_map(Step::Wait),
        1 => any::<Index>().prop_map(Step::Restart),
    ];
    let cases = Cases { cases, failure_persistence: None, ..Cases::default() };
    let played = TestRunner::new(cases)
        .run(&prop::collection::vec(step, 1..25), |steps| runtime.block_on(play(&service, steps)));
    // Before what it is said about: dropping it needs the runtime.
    runtime.block_on(async { drop(service) });
    played.expect("as the contract says");
}

async fn play(service: &Service, steps: Vec<Step>) -> Result<(), TestCaseError> {
    let mut instances = [service.replica_with(short()).await, service.replica_with(short()).await];
    let device = common::clock::new_uuid(&*service.clock, &common::clock::SystemRandom).to_string();
    let first = service.device_login(&device, None).await.expect("signed in").tokens.refresh_token;
    let mut model = Model::begin(first.to_string(), service.clock.now());
    for step in steps {
        match step {
            Step::Use { which, times } => {
                let index = biased_to_newest(which, model.answered.len());
                let told = use_at_once(service, &instances, &model.answered[index], times).await;
                model.holds(index, service.clock.now(), &told)?;
            }
            Step::Wait(seconds) => service.clock.advance(Duration::from_secs(seconds)),
            Step::Restart(which) => instances[which.index(2)] = service.replica_with(short()).await,
        }
    }
    Ok(())
}

/// Mostly the last tokens: with one that is older the session is often over.
fn biased_to_newest(which: Index, answered: usize) -> usize {
    let back = [0, 0, 0, 0, 0, 0, 1, 1, 1, 2, 2, 3, 4, 5][which.index(14)];
    (answered - 1).saturating_sub(back)
}

/// What everybody was told.
async fn use_at_once(
    service: &Service,
    instances: &[Account; 2],
    token: &str,
    times: usize,
) -> BTreeSet<Result<String, i32>> {
    let uses = (0..times).map(|number| refresh_on(&instances[number % 2], service.app_id(), token));
    let told = |answer: Result<idl::account::RefreshResponse, PublicError>| {
        answer.map(|response| response.tokens.refresh_token.to_string()).map_err(|refusal| refusal.code.inner())
    };
    futures_util::future::join_all(uses).await.into_iter().map(told).collect()
}

fn short() -> Config {
    let tokens = TokenConfig { refresh_ttl: SLIDING, session_ttl_max: ABSOLUTE, ..TokenConfig::default() };
    Config { tokens, ..config() }
}
