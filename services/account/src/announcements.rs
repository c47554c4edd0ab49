//! Telling the other instances of a revocation at once, instead of letting them find it in the database.
//!
//! Nobody waits for this and nothing depends on it: what is not announced is read from the database with the next
//! regular read. So a full queue or a feed that is away costs a fraction of a second of delay elsewhere, and no logout
//! its answer.

use std::{
    mem,
    sync::{Arc, Mutex, PoisonError},
};

use common::{
    clock::Timestamp,
    shared::{Feed, Followed, Follower},
};
use prometheus::{IntCounter, Registry};
use tokio::sync::Notify;

use crate::{
    Account,
    domain::announcement::{Announcement, decode, encode},
    revocations::remembered_until,
    service::Parts,
    store::sessions::Ended,
};

/// The stream's name in the feed.
const STREAM: &str = "account-revocations";

/// Announcements that may wait. Protects memory while the feed is slow; beyond it the others read them.
const MOST_PENDING: usize = 10_000;

/// Announcements in one entry of the feed: bounds its size to about 12 KiB, and to 140 KiB if all were bans with the longest
/// reasons.
const MOST_PER_ENTRY: usize = 500;

/// The way to the other instances.
#[derive(Debug)]
pub(crate) struct Announcements {
    feed: Arc<dyn Feed>,
    pending: Mutex<Vec<Announcement>>,
    added: Notify,
    lost: IntCounter,
}

impl Announcements {
    pub(crate) fn new(feed: Arc<dyn Feed>, registry: &Registry) -> Result<Self, prometheus::Error> {
        let lost = IntCounter::new(
            "playgate_revocation_announcements_lost_total",
            "Revocations that the other instances were not told of and had to read for themselves.",
        )?;
        registry.register(Box::new(lost.clone()))?;
        Ok(Self { feed, pending: Mutex::default(), added: Notify::new(), lost })
    }

    /// Leaves it to [`publish`] to tell the others what was committed here.
    pub(crate) fn add(&self, ended: &Ended, expires_at: Timestamp) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MOST_PENDING.saturating_sub(pending.len());
        let announcements =
            ended.revocations.iter().map(|revocation| Announcement { revocation: revocation.clone(), expires_at });
        pending.extend(announcements.take(room));
        self.lost.inc_by(ended.revocations.len().saturating_sub(room) as u64);
        self.added.notify_one();
    }

    /// What the others announce, and what this instance announces itself.
    pub(crate) fn follow(&self) -> Box<dyn Follower> {
        self.feed.follow(STREAM)
    }

    async fn publish_pending(&self) {
        let pending = mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
        for announcements in pending.chunks(MOST_PER_ENTRY) {
            if self.feed.append(STREAM, &encode(announcements)).await.is_err() {
                // Not logged: that the feed is away is told once, by what keeps the connection.
                self.lost.inc_by(announcements.len() as u64);
            }
        }
    }
}

/// Announces what is added, for as long as the service runs.
pub(crate) async fn publish(account: Account) {
    let Some(announcements) = &account.parts().announcements else { return std::future::pending().await };
    loop {
        announcements.added.notified().await;
        announcements.publish_pending().await;
    }
}

/// Hears what others announce, for as long as the service runs.
pub(crate) async fn listen(account: Account) {
    let parts = account.parts();
    let Some(announcements) = &parts.announcements else { return std::future::pending().await };
    let mut follower = announcements.follow();
    loop {
        hear(parts, follower.next().await).await;
    }
}

/// Applies what was announced; reads the database when something may be missing, or was written by another version.
async fn hear(parts: &Parts, told: Followed) {
    let announced = match told {
        Followed::Gap => None,
        Followed::Entries(entries) => entries.iter().map(|entry| decode(&entry.payload)).collect::<Option<Vec<_>>>(),
    };
    match announced {
        Some(announced) => {
            // Whatever the feed says, nothing is remembered for longer than any token lives.
            let longest = remembered_until(parts.clock.now(), parts.config.tokens.access_ttl_max);
            let announced = announced.into_iter().flatten();
            let limited = |told: Announcement| (told.revocation, told.expires_at.min(longest));
            parts.revocations.apply_unread(announced.map(limited));
        }
        None => {
            // A database that is away is told by the regular reading, which goes on until it has caught up.
            let _ = parts.revocations.follow(&*parts.clock).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroUsize, sync::Arc, time::Duration};

    use common::{
        config::Secret,
        shared::{Feed, FeedEntry, FeedPosition, Followed, MemoryFeed, Redis, RedisConfig},
    };
    use idl::account::TokenStatus;
    use prometheus::Registry;
    use tokio::task::JoinSet;

    use super::hear;
    use crate::testing::{Service, config, random, status_on};

    fn feed() -> Arc<dyn Feed> {
        Arc::new(MemoryFeed::new(NonZeroUsize::MIN.saturating_add(99)))
    }

    /// Two instances that look into the database almost never, with everything running; a logout at one counts at the
    /// other.
    async fn assert_heard(service: &Service) {
        let mut rarely = config();
        rarely.follow.revocations_every = Duration::from_secs(3600);
        let other = service.replica_with(rarely).await;
        let mut tasks = JoinSet::new();
        for background in service.account.background().into_iter().chain(other.background()) {
            tasks.spawn(background.run);
        }
        for username in ["ann", "bob"] {
            let tokens = service.register(username).await.expect("registered").tokens;
            service.logout(&tokens.access_token, true).await.expect("signed out");
            let heard = async {
                while status_on(&other, service.app_id(), &tokens.access_token).await != TokenStatus::REVOKED {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(30), heard).await.expect("it hears of it");
        }
        assert!(tasks.try_join_next().is_none(), "no task ends by itself");
    }

    common::on_each_database! {
        async fn a_running_instance_hears_of_a_logout_elsewhere(database: TestDatabase) {
            assert_heard(&Service::start_announcing(database, feed()).await).await;
        }

        async fn what_is_announced_counts_without_a_look_into_the_database(database: TestDatabase) {
            let service = Service::start_announcing(database, feed()).await;
            let other = service.replica().await;
            let announcements = service.account.parts().announcements.as_ref().expect("a feed");
            let mut follower = announcements.follow();
            assert_eq!(follower.next().await, Followed::Gap);
            let one = service.register("ann").await.expect("registered").tokens;
            let all = service.register("bob").await.expect("registered").tokens;
            service.logout(&one.access_token, false).await.expect("signed out");
            service.logout(&all.access_token, true).await.expect("signed out");
            // Nothing is left there to be found.
            service.database.write("DELETE FROM account_revocations").execute().await.expect("deleted");
            announcements.publish_pending().await;
            hear(other.parts(), follower.next().await).await;
            for tokens in [one, all] {
                assert_eq!(status_on(&other, service.app_id(), &tokens.access_token).await, TokenStatus::REVOKED);
            }
        }

        async fn a_gap_or_an_unknown_announcement_is_repaired_from_the_database(database: TestDatabase) {
            let service = Service::start(database).await;
            let unknown = FeedEntry { position: FeedPosition { life: 0, number: 0 }, payload: (&b"\xff"[..]).into() };
            for (username, told) in [("ann", Followed::Gap), ("bob", Followed::Entries(vec![unknown]))] {
                let other = service.replica().await;
                let tokens = service.register(username).await.expect("registered").tokens;
                service.logout(&tokens.access_token, false).await.expect("signed out");
                assert_eq!(status_on(&other, service.app_id(), &tokens.access_token).await, TokenStatus::VALID);
                hear(other.parts(), told).await;
                assert_eq!(status_on(&other, service.app_id(), &tokens.access_token).await, TokenStatus::REVOKED);
            }
        }

        async fn a_feed_that_is_away_costs_no_logout_and_is_counted(database: TestDatabase) {
            let url = Some(Secret::new("redis://127.0.0.1:1/"));
            let away = Redis::open(&RedisConfig { url, ..RedisConfig::default() }, random(), &Registry::new());
            let away = away.expect("a good configuration").expect("a URL").feed(NonZeroUsize::MIN);
            let service = Service::start_announcing(database, Arc::new(away)).await;
            let tokens = service.register("ann").await.expect("registered").tokens;
            service.logout(&tokens.access_token, false).await.expect("signed out");
            let announcements = service.account.parts().announcements.as_ref().expect("a feed");
            announcements.publish_pending().await;
            assert_eq!(announcements.lost.get(), 1);
            assert_eq!(service.status(&tokens.access_token).await, TokenStatus::REVOKED);
        }
    }

    mod redis {
        use common::{shared::redis::testing, sql::testing::TestDatabase};

        use super::*;

        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn instances_hear_of_each_other_through_redis() {
            let redis = testing::opened(&testing::config_for(&testing::redis_url())).await;
            let feed = Arc::new(redis.feed(NonZeroUsize::MIN.saturating_add(99)));
            assert_heard(&Service::start_announcing(TestDatabase::sqlite().await, feed).await).await;
        }
    }
}
