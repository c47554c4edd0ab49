//! Events from the transaction of their fact to a sink, on both databases.

use std::{
    collections::BTreeSet,
    num::{NonZeroU16, NonZeroU32},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use prometheus::Registry;
use serde_json::{Value, json};

use super::*;
use crate::{
    clock::{Clock, SharedClock, SystemClock, SystemRandom, testing::ManualClock},
    event_table, job_table,
    sql::{Database, JobTable, Sql},
};

static EVENTS: EventTable = event_table!("test_events");
static JOBS: JobTable = job_table!("test_jobs");

/// A sink that keeps what it is given, and fails or sticks at its third event when it is told to.
#[derive(Clone, Debug, Default)]
struct Kept {
    events: Arc<Mutex<Vec<Value>>>,
    is_broken: Arc<Mutex<bool>>,
}

impl EventSink for Kept {
    async fn keep(&self, events: Vec<String>) -> Result<usize, Box<dyn std::error::Error + Send + Sync>> {
        let parsed = events.iter().map(|event| serde_json::from_str(event).expect("JSON"));
        self.events.lock().unwrap_or_else(PoisonError::into_inner).extend(parsed);
        // As a disk that took them and then said that it did not.
        if *self.is_broken.lock().expect("whole") { Err("the disk is gone".into()) } else { Ok(0) }
    }
}

impl Kept {
    fn numbers(&self) -> Vec<i64> {
        self.events.lock().expect("whole").iter().map(|event| event["n"].as_i64().expect("a number")).collect()
    }

    fn ids(&self) -> Vec<String> {
        let id = |event: &Value| event["event_id"].as_str().expect("an id").to_owned();
        self.events.lock().expect("whole").iter().map(id).collect()
    }
}

async fn make_tables(database: &Database) {
    let events = Sql::Each {
        mysql: "CREATE TABLE test_events (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY, at BIGINT NOT NULL, \
                body TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL)",
        sqlite: "CREATE TABLE test_events (id INTEGER PRIMARY KEY, at BIGINT NOT NULL, body TEXT NOT NULL)",
    };
    database.write(events).execute().await.expect("made");
    let jobs = "CREATE TABLE test_jobs (name VARCHAR(32) NOT NULL PRIMARY KEY, fence BIGINT NOT NULL, \
                leased_until BIGINT NOT NULL, due_at BIGINT NOT NULL, succeeded_at BIGINT)";
    database.write(jobs).execute().await.expect("made");
}

fn config(rows_max: u32, batch: u16) -> EventsConfig {
    EventsConfig {
        publish: true,
        rows_max: NonZeroU32::new(rows_max).expect("positive"),
        batch: NonZeroU16::new(batch).expect("positive"),
        every: Duration::from_millis(10),
        ..EventsConfig::default()
    }
}

fn outbox(database: &Database, config: &EventsConfig, clock: SharedClock) -> EventOutbox {
    let (random, registry) = (Arc::new(SystemRandom), Registry::new());
    let database = database.clone();
    let parts =
        EventOutboxParts { service: "test", database, table: &EVENTS, jobs: &JOBS, clock, random, registry: &registry };
    EventOutbox::new(config, parts).expect("made")
}

/// Writes one event in a transaction of its own.
async fn tell(database: &Database, outbox: &EventOutbox, n: i64) {
    let mut tx = database.begin().await.expect("begun");
    let now = SystemClock.now();
    outbox.tell(&mut tx, "test.counted", now, || json!({ "n": n })).await.expect("told");
    tx.commit().await.expect("committed");
}

async fn waiting(database: &Database) -> i64 {
    let (count,): (i64,) = database.read("SELECT COUNT(*) FROM test_events").one().await.expect("counted");
    count
}

#[tokio::test]
async fn an_outbox_that_is_off_writes_nothing_and_makes_nothing() {
    let database = crate::sql::testing::TestDatabase::sqlite().await;
    let off = outbox(&database, &EventsConfig::default(), Arc::new(SystemClock));
    assert!(!off.is_on() && off.relaying("test", Kept::default()).is_none());
    let never = || -> Value { panic!("nobody wants it") };
    assert_eq!(off.event("test.counted", SystemClock.now(), never), None);
    // There are not even tables.
    tell(&database, &off, 1).await;
    off.relay(&Kept::default()).await.expect("nothing to do");
}

crate::on_each_database! {
    async fn what_is_rolled_back_has_no_event_and_the_rest_is_carried_on_in_order(database: TestDatabase) {
        make_tables(&database).await;
        let outbox = outbox(&database, &config(100, 3), Arc::new(SystemClock));
        for n in 0..10 {
            if n % 4 == 3 {
                let mut tx = database.begin().await.expect("begun");
                outbox.tell(&mut tx, "test.counted", SystemClock.now(), || json!({ "n": n })).await.expect("told");
                drop(tx);
            } else {
                tell(&database, &outbox, n).await;
            }
        }
        let kept = Kept::default();
        outbox.relay(&kept).await.expect("carried on");
        assert_eq!(kept.numbers(), [0, 1, 2, 4, 5, 6, 8, 9]);
        assert_eq!(waiting(&database).await, 0);
        let metrics = &outbox.0.as_deref().expect("on").metrics;
        assert_eq!((metrics.relayed.get(), metrics.dropped.get(), metrics.waiting.get()), (8, 0, 0));
    }

    async fn what_a_slow_transaction_commits_later_is_carried_on_later(database: TestDatabase) {
        make_tables(&database).await;
        let clock = Arc::new(ManualClock::default());
        let (outbox, kept) = (outbox(&database, &config(100, 10), clock.clone()), Kept::default());
        let mut slow = database.begin().await.expect("begun");
        outbox.tell(&mut slow, "test.counted", clock.now(), || json!({ "n": 1 })).await.expect("told");
        // On SQLite nobody else writes meanwhile, so that there is no order to be wrong about.
        let mut expected = vec![1];
        if database.dialect() == crate::sql::Dialect::MySql {
            tell(&database, &outbox, 2).await;
            outbox.relay(&kept).await.expect("carried on");
            assert_eq!(kept.numbers(), [2]);
            clock.advance(Duration::from_secs(1));
            expected.insert(0, 2);
        }
        slow.commit().await.expect("committed");
        outbox.relay(&kept).await.expect("carried on");
        assert_eq!((kept.numbers(), waiting(&database).await), (expected, 0));
    }

    async fn what_was_kept_and_not_deleted_comes_again_under_the_same_id(database: TestDatabase) {
        make_tables(&database).await;
        let clock = Arc::new(ManualClock::default());
        let outbox = outbox(&database, &config(100, 10), clock.clone());
        for n in 0..3 {
            tell(&database, &outbox, n).await;
        }
        let kept = Kept::default();
        *kept.is_broken.lock().expect("whole") = true;
        outbox.relay(&kept).await.expect_err("the disk is gone");
        assert_eq!(waiting(&database).await, 3, "nothing is given up");
        *kept.is_broken.lock().expect("whole") = false;
        clock.advance(Duration::from_secs(1));
        outbox.relay(&kept).await.expect("carried on");
        assert_eq!(waiting(&database).await, 0);
        let ids = kept.ids();
        assert_eq!((ids.len(), &ids[..3]), (6, &ids[3..]));
    }

    async fn beyond_the_limit_facts_go_on_without_events_until_there_is_room(database: TestDatabase) {
        make_tables(&database).await;
        let clock = Arc::new(ManualClock::default());
        let outbox = outbox(&database, &config(5, 10), clock.clone());
        let metrics = &outbox.0.as_deref().expect("on").metrics;
        let kept = Kept::default();
        *kept.is_broken.lock().expect("whole") = true;
        for n in 0..8 {
            tell(&database, &outbox, n).await;
        }
        assert_eq!((waiting(&database).await, metrics.dropped.get()), (5, 3));
        outbox.relay(&kept).await.expect_err("the disk is gone");
        tell(&database, &outbox, 8).await;
        assert_eq!((waiting(&database).await, metrics.dropped.get()), (5, 4), "what waits is counted, not what was written");
        assert_eq!(metrics.waiting.get(), 5);
        *kept.is_broken.lock().expect("whole") = false;
        clock.advance(Duration::from_secs(1));
        outbox.relay(&kept).await.expect("carried on");
        tell(&database, &outbox, 9).await;
        assert_eq!((waiting(&database).await, metrics.dropped.get()), (1, 4));
    }

    async fn of_two_replicas_one_at_a_time_carries_on_and_nothing_is_lost_or_doubled(database: TestDatabase) {
        make_tables(&database).await;
        let replicas = [database.clone(), database.replica().await];
        let outboxes = replicas.each_ref().map(|replica| outbox(replica, &config(10_000, 7), Arc::new(SystemClock)));
        let kept = Kept::default();
        let relays: Vec<_> = outboxes
            .iter()
            .map(|outbox| crate::lifecycle::RequestTasks::default().spawn_in_context(outbox.relaying("test", kept.clone()).expect("on").run))
            .collect();
        let writes = outboxes.iter().zip(&replicas).zip([0, 1]).map(|((outbox, replica), first)| async move {
            for n in 0..150 {
                tell(replica, outbox, 2 * n + first).await;
            }
        });
        futures_util::future::join_all(writes).await;
        let empty = async {
            while waiting(&database).await > 0 {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(60), empty).await.expect("all of them are carried on");
        for relay in relays {
            relay.abort();
        }
        let numbers = kept.numbers();
        assert_eq!(numbers.len(), 300, "none twice");
        assert_eq!(numbers.into_iter().collect::<BTreeSet<_>>(), (0..300).collect::<BTreeSet<_>>());
    }

    async fn a_replica_that_was_stopped_for_longer_than_its_lease_deletes_nothing(database: TestDatabase) {
        make_tables(&database).await;
        let clock = Arc::new(ManualClock::default());
        let one = outbox(&database, &config(100, 10), clock.clone());
        let other = outbox(&database, &config(100, 10), clock.clone());
        tell(&database, &one, 1).await;
        /// While it keeps its events, the lease runs out and another replica carries them on; then a new one is written.
        #[derive(Clone)]
        struct Stopped {
            other: EventOutbox,
            clock: Arc<ManualClock>,
            kept: Kept,
            database: Database,
        }
        impl EventSink for Stopped {
            async fn keep(&self, events: Vec<String>) -> Result<usize, Box<dyn std::error::Error + Send + Sync>> {
                self.clock.advance(EventsConfig::default().lease + Duration::from_secs(1));
                self.other.relay(&self.kept).await?;
                // On SQLite it may get the id of the one that is gone.
                tell(&self.database, &self.other, 2).await;
                self.kept.keep(events).await
            }
        }
        let kept = Kept::default();
        let stopped = Stopped { other: other.clone(), clock: clock.clone(), kept: kept.clone(), database: database.clone() };
        one.relay(&stopped).await.expect_err("another one has the job");
        assert_eq!((kept.numbers(), waiting(&database).await), (vec![1, 1], 1));
        clock.advance(Duration::from_secs(1));
        one.relay(&kept).await.expect("carried on");
        assert_eq!((kept.numbers(), waiting(&database).await), (vec![1, 1, 2], 0));
    }
}
