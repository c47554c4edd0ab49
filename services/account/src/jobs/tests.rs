//! Jobs on one instance and on several, some of which die.

use std::time::Duration;

use common::{clock::Clock, error_code::ErrorCode, sql::JobTurn};
use idl::account::{AccountService, RequestDeletionRequest, TokenSet, TokenStatus};

use super::{Job, JobError, delete_accounts, lease_end, run, step};
use crate::testing::{PASSWORD, Service, code, config, public, status_on};

/// Registers a player whose account is to be deleted.
async fn leaving(service: &Service, username: &str) -> TokenSet {
    let tokens = service.register(username).await.expect("registered").tokens;
    let request = RequestDeletionRequest { access_token: tokens.access_token.clone() };
    public(service.account.request_deletion(request).await).expect("requested");
    tokens
}

async fn take(account: &crate::Account) -> Option<JobTurn> {
    let parts = account.parts();
    parts.jobs.take(Job::Deletions.name(), parts.clock.now(), lease_end(parts)).await.expect("asked")
}

common::on_each_database! {
    async fn an_account_is_deleted_after_its_cooling_off_and_nothing_is_left_of_its_player(database: TestDatabase) {
        let mut lasting = config();
        lasting.tokens.access_ttl = config().deletion.cooling_off * 2;
        lasting.tokens.access_ttl_max = lasting.tokens.access_ttl;
        let service = Service::start_with(database, lasting).await;
        let ann = leaving(&service, "ann").await;
        let bob = service.register("bob").await.expect("registered").tokens;
        service.clock.advance(config().deletion.cooling_off - Duration::from_millis(1));
        run(service.account.parts(), Job::Deletions).await.expect("nothing is due");
        assert_eq!(code(service.login("ann", PASSWORD).await), ErrorCode::ACCOUNT_PENDING_DELETION);
        service.clock.advance(config().deletion.every);
        run(service.account.parts(), Job::Deletions).await.expect("deleted");
        assert_eq!(service.status(&ann.access_token).await, TokenStatus::REVOKED);
        assert_eq!(service.status(&bob.access_token).await, TokenStatus::VALID);
        assert_eq!(code(service.refresh(&ann.refresh_token).await), ErrorCode::TOKEN_REVOKED);
        assert_eq!(code(service.login("ann", PASSWORD).await), ErrorCode::WRONG_CREDENTIALS);
        let left = "SELECT COUNT(*) FROM account_accounts AS a JOIN account_sessions AS s ON s.account_id = a.account_id \
             WHERE a.deleted_at IS NOT NULL AND s.device_id IS NULL AND s.address IS NULL AND s.sdk_version IS NULL";
        assert_eq!(service.count(left).await, 1);
        assert_eq!(service.count("SELECT COUNT(*) FROM account_credentials").await, 1);
        let again = service.register("ann").await.expect("the name is free").tokens;
        assert_ne!(again.account_id, ann.account_id);
    }

    async fn a_deletion_that_was_called_off_at_the_last_moment_is_not_carried_out(database: TestDatabase) {
        let service = Service::start(database).await;
        let ann = leaving(&service, "ann").await;
        service.clock.advance(config().deletion.cooling_off);
        let parts = service.account.parts();
        let turn = take(&service.account).await.expect("ours");
        let account = crate::domain::ids::AccountId::parse(ann.account_id).expect("an id");
        assert!(parts.deletions.cancel(account, parts.clock.now()).await.expect("called off"));
        assert_eq!(delete_accounts(parts, turn).await.expect("ran"), 0);
        service.login("ann", PASSWORD).await.expect("signed in");
    }

    async fn an_account_that_cannot_be_deleted_keeps_no_other_waiting_and_is_tried_again_later(database: TestDatabase) {
        let mut one_at_a_time = config();
        one_at_a_time.deletion.batch = 1;
        let service = Service::start_with(database, one_at_a_time).await;
        let ann = leaving(&service, "ann").await;
        service.clock.advance(Duration::from_millis(1));
        leaving(&service, "bob").await;
        let spoil = "UPDATE account_accounts SET token_epoch = ? WHERE account_id = ?";
        let set_epoch = |epoch: i64| service.database.write(spoil).bind(epoch).bind(ann.account_id).execute();
        set_epoch(i64::from(u32::MAX)).await.expect("spoilt");
        service.clock.advance(config().deletion.cooling_off);
        let parts = service.account.parts();
        let refused = run(parts, Job::Deletions).await;
        assert!(matches!(&refused, Err(JobError::PutOff { deleted: 0, failed: 1, account, .. }) if *account == ann.account_id));
        service.clock.advance(config().deletion.every);
        run(parts, Job::Deletions).await.expect("the next one goes on");
        let deleted = "SELECT COUNT(*) FROM account_accounts WHERE deleted_at IS NOT NULL";
        assert_eq!(service.count(deleted).await, 1);
        set_epoch(0).await.expect("repaired");
        service.clock.advance(config().deletion.retry_after);
        run(parts, Job::Deletions).await.expect("tried again");
        assert_eq!(service.count(deleted).await, 2);
        assert_eq!(service.count("SELECT COUNT(*) FROM account_credentials").await, 0);
    }

    async fn several_instances_that_ask_at_once_run_a_job_once(database: TestDatabase) {
        let service = Service::start(database).await;
        let mut replicas = vec![service.account.clone()];
        for _ in 0..3 {
            replicas.push(service.replica().await);
        }
        for _ in 0..3 {
            let turns = futures_util::future::join_all(replicas.iter().map(take)).await;
            assert_eq!(turns.iter().flatten().count(), 1);
            service.clock.advance(config().jobs.lease);
        }
    }

    async fn a_job_that_was_done_is_not_due_again_at_once_on_any_instance(database: TestDatabase) {
        let service = Service::start(database).await;
        let other = service.replica().await;
        run(service.account.parts(), Job::Deletions).await.expect("ran");
        assert!(take(&other).await.is_none());
        service.clock.advance(config().deletion.every);
        assert!(take(&other).await.is_some());
    }

    async fn whoever_dies_in_the_middle_of_a_step_leaves_nothing_half_done_and_another_goes_on(database: TestDatabase) {
        let service = Service::start(database).await;
        let other = service.replica().await;
        let (ann, bob) = (leaving(&service, "ann").await, leaving(&service, "bob").await);
        service.clock.advance(config().deletion.cooling_off);
        let parts = service.account.parts();
        let turn = take(&service.account).await.expect("ours");
        let mut tx = step(parts, turn).await.expect("ours");
        let account = crate::domain::ids::AccountId::parse(ann.account_id).expect("an id");
        let ending = parts.ending("x");
        crate::store::deletions::execute(&mut tx, account, ending).await.expect("half way").expect("due");
        drop(tx);
        assert_eq!(service.count("SELECT COUNT(*) FROM account_credentials").await, 2, "rolled back");
        run(other.parts(), Job::Deletions).await.expect("not ours yet");
        assert_eq!(service.count("SELECT COUNT(*) FROM account_credentials").await, 2, "the lease holds");
        service.clock.advance(config().jobs.lease);
        run(other.parts(), Job::Deletions).await.expect("ran");
        assert_eq!(service.count("SELECT COUNT(*) FROM account_credentials").await, 0);
        assert_eq!(service.count("SELECT COUNT(*) FROM account_accounts WHERE deleted_at IS NOT NULL").await, 2);
        for tokens in [ann, bob] {
            assert_ne!(status_on(&other, service.app_id(), &tokens.access_token).await, TokenStatus::VALID);
        }
    }

    async fn whoever_was_stopped_for_longer_than_its_lease_can_change_nothing_any_more(database: TestDatabase) {
        let service = Service::start(database).await;
        let other = service.replica().await;
        leaving(&service, "ann").await;
        service.clock.advance(config().deletion.cooling_off);
        let stale = take(&service.account).await.expect("ours");
        service.clock.advance(config().jobs.lease);
        let taken = take(&other).await.expect("theirs");
        let refused = delete_accounts(service.account.parts(), stale).await;
        assert!(matches!(refused, Err(JobError::LeaseLost)), "{refused:?}");
        assert_eq!(service.count("SELECT COUNT(*) FROM account_credentials").await, 1);
        assert_eq!(delete_accounts(other.parts(), taken).await.expect("ran"), 1);
    }

    async fn every_instance_tells_when_a_job_last_succeeded(database: TestDatabase) {
        let service = Service::start(database).await;
        let other = service.replica().await;
        run(service.account.parts(), Job::CleanUp).await.expect("ran");
        run(other.parts(), Job::CleanUp).await.expect("not due");
        let told = other.parts().job_metrics.of(Job::CleanUp).last_success.get();
        assert_eq!(told, service.clock.now().as_millis() / 1000);
    }

    async fn an_ended_ban_and_an_abandoned_import_are_kept_for_as_long_as_configured(database: TestDatabase) {
        let service = Service::start(database).await;
        let (now, limits) = (service.clock.now(), config().cleanup);
        let ban = "INSERT INTO account_bans (account_id, revision, reason, banned_at, until_at, lifted_at) \
             VALUES (?, 1, 'x', 0, ?, ?)";
        let at = Some(now.as_millis());
        for (account, until, lifted) in [(1_i64, at, None), (2, None, at), (3, None, None)] {
            service.database.write(ban).bind(account).bind(until).bind(lifted).execute().await.expect("written");
        }
        let import = "INSERT INTO account_imports (import_id, byte_offset, line_count, imported, skipped, rejected, \
             rejects_bytes, updated_at) VALUES (?, 0, 0, 0, 0, 0, 0, ?)";
        service.database.write(import).bind(vec![7_u8; 32]).bind(now.as_millis()).execute().await.expect("written");
        let millisecond = Duration::from_millis(1);
        for (advance, imports, bans) in [
            (limits.keep_imports - millisecond, 1, 3),
            (limits.every, 0, 3),
            (limits.keep_ended_bans - limits.keep_imports - limits.every, 0, 3),
            (limits.every, 0, 1),
        ] {
            service.clock.advance(advance);
            run(service.account.parts(), Job::CleanUp).await.expect("cleared");
            assert_eq!(service.count("SELECT COUNT(*) FROM account_imports").await, imports);
            assert_eq!(service.count("SELECT COUNT(*) FROM account_bans").await, bans);
        }
    }
}
