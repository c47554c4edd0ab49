//! The pool with as little work as Argon2 allows: these tests are not about its strength.

use common::clock::{Random, testing::SeededRandom};

use super::*;

fn config() -> HashPoolConfig {
    HashPoolConfig { threads: 1, memory_kib: 8, iterations: 1, ..HashPoolConfig::default() }
}

fn random() -> SharedRandom {
    Arc::new(SeededRandom::new(1))
}

fn pool(config: &HashPoolConfig) -> HashPool {
    HashPool::start(config, random(), &prometheus::Registry::new()).expect("starts")
}

/// A pool that nobody works for.
fn idle_pool(queue: usize) -> HashPool {
    let order = Order {
        capacity: NonZeroUsize::new(queue).expect("positive"),
        max_wait: config().max_wait,
        known_devices_first: config().known_devices_first,
        retry_after: Duration::from_secs(2),
    };
    let queue = Arc::new(Queue::new(order, Metrics::register(&prometheus::Registry::new()).expect("registers")));
    HashPool { queue, random: random(), nobody: "".into() }
}

fn password(text: &str) -> Password {
    Password::present(text).expect("valid")
}

async fn hash(pool: &HashPool, text: &str) -> String {
    pool.hash(password(text), Standing::Stranger).await.expect("hashed")
}

async fn verify(pool: &HashPool, text: &str, stored: &str) -> Result<Comparison, HashError> {
    pool.verify(password(text), Some(stored), Standing::Stranger).await
}

const RIGHT: Result<Comparison, HashError> = Ok(Comparison::Right { replacement: None });
const WRONG: Result<Comparison, HashError> = Ok(Comparison::Wrong);

#[tokio::test]
async fn only_the_hashed_password_verifies_and_each_hash_has_its_own_salt() {
    let pool = pool(&config());
    let stored = hash(&pool, "correct horse").await;
    assert_eq!(verify(&pool, "correct horse", &stored).await, RIGHT);
    assert_eq!(verify(&pool, "correct house", &stored).await, WRONG);
    assert_ne!(hash(&pool, "correct horse").await, stored);
}

#[tokio::test]
async fn the_default_parameters_are_written_into_the_hash() {
    let pool = pool(&HashPoolConfig { threads: 1, ..HashPoolConfig::default() });
    let stored = hash(&pool, "correct horse").await;
    assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{stored}");
}

#[tokio::test]
async fn a_hash_made_with_other_parameters_verifies_and_is_replaced_by_one_made_with_these() {
    let stored = hash(&pool(&config()), "correct horse").await;
    let stronger = pool(&HashPoolConfig { memory_kib: 64, iterations: 2, ..config() });
    let Ok(Comparison::Right { replacement: Some(replacement) }) = verify(&stronger, "correct horse", &stored).await
    else {
        panic!("it is not replaced");
    };
    assert!(replacement.starts_with("$argon2id$v=19$m=64,t=2,p=1$"), "{replacement}");
    assert_eq!(verify(&stronger, "correct horse", &replacement).await, RIGHT);
    assert_eq!(verify(&stronger, "correct house", &stored).await, WRONG);
}

#[tokio::test]
async fn every_form_of_another_platform_verifies_and_is_replaced() {
    let pool = pool(&config());
    for stored in [
        "$2a$05$LhayLxezLhK1LhWvKxCyLOj0j1u.Kj0jZ0pEmm134uzrQlFvQJLF6",
        "$P$984478476IagS59wHZvyQMArzfx58u.",
        "$md5$f=md5pass-salt$568$16780ba78d2d5f02f3202901c1b6d975",
        "$pbkdf2-sha512$i=1000$ODQyMDEwNjQyODY$MKaHNWXUsuJB3IEwBHbm3w",
    ] {
        let Ok(Comparison::Right { replacement: Some(replacement) }) = verify(&pool, "hashcat", stored).await else {
            panic!("{stored} is not replaced");
        };
        assert_eq!(verify(&pool, "hashcat", &replacement).await, RIGHT);
        assert_eq!(verify(&pool, "hashdog", stored).await, WRONG);
    }
}

#[tokio::test]
async fn another_platform_hashed_what_was_typed_and_here_its_normal_form_is_hashed() {
    let pool = pool(&config());
    // md5("ｈａｓｈ"), in full-width letters.
    let stored = "$md5$f=pass$$9717007c916c22b3bcc0103adbd420a9";
    let typed = "\u{ff48}\u{ff41}\u{ff53}\u{ff48}";
    let Ok(Comparison::Right { replacement: Some(replacement) }) = verify(&pool, typed, stored).await else {
        panic!("what was typed is not what is compared");
    };
    assert_eq!(verify(&pool, "hash", stored).await, WRONG);
    assert_eq!(verify(&pool, "hash", &replacement).await, RIGHT);
    assert_eq!(verify(&pool, typed, &replacement).await, RIGHT);
}

#[tokio::test]
async fn a_missing_account_costs_a_hash_and_is_never_right() {
    let pool = pool(&config());
    let before = pool.queue.hashes_done();
    assert_eq!(pool.verify(password("correct horse"), None, Standing::Stranger).await, WRONG);
    assert_eq!(pool.queue.hashes_done(), before + 1);
}

#[tokio::test]
async fn a_damaged_stored_hash_is_a_fault_and_not_a_wrong_password() {
    let pool = pool(&config());
    for damaged in ["", "plain text", "$2y$", "$argon2id$v=19$m=4194304,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g"] {
        assert_eq!(verify(&pool, "correct horse", damaged).await, Err(HashError::Failed), "{damaged}");
    }
}

#[tokio::test]
async fn who_finds_the_queue_full_is_told_at_once_when_to_come_back() {
    let pool = idle_pool(1);
    let mut first = std::pin::pin!(pool.hash(password("correct horse"), Standing::KnownDevice));
    assert!(futures_util::poll!(first.as_mut()).is_pending());
    let mut hints = Vec::new();
    for _ in 0..8 {
        match pool.hash(password("correct horse"), Standing::KnownDevice).await {
            Err(HashError::Full { retry_after }) => hints.push(retry_after),
            other => panic!("{other:?}"),
        }
    }
    assert!(hints.iter().all(|hint| (1.4..=2.6).contains(&hint.as_secs_f64())), "{hints:?}");
    hints.dedup();
    assert!(hints.len() > 1, "they would all come back at one moment");
}

#[tokio::test]
async fn work_whose_deadline_has_passed_is_dropped_unhashed() {
    let pool = pool(&config());
    let before = pool.queue.hashes_done();
    let mut context = RequestContext::root(&SeededRandom::new(2) as &dyn Random);
    context.deadline = Some(tokio::time::Instant::from_std(Instant::now()));
    let hashed = context.scope(pool.hash(password("correct horse"), Standing::KnownDevice)).await;
    assert_eq!(hashed, Err(HashError::Expired));
    assert_eq!(pool.queue.hashes_done(), before);
}

#[tokio::test]
async fn work_that_has_waited_too_long_is_told_to_come_back_unhashed() {
    let pool = pool(&HashPoolConfig { max_wait: Duration::ZERO, ..config() });
    let hashed = pool.hash(password("correct horse"), Standing::Stranger).await;
    assert!(matches!(hashed, Err(HashError::Full { .. })), "{hashed:?}");
    assert_eq!(pool.queue.hashes_done(), 0);
}

#[tokio::test]
async fn waiting_work_is_answered_when_the_pool_ends() {
    let pool = idle_pool(1);
    let (answer, answered) = oneshot::channel();
    let work = Work::Hash { password: password("correct horse"), salt: [0; 16], answer };
    let job = Job { work, standing: Standing::Stranger, queued_at: Instant::now(), deadline: None };
    pool.queue.push(job).expect("there is room");
    drop(pool);
    assert!(answered.await.is_err());
}

#[test]
fn a_comparison_never_prints_a_hash() {
    let comparison = Comparison::Right { replacement: Some("$argon2id$".to_owned()) };
    assert!(!format!("{comparison:?}").contains("argon2id"));
}

#[test]
fn parameters_beyond_argon2_stop_the_start() {
    let config = HashPoolConfig { iterations: 0, ..config() };
    let started = HashPool::start(&config, random(), &prometheus::Registry::new());
    assert!(matches!(started, Err(HashPoolStartError::Parameters(_))));
}
