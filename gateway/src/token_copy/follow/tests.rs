//! Following account's replicas, which know differently much and fail now and then. What they tell is told by the code
//! they run.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use common::{
    clock::testing::{ManualClock, SeededRandom},
    token::{
        feed::{Reading, RevocationFeed, Row},
        master_key::MasterKey,
        revocation::Revocation,
        wire,
    },
};
use idl::account::{SealedTokenKey, TokenStatus};
use prometheus::Registry;
use proptest::prelude::*;

use super::*;
use crate::token_copy::{
    held::NoVerdict,
    testing::{APP, LIFETIME, NOW, key_bytes, session, token},
};

const OVERLAP: Duration = Duration::from_secs(10);
const MAX_ENTRIES: usize = 50;
const MOST_ROWS: usize = 3;

/// Replicas of account on one database; questions go to them in turn.
#[derive(Debug, Default)]
struct Replicas(Mutex<State>);

#[derive(Debug)]
struct State {
    replicas: Vec<RevocationFeed>,
    turn: usize,
    away: bool,
    sealed_under: MasterKey,
    announce_ms: i64,
    keys_asked: usize,
    pages_asked: usize,
}

impl Default for State {
    fn default() -> Self {
        Self {
            replicas: vec![RevocationFeed::new(OVERLAP, Instant::now().into_std())],
            turn: 0,
            away: false,
            sealed_under: master_key(1),
            announce_ms: 60_000,
            keys_asked: 0,
            pages_asked: 0,
        }
    }
}

impl Replicas {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A replica reads everything that `database` shows.
    fn read(&self, replica: usize, database: &BTreeMap<i64, Row>) {
        let (now, mut state) = (Instant::now().into_std(), self.state());
        let feed = &mut state.replicas[replica];
        let reading: Reading = feed.begin(now);
        database.range(reading.after() + 1..).for_each(|(sequence, row)| feed.add(*sequence, row.clone()));
        feed.end(reading, now);
    }

    /// A replica that has read nothing.
    fn replace(&self, replica: usize) {
        self.state().replicas[replica] = RevocationFeed::new(OVERLAP, Instant::now().into_std());
    }
}

impl Source for Arc<Replicas> {
    async fn token_keys(&self) -> Result<GetTokenKeysResponse, CallError> {
        let mut state = self.state();
        state.keys_asked += 1;
        if state.away {
            return Err(CallError::DeadlineExceeded);
        }
        let vault = TokenKeyVault::new(&state.sealed_under);
        let sealed = vault.seal(KeyId::FIRST, &key_bytes(KeyId::FIRST), &SeededRandom::new(1)).into();
        let key = SealedTokenKey { key_id: 1, sealed, signs_from: 0 };
        Ok(GetTokenKeysResponse { keys: vec![key], complete_for_ms: state.announce_ms })
    }

    async fn revocations(&self, after: Place) -> Result<FollowRevocationsResponse, CallError> {
        let mut state = self.state();
        if state.away {
            return Err(CallError::DeadlineExceeded);
        }
        state.turn += 1;
        state.pages_asked += 1;
        let feed = &state.replicas[state.turn % state.replicas.len()];
        let age = Instant::now().into_std().saturating_duration_since(feed.as_of());
        let age_ms = i64::try_from(age.as_millis()).expect("small");
        let on_wire = |place: Place| FeedPlace { sequence: place.sequence, created_at: place.created_at.as_millis() };
        Ok(match feed.page(after, MOST_ROWS) {
            None => FollowRevocationsResponse { reload: true, age_ms, ..FollowRevocationsResponse::default() },
            Some(page) => FollowRevocationsResponse {
                reload: false,
                entries: page.entries.iter().map(|(what, until)| wire::entry(what.clone(), *until)).collect(),
                last: on_wire(page.last),
                more: page.more,
                settled: on_wire(page.settled),
                age_ms,
            },
        })
    }
}

fn master_key(byte: u8) -> MasterKey {
    MasterKey::parse(&hex_of(byte)).expect("64 digits")
}

fn hex_of(byte: u8) -> String {
    format!("{byte:02x}").repeat(32)
}

fn follower(replicas: &Arc<Replicas>) -> Follower<Arc<Replicas>> {
    let config = FallbackConfig { max_entries: MAX_ENTRIES, ..FallbackConfig::default() };
    let parts = FollowParts {
        vault: Arc::new(TokenKeyVault::new(&master_key(1))),
        copy: Arc::new(TokenCopy::new(config.max_staleness)),
        reach: Arc::default(),
        metrics: Metrics::register(&Registry::new()).expect("fresh"),
        clock: Arc::new(ManualClock::at(NOW)),
        config,
    };
    Follower::new(Arc::clone(replicas), parts)
}

fn row(number: u8) -> Row {
    let created_at = NOW + Duration::from_secs(u64::from(number));
    Row { revocation: Revocation::Session(session(number)), created_at, expires_at: created_at + LIFETIME }
}

/// Rows 1 to `newest`.
fn rows(newest: u8) -> BTreeMap<i64, Row> {
    (1..=newest).map(|number| (i64::from(number), row(number))).collect()
}

fn status<S>(follower: &Follower<S>, number: u8) -> Result<TokenStatus, NoVerdict> {
    follower.parts.copy.judge(APP, &token(number), NOW, Instant::now()).map(|verdict| verdict.status)
}

#[tokio::test(start_paused = true)]
async fn the_whole_feed_is_loaded_page_by_page_and_then_followed() {
    let replicas = Arc::default();
    let mut follower = follower(&replicas);
    assert_eq!(status(&follower, 1), Err(NoVerdict::Absent));
    replicas.read(0, &rows(10));
    follower.poll().await.expect("loaded");
    for number in 1..=10 {
        assert_eq!(status(&follower, number), Ok(TokenStatus::REVOKED), "{number}");
    }
    assert_eq!(status(&follower, 11), Ok(TokenStatus::VALID));
    replicas.read(0, &rows(11));
    follower.poll().await.expect("followed");
    assert_eq!(status(&follower, 11), Ok(TokenStatus::REVOKED));
}

#[tokio::test(start_paused = true)]
async fn the_copy_ages_while_account_is_away_and_while_account_itself_learns_nothing() {
    let replicas = Arc::default();
    let mut follower = follower(&replicas);
    let max_staleness = follower.parts.config.max_staleness;
    replicas.read(0, &rows(1));
    follower.poll().await.expect("loaded");
    replicas.state().away = true;
    tokio::time::advance(max_staleness).await;
    assert!(follower.poll().await.is_err());
    assert_eq!(status(&follower, 2), Ok(TokenStatus::VALID));
    replicas.state().away = false;
    tokio::time::advance(Duration::from_millis(1)).await;
    follower.poll().await.expect("answered by a replica that has read nothing since");
    assert_eq!(status(&follower, 2), Err(NoVerdict::Stale));
    replicas.read(0, &rows(2));
    follower.poll().await.expect("followed");
    assert_eq!(status(&follower, 2), Ok(TokenStatus::REVOKED));
}

#[tokio::test(start_paused = true)]
async fn another_history_replaces_what_was_known_and_a_replica_that_is_behind_does_not() {
    let replicas = Arc::default();
    let mut follower = follower(&replicas);
    for _ in 0..2 {
        replicas.read(0, &rows(6));
        follower.poll().await.expect("followed");
        tokio::time::advance(OVERLAP).await;
    }
    // Started before the rows were written, and cut off from its database since.
    let behind = RevocationFeed::new(OVERLAP, (Instant::now() - OVERLAP * 3).into_std());
    let current = std::mem::replace(&mut replicas.state().replicas[0], behind);
    let asked_before = replicas.state().pages_asked;
    assert!(matches!(follower.poll().await, Err(FollowError::ReplicaBehind)));
    assert_eq!(replicas.state().pages_asked, asked_before + 1, "nothing is loaded anew");
    assert_eq!(status(&follower, 6), Ok(TokenStatus::REVOKED));
    replicas.state().replicas[0] = current;

    // A restored database, in which rows 5 and 6 never happened and another row got number 5.
    replicas.replace(0);
    tokio::time::advance(Duration::from_secs(1)).await;
    let mut restored = rows(4);
    restored.insert(5, row(9));
    replicas.read(0, &restored);
    follower.poll().await.expect("loaded anew");
    let expected =
        [(4, TokenStatus::REVOKED), (5, TokenStatus::VALID), (6, TokenStatus::VALID), (9, TokenStatus::REVOKED)];
    for (number, expected) in expected {
        assert_eq!(status(&follower, number), Ok(expected), "{number}");
    }
}

#[tokio::test(start_paused = true)]
async fn under_another_master_key_there_is_no_copy_and_the_metric_says_why() {
    let replicas: Arc<Replicas> = Arc::default();
    let mut follower = follower(&replicas);
    replicas.state().sealed_under = master_key(2);
    assert!(matches!(follower.poll().await, Err(FollowError::WrongMasterKey(KeyId::FIRST))));
    assert_eq!(status(&follower, 1), Err(NoVerdict::Absent));
    assert_eq!(follower.parts.metrics.wrong_master_key(), 1);
    replicas.state().sealed_under = master_key(1);
    follower.poll().await.expect("loaded");
    assert_eq!(status(&follower, 1), Ok(TokenStatus::VALID));
    assert_eq!(follower.parts.metrics.wrong_master_key(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_feed_that_is_too_large_to_hold_leaves_no_copy_rather_than_half_of_one() {
    let replicas = Arc::default();
    let mut follower = follower(&replicas);
    let most = u8::try_from(MAX_ENTRIES).expect("small");
    replicas.read(0, &rows(most));
    follower.poll().await.expect("it fits");
    replicas.read(0, &rows(most + 1));
    assert!(matches!(follower.poll().await, Err(FollowError::TooLarge(MAX_ENTRIES))));
    assert_eq!(status(&follower, 1), Err(NoVerdict::Absent));
}

#[tokio::test(start_paused = true)]
async fn the_key_ring_is_read_now_and_then_and_not_each_time() {
    let replicas: Arc<Replicas> = Arc::default();
    let mut follower = follower(&replicas);
    for _ in 0..100 {
        follower.poll().await.expect("followed");
    }
    assert_eq!(replicas.state().keys_asked, 1);
    tokio::time::advance(KEYS_EVERY).await;
    follower.poll().await.expect("followed");
    assert_eq!(replicas.state().keys_asked, 2);
}

#[tokio::test(start_paused = true)]
async fn following_account_tells_whether_it_is_away() {
    let replicas: Arc<Replicas> = Arc::default();
    let mut follower = follower(&replicas);
    replicas.state().away = true;
    while !follower.parts.reach.is_away() {
        assert!(follower.poll().await.is_err());
    }
    replicas.state().away = false;
    follower.poll().await.expect("loaded");
    assert!(!follower.parts.reach.is_away());
}

#[tokio::test(start_paused = true)]
async fn falling_back_is_one_story_however_often_the_copy_answers() {
    let mut falling_back = FallingBack::default();
    let start = Instant::now();
    falling_back.tell(0, start);
    assert!(falling_back.since.is_none());
    for answers in 1..100 {
        falling_back.tell(answers, start);
        assert!(falling_back.since.is_some());
    }
    falling_back.tell(99, start + QUIET_FOR.mul_f64(0.9));
    assert!(falling_back.since.is_some());
    falling_back.tell(99, start + QUIET_FOR);
    assert!(falling_back.since.is_none());
}

/// What happens next to account and its gateway.
#[derive(Clone, Debug)]
enum Event {
    /// A replica reads the database.
    Read(usize),
    /// A replica is replaced by one that reads everything.
    Restart(usize),
    Poll,
    Pass(u64),
    Away(bool),
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        4 => (0..2_usize).prop_map(Event::Read),
        1 => (0..2_usize).prop_map(Event::Restart),
        4 => Just(Event::Poll),
        4 => (1..8_u64).prop_map(Event::Pass),
        1 => any::<bool>().prop_map(Event::Away),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// Rows get their numbers in order and commit up to an overlap later, in any order. Replicas read when they like and
    /// are asked in turn. Whatever the copy claims to know, it knows.
    #[test]
    fn no_revocation_is_missed_whichever_replica_answers(
        delays in prop::collection::vec(0..=10_u64, 1..30),
        events in prop::collection::vec(event(), 1..120),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let replicas: Arc<Replicas> = Arc::default();
            replicas.state().replicas.push(RevocationFeed::new(OVERLAP, Instant::now().into_std()));
            let (mut follower, start) = (follower(&replicas), Instant::now());
            // Row n is inserted in second n and becomes visible `delay` seconds later.
            let visible_from: Vec<(u8, u64)> = (1_u8..).zip(&delays).map(|(n, delay)| (n, u64::from(n) + delay)).collect();
            let visible = |at: Instant| -> BTreeMap<i64, Row> {
                let seconds = at.saturating_duration_since(start).as_secs();
                let seen = visible_from.iter().filter(|(_, from)| *from <= seconds);
                seen.map(|(n, _)| (i64::from(*n), row(*n))).collect()
            };
            let end = [Event::Away(false), Event::Pass(60), Event::Read(0), Event::Read(1), Event::Poll, Event::Poll];
            for event in events.into_iter().chain(end) {
                match event {
                    Event::Read(replica) => replicas.read(replica, &visible(Instant::now())),
                    Event::Restart(replica) => {
                        replicas.replace(replica);
                        replicas.read(replica, &visible(Instant::now()));
                    }
                    Event::Pass(seconds) => tokio::time::advance(Duration::from_secs(seconds)).await,
                    Event::Away(away) => replicas.state().away = away,
                    Event::Poll => {
                        let _ = follower.poll().await;
                        let Some(followed) = &follower.followed else { continue };
                        for number in visible(followed.as_of).keys() {
                            let number = u8::try_from(*number).expect("small");
                            let verdict = follower.parts.copy.judge(APP, &token(number), NOW, followed.as_of);
                            prop_assert_eq!(verdict.map(|verdict| verdict.status), Ok(TokenStatus::REVOKED), "{}", number);
                        }
                    }
                }
            }
            let followed = follower.followed.as_ref().expect("loaded");
            prop_assert_eq!(followed.as_of, Instant::now());
            prop_assert_eq!(followed.known.len(), delays.len());
            Ok(())
        })?;
    }
}
