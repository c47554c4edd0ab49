//! What runs beside the requests: following other instances, and clearing away.
//!
//! Nothing here can fail for good. While the database is away the service answers from what it knows; each task says
//! once that it is behind, and once that it has caught up.

use std::{future::Future, time::Duration};

use common::lifecycle::{BackgroundTask, StepOutcome};

use crate::{
    Account,
    announcements::{listen, publish},
    jobs::{self, Job},
};

impl Account {
    /// The tasks that the process has to run while the service answers.
    pub fn background(&self) -> Vec<BackgroundTask> {
        let config = &self.parts().config;
        let mut tasks = self.writers();
        tasks.extend([
            self.repeat("account-revocations", config.follow.revocations_every, follow_revocations),
            self.repeat("account-apps", config.follow.apps_every, follow_apps),
            self.repeat("account-partners", config.follow.apps_every, follow_partners),
            self.repeat("account-channels", config.follow.apps_every, follow_channels),
            self.repeat("account-bans", config.follow.apps_every, follow_bans),
            self.repeat("account-keys", config.follow.keys_every, follow_keys),
            self.repeat("account-signing-keys", config.follow.keys_every, follow_signing_keys),
            self.repeat_job("account-cleanup", Job::CleanUp, clean_up),
            self.repeat_job("account-deletions", Job::Deletions, delete_accounts),
        ]);
        if self.parts().announcements.is_some() {
            let (publish, listen) = (publish(self.clone()), listen(self.clone()));
            tasks.push(BackgroundTask::new("account-announcements-out", publish));
            tasks.push(BackgroundTask::new("account-announcements-in", listen));
        }
        tasks
    }

    fn repeat<F>(&self, name: &'static str, every: Duration, step: fn(Account) -> F) -> BackgroundTask
    where
        F: Future<Output = StepOutcome> + Send + 'static,
    {
        self.repeat_after(Duration::ZERO, name, every, step)
    }

    /// The first time after a random part of the interval: replicas that start together don't ask together.
    fn repeat_job<F>(&self, name: &'static str, job: Job, step: fn(Account) -> F) -> BackgroundTask
    where
        F: Future<Output = StepOutcome> + Send + 'static,
    {
        let every = job.every(self.parts());
        self.repeat_after(every.mul_f64(self.parts().random.fraction()), name, every, step)
    }

    fn repeat_after<F>(
        &self,
        first: Duration,
        name: &'static str,
        every: Duration,
        step: fn(Account) -> F,
    ) -> BackgroundTask
    where
        F: Future<Output = StepOutcome> + Send + 'static,
    {
        let account = self.clone();
        BackgroundTask::repeated(name, first, every, move || step(account.clone()))
    }
}

async fn follow_revocations(account: Account) -> StepOutcome {
    let parts = account.parts();
    Ok(parts.revocations.follow(&*parts.clock).await?)
}

async fn follow_apps(account: Account) -> StepOutcome {
    Ok(account.parts().apps.refresh().await?)
}

async fn follow_partners(account: Account) -> StepOutcome {
    Ok(account.parts().partners.refresh().await?)
}

async fn follow_channels(account: Account) -> StepOutcome {
    Ok(account.parts().channels.refresh().await?)
}

async fn follow_bans(account: Account) -> StepOutcome {
    let parts = account.parts();
    Ok(parts.risk.banned.refresh(parts.clock.now()).await?)
}

async fn follow_keys(account: Account) -> StepOutcome {
    let parts = account.parts();
    Ok(parts.keys.refresh(&*parts.clock).await?)
}

async fn follow_signing_keys(account: Account) -> StepOutcome {
    let parts = account.parts();
    Ok(parts.signing_keys.refresh(&*parts.clock).await?)
}

async fn clean_up(account: Account) -> StepOutcome {
    Ok(jobs::run(account.parts(), Job::CleanUp).await?)
}

async fn delete_accounts(account: Account) -> StepOutcome {
    Ok(jobs::run(account.parts(), Job::Deletions).await?)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use idl::account::TokenStatus;
    use tokio::task::JoinSet;

    use super::clean_up;
    use crate::testing::{PASSWORD, Service, config, status_on};

    common::on_each_database! {
        async fn a_running_instance_learns_of_revocations_by_itself(database: TestDatabase) {
            let service = Service::start(database).await;
            let mut quick = config();
            quick.follow.revocations_every = Duration::from_millis(10);
            let other = service.replica_with(quick).await;
            let mut tasks = JoinSet::new();
            for background in other.background() {
                tasks.spawn(background.run);
            }
            let tokens = service.register("ann").await.expect("registered").tokens;
            service.logout(&tokens.access_token, true).await.expect("signed out");
            let learned = async {
                while status_on(&other, service.app_id(), &tokens.access_token).await != TokenStatus::REVOKED {
                    tokio::task::yield_now().await;
                }
            };
            tokio::time::timeout(Duration::from_secs(30), learned).await.expect("it learns of it");
            assert!(tasks.try_join_next().is_none(), "no task ends by itself");
        }

        async fn rows_are_cleared_away_once_nobody_needs_them(database: TestDatabase) {
            let service = Service::start(database).await;
            let (tokens, keep) = (config().tokens, config().cleanup.keep_ended_sessions);
            let ended = service.register("ann").await.expect("registered").tokens;
            service.logout(&ended.access_token, false).await.expect("ended");
            clean_up(service.account.clone()).await.expect("cleared");
            assert_eq!(service.count("SELECT COUNT(*) FROM account_revocations").await, 1);

            service.clock.advance(tokens.access_ttl_max + Duration::from_secs(60));
            clean_up(service.account.clone()).await.expect("cleared");
            assert_eq!(service.count("SELECT COUNT(*) FROM account_revocations").await, 0);
            assert_eq!(service.count("SELECT COUNT(*) FROM account_sessions").await, 1);

            service.clock.advance(tokens.refresh_ttl + keep);
            service.login("ann", PASSWORD).await.expect("signed in");
            clean_up(service.account.clone()).await.expect("cleared");
            assert_eq!(service.count("SELECT COUNT(*) FROM account_sessions").await, 1);
        }

        async fn a_session_that_was_signed_out_is_kept_for_as_long_after_that_as_one_that_ran_out(database: TestDatabase) {
            let service = Service::start(database).await;
            let keep = config().cleanup.keep_ended_sessions;
            let ended = service.register("ann").await.expect("registered").tokens;
            service.login("ann", PASSWORD).await.expect("signed in");
            service.logout(&ended.access_token, false).await.expect("ended");
            service.clock.advance(keep - Duration::from_millis(1));
            clean_up(service.account.clone()).await.expect("cleared");
            assert_eq!(service.count("SELECT COUNT(*) FROM account_sessions").await, 2);
            service.clock.advance(config().cleanup.every);
            clean_up(service.account.clone()).await.expect("cleared");
            assert_eq!(service.count("SELECT COUNT(*) FROM account_sessions").await, 1, "the other one lives");
        }

        async fn a_run_goes_on_batch_by_batch_until_nothing_is_left_or_its_time_is_over(database: TestDatabase) {
            let mut patient = config();
            patient.cleanup.batch = 2;
            let mut hasty = patient.clone();
            hasty.cleanup.longest_run = Duration::ZERO;
            let service = Service::start_with(database, patient.clone()).await;
            let other = service.replica_with(hasty).await;
            for name in ["ann", "bob", "cat", "dan", "eve", "fay", "gil"] {
                service.register(name).await.expect("registered");
            }
            service.clock.advance(patient.tokens.refresh_ttl + patient.cleanup.keep_ended_sessions);
            for (account, left) in [(&other, 5), (&other, 3), (&service.account, 0)] {
                clean_up(account.clone()).await.expect("cleared");
                assert_eq!(service.count("SELECT COUNT(*) FROM account_sessions").await, left);
                service.clock.advance(patient.cleanup.every);
            }
        }

        async fn a_token_of_a_session_in_the_index_stays_revoked_until_it_expires(database: TestDatabase) {
            let service = Service::start(database).await;
            let tokens = service.register("ann").await.expect("registered").tokens;
            service.logout(&tokens.access_token, false).await.expect("ended");
            let parts = service.account.parts();
            let verdict = service.verify(&tokens.access_token).await.expect("a verdict");
            let lifetime = verdict.expires_at.expect("told") - verdict.issued_at.expect("told");
            service.clock.advance(Duration::from_millis(lifetime.cast_unsigned() - 1));
            parts.revocations.follow(&*parts.clock).await.expect("read");
            assert_eq!(service.status(&tokens.access_token).await, TokenStatus::REVOKED);
            service.clock.advance(config().tokens.access_ttl_max);
            parts.revocations.follow(&*parts.clock).await.expect("read");
            assert_eq!(parts.revocations.index().len(), 0);
        }
    }
}
