//! Keeps the revisions: asks the setting service for those of all apps that were asked for lately, a few times a second.

use std::{sync::Arc, time::Duration};

use common::rpc::CallError;
use tokio::time::{Instant, MissedTickBehavior, timeout};

use super::{app::App, copy::Parts};

/// The most apps that one call asks about; the contract's limit.
const APPS_PER_CALL: usize = 1000;

/// Follows for as long as the process runs. Nothing in here can fail for good: after a round that fails, answers are a
/// little older.
pub(super) async fn run(parts: Arc<Parts>) {
    let mut ticks = tokio::time::interval(parts.config.follow_every);
    // After a stall the next round is a whole interval away: a service that has just come back has enough to do.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut failing = false;
    loop {
        ticks.tick().await;
        let outcome = round(&parts).await;
        match (&outcome, failing) {
            (Err(error), false) => {
                tracing::warn!(%error, "the revisions of settings can't be followed: the copy answers as long as it may");
            }
            (Ok(()), true) => tracing::info!("the revisions of settings are followed again"),
            (Ok(()), false) | (Err(_), true) => {}
        }
        failing = outcome.is_err();
    }
}

/// Asks once about every app that was asked for lately.
pub(super) async fn round(parts: &Parts) -> Result<(), CallError> {
    let apps = asked_lately(parts);
    let mut outcome = Ok(());
    for some in apps.chunks(APPS_PER_CALL) {
        outcome = outcome.and(ask_about(parts, some).await);
    }
    if apps.is_empty() && parts.reach.is_away() {
        // Nobody asks, so nobody else would find out that it is back, and the next question would get a stale answer.
        outcome = ask_about(parts, &[]).await;
    }
    note_copy(parts, &apps).await;
    outcome
}

fn asked_lately(parts: &Parts) -> Vec<Arc<App>> {
    let limit = parts.config.follow_for;
    parts.apps.iter().map(|(_, app)| app).filter(|app| app.was_asked_within(limit)).collect()
}

async fn ask_about(parts: &Parts, apps: &[Arc<App>]) -> Result<(), CallError> {
    let asked_at = Instant::now();
    let call = parts.source.revisions(apps.iter().map(|app| app.app_id).collect());
    // Later than this it would confirm nothing any more.
    let answer = timeout(parts.config.fresh_for, call).await.unwrap_or(Err(CallError::DeadlineExceeded));
    let revisions = parts.heard(answer)?.revisions;
    for app in apps {
        // A replica that does not know the app yet begins to read it.
        let Some(revision) = revisions.get(&app.app_id) else { continue };
        if app.known().revision().is_some_and(|newest| *revision < newest) {
            parts.metrics.behind.inc();
        }
        app.heard(*revision, asked_at);
    }
    Ok(())
}

async fn note_copy(parts: &Parts, apps: &[Arc<App>]) {
    parts.answers.run_pending_tasks().await;
    let metrics = &parts.metrics;
    metrics.apps.set(i64::try_from(apps.len()).unwrap_or(i64::MAX));
    metrics.entries.set(i64::try_from(parts.answers.entry_count()).unwrap_or(i64::MAX));
    metrics.bytes.set(i64::try_from(parts.answers.weighted_size()).unwrap_or(i64::MAX));
    let oldest = apps.iter().filter_map(|app| app.known().unheard_for()).max();
    metrics.age.set(oldest.unwrap_or(Duration::ZERO).as_secs_f64());
}
