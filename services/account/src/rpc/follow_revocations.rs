//! `FollowRevocations`: a page of the feed of revocations, for a gateway that keeps a copy.
//!
//! Answers from what this instance has read: no follower costs the database anything, and one that loads anew can do so
//! while the database is away. A place is named by its row, so whichever replica is asked knows it.

use common::{
    clock::Timestamp,
    token::{feed::Place, wire},
};
use idl::account::{FeedPlace, FollowRevocationsRequest, FollowRevocationsResponse};

use crate::{error::AccountError, service::Parts};

/// Rows in one page: about 100 KiB, and well under a millisecond, so that it can be answered without leaving the async
/// thread.
const MOST_ROWS: usize = 2000;

#[expect(clippy::unnecessary_wraps, reason = "the form of every method")]
pub(crate) fn follow_revocations(
    parts: &Parts,
    request: &FollowRevocationsRequest,
) -> Result<FollowRevocationsResponse, AccountError> {
    let FeedPlace { sequence, created_at } = request.after;
    let after = Place { sequence, created_at: Timestamp::from_millis(created_at) };
    let (page, age) = parts.revocations.page(after, MOST_ROWS);
    let age_ms = i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
    Ok(match page {
        Some(page) => FollowRevocationsResponse {
            reload: false,
            entries: page.entries.into_iter().map(|(what, until)| wire::entry(what, until)).collect(),
            last: on_wire(page.last),
            more: page.more,
            settled: on_wire(page.settled),
            age_ms,
        },
        None => FollowRevocationsResponse { reload: true, age_ms, ..FollowRevocationsResponse::default() },
    })
}

fn on_wire(place: Place) -> FeedPlace {
    FeedPlace { sequence: place.sequence, created_at: place.created_at.as_millis() }
}

#[cfg(test)]
mod tests {
    use common::token::{revocation::Revocation, wire};
    use idl::account::{AccountService, FeedPlace, FollowRevocationsRequest, FollowRevocationsResponse};

    use crate::{
        Account,
        testing::{Service, public},
    };

    async fn follow(account: &Account, after: FeedPlace) -> FollowRevocationsResponse {
        public(account.follow_revocations(FollowRevocationsRequest { after }).await).expect("a page")
    }

    fn sessions(page: &FollowRevocationsResponse) -> Vec<String> {
        let session = |entry| match wire::read_entry(entry).0 {
            wire::Entry::Revoked(Revocation::Session(id)) => id.to_string(),
            other => panic!("{other:?}"),
        };
        page.entries.iter().map(session).collect()
    }

    common::on_each_database! {
        async fn a_revocation_is_told_at_once_by_who_made_it_and_by_others_when_they_have_read_it(
            database: TestDatabase
        ) {
            let service = Service::start(database).await;
            let other = service.replica().await;
            let tokens = service.register("ann").await.expect("registered").tokens;
            service.logout(&tokens.access_token, false).await.expect("ended");
            let told = vec![tokens.session_id.to_string()];
            assert_eq!(sessions(&follow(&service.account, FeedPlace::default()).await), told);
            assert!(follow(&other, FeedPlace::default()).await.entries.is_empty());
            for replica in [&service.account, &other] {
                let parts = replica.parts();
                parts.revocations.follow(&*parts.clock).await.expect("read");
                let page = follow(replica, FeedPlace::default()).await;
                assert_eq!(sessions(&page), told, "once");
                assert!(!page.more && !page.reload);
            }
        }

        async fn a_place_is_known_to_every_replica_that_has_read_it(database: TestDatabase) {
            let service = Service::start(database).await;
            let tokens = service.register("ann").await.expect("registered").tokens;
            service.logout(&tokens.access_token, false).await.expect("ended");
            let parts = service.account.parts();
            parts.revocations.follow(&*parts.clock).await.expect("read");
            let place = follow(&service.account, FeedPlace::default()).await.last;
            let replica = service.replica().await;
            let page = follow(&replica, place.clone()).await;
            assert!(!page.reload && page.entries.is_empty(), "{page:?}");
            let of_another_history = FeedPlace { created_at: place.created_at + 1, ..place };
            assert!(follow(&replica, of_another_history).await.reload);
        }

        async fn what_is_told_goes_on_while_the_database_is_away(database: TestDatabase) {
            let service = Service::start(database).await;
            let tokens = service.register("ann").await.expect("registered").tokens;
            service.logout(&tokens.access_token, false).await.expect("ended");
            service.database.close().await;
            assert_eq!(sessions(&follow(&service.account, FeedPlace::default()).await).len(), 1);
        }
    }
}
