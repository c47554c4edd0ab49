//! What one instance at a time does for all: clearing away, and deleting accounts.
//!
//! Every instance asks for every job; the one that gets it works in steps, each a transaction that commits only while the
//! job is its own. Whoever dies in the middle leaves whole steps behind, and another instance goes on after the lease.

use std::time::Duration;

use common::{
    clock::Timestamp,
    job_table,
    sql::{JobTable, JobTurn, SqlError, Tx},
};
use prometheus::{
    Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
};

use crate::{
    config::CleanupConfig,
    domain::{end_reason::EndReason, ids::AccountId},
    error::AccountError,
    service::Parts,
    store::{cleanup::Expired, deletions},
};

/// Where the leases lie.
pub(crate) static TABLE: JobTable = job_table!("account_jobs");

/// Seconds. A run is a few statements; the last bucket is where a lease begins to matter.
const DURATION_BUCKETS: [f64; 7] = [0.005, 0.02, 0.1, 0.5, 2.0, 10.0, 60.0];

/// A job. Its name is stored, so it never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Job {
    /// Rows that no longer matter are deleted.
    CleanUp,
    /// Accounts whose cooling-off is over are deleted.
    Deletions,
}

/// Why a run did not come to its end.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JobError {
    #[error("another instance has taken the job")]
    LeaseLost,
    /// The rest was done. The error is the one of the first account.
    #[error("{failed} accounts could not be deleted and were put off, {deleted} were; account {account}: {error}")]
    PutOff { deleted: u64, failed: u64, account: i64, error: AccountError },
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error(transparent)]
    Sql(#[from] SqlError),
}

/// How the jobs go.
#[derive(Debug)]
pub(crate) struct JobMetrics {
    clean_up: Instruments,
    deletions: Instruments,
}

#[derive(Debug)]
struct Instruments {
    last_success: IntGauge,
    duration: Histogram,
    rows: IntCounter,
}

/// Runs the job, if it is due and no other instance has it.
pub(crate) async fn run(parts: &Parts, job: Job) -> Result<(), JobError> {
    let started = parts.clock.now();
    let metrics = parts.job_metrics.of(job);
    let Some(turn) = parts.jobs.take(job.name(), started, lease_end(parts)).await? else {
        // Whoever ran it: each instance tells the same, and an alert needs only one of them.
        if let Some(at) = parts.jobs.succeeded_at(job.name()).await? {
            metrics.last_success.set(at.as_millis() / 1000);
        }
        return Ok(());
    };
    let outcome = steps(parts, job, turn).await;
    let ended = parts.clock.now();
    metrics.duration.observe(ended.since(started).as_secs_f64());
    match &outcome {
        Ok(rows) => {
            metrics.last_success.set(ended.as_millis() / 1000);
            metrics.rows.inc_by(*rows);
        }
        Err(JobError::PutOff { deleted, .. }) => metrics.rows.inc_by(*deleted),
        Err(_) => {}
    }
    // A tenth early, so that the next look, which is never on time to the millisecond, finds it due.
    let due_at = started + job.every(parts) * 9 / 10;
    parts.jobs.give_back(turn, due_at, outcome.is_ok().then_some(ended)).await?;
    outcome.map(drop)
}

/// Answers how many rows or accounts were deleted.
async fn steps(parts: &Parts, job: Job, turn: JobTurn) -> Result<u64, JobError> {
    match job {
        Job::CleanUp => clean_up(parts, turn).await,
        Job::Deletions => delete_accounts(parts, turn).await,
    }
}

/// Batch by batch, each a step of its own, while a batch comes back full and there is time; every kind of row gets its
/// turn in each run.
async fn clean_up(parts: &Parts, turn: JobTurn) -> Result<u64, JobError> {
    let (now, limits) = (parts.clock.now(), &parts.config.cleanup);
    let (mut deleted, mut pending) = (0, Expired::ALL.to_vec());
    loop {
        let mut full = Vec::new();
        for kind in pending {
            let mut tx = step(parts, turn).await?;
            let rows = kind
                .delete(&mut tx, no_matter_before(kind, now, limits, parts.config.history.keep), limits.batch)
                .await?;
            tx.commit().await?;
            deleted += rows;
            if rows >= u64::from(limits.batch) {
                full.push(kind);
            }
        }
        if full.is_empty() || parts.clock.now().since(now) >= limits.longest_run {
            return Ok(deleted);
        }
        pending = full;
    }
}

fn no_matter_before(kind: Expired, now: Timestamp, limits: &CleanupConfig, keep_history: Duration) -> Timestamp {
    match kind {
        Expired::Revocations | Expired::PhoneCodes => now,
        Expired::UnusedSessions | Expired::EndedSessions => now.minus(limits.keep_ended_sessions),
        Expired::Imports => now.minus(limits.keep_imports),
        Expired::BansThatRanOut | Expired::LiftedBans | Expired::SubjectBansThatRanOut | Expired::LiftedSubjectBans => {
            now.minus(limits.keep_ended_bans)
        }
        Expired::History => now.minus(keep_history),
    }
}

/// One account per step: whoever dies in the middle has deleted each account wholly or not at all. One that fails is put
/// off, and does not keep the others waiting.
async fn delete_accounts(parts: &Parts, turn: JobTurn) -> Result<u64, JobError> {
    let (mut deleted, mut failed, mut first) = (0, 0, None);
    for account in parts.deletions.due(parts.clock.now(), parts.config.deletion.batch).await? {
        match delete_account(parts, turn, account).await {
            Ok(true) => deleted += 1,
            Ok(false) => {}
            Err(JobError::Account(error)) => {
                put_off(parts, turn, account).await?;
                failed += 1;
                first.get_or_insert((account, error));
            }
            Err(error) => return Err(error),
        }
    }
    match first {
        None => Ok(deleted),
        Some((account, error)) => Err(JobError::PutOff { deleted, failed, account: account.get(), error }),
    }
}

/// `false`: the deletion was called off.
async fn delete_account(parts: &Parts, turn: JobTurn, account: AccountId) -> Result<bool, JobError> {
    let ending = parts.ending(EndReason::AccountDeletion.as_str());
    let mut tx = step(parts, turn).await?;
    let ended = deletions::execute(&mut tx, account, ending).await?;
    tx.commit().await.map_err(AccountError::from)?;
    if let Some(ended) = &ended {
        parts.ended(ended, ending);
    }
    Ok(ended.is_some())
}

async fn put_off(parts: &Parts, turn: JobTurn, account: AccountId) -> Result<(), JobError> {
    let mut tx = step(parts, turn).await?;
    deletions::put_off(&mut tx, account, parts.clock.now() + parts.config.deletion.retry_after).await?;
    Ok(tx.commit().await?)
}

async fn step(parts: &Parts, turn: JobTurn) -> Result<Tx, JobError> {
    parts.jobs.step(turn, lease_end(parts)).await?.ok_or(JobError::LeaseLost)
}

fn lease_end(parts: &Parts) -> Timestamp {
    parts.clock.now() + parts.config.jobs.lease
}

impl Job {
    fn name(self) -> &'static str {
        match self {
            Self::CleanUp => "cleanup",
            Self::Deletions => "deletions",
        }
    }

    /// How often it is due.
    pub(crate) fn every(self, parts: &Parts) -> Duration {
        match self {
            Self::CleanUp => parts.config.cleanup.every,
            Self::Deletions => parts.config.deletion.every,
        }
    }
}

impl JobMetrics {
    pub(crate) fn register(registry: &Registry) -> Result<Self, prometheus::Error> {
        let last_success = IntGaugeVec::new(
            Opts::new(
                "playgate_account_job_last_success_timestamp_seconds",
                "When the job last ran to its end, on whichever instance.",
            ),
            &["job"],
        )?;
        let duration = HistogramOpts::new("playgate_account_job_duration_seconds", "Runs of the job by this instance.");
        let duration = HistogramVec::new(duration.buckets(DURATION_BUCKETS.to_vec()), &["job"])?;
        let rows = IntCounterVec::new(
            Opts::new("playgate_account_job_rows_total", "Rows, or accounts, that the job has deleted."),
            &["job"],
        )?;
        registry.register(Box::new(last_success.clone()))?;
        registry.register(Box::new(duration.clone()))?;
        registry.register(Box::new(rows.clone()))?;
        let of = |job: Job| Instruments {
            last_success: last_success.with_label_values(&[job.name()]),
            duration: duration.with_label_values(&[job.name()]),
            rows: rows.with_label_values(&[job.name()]),
        };
        Ok(Self { clean_up: of(Job::CleanUp), deletions: of(Job::Deletions) })
    }

    fn of(&self, job: Job) -> &Instruments {
        match job {
            Job::CleanUp => &self.clean_up,
            Job::Deletions => &self.deletions,
        }
    }
}

#[cfg(test)]
mod tests;
