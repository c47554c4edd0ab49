//! Telling Google of purchases whose order is paid, until it knows: it gives the money back for what nobody acknowledges.
//!
//! Every instance looks for what is due. What one claims is its own until the claim runs out, so that nothing is lost with an
//! instance; an acknowledgement that is made twice does no harm.

use common::clock::{Timestamp, new_uuid};
use futures_util::future::join_all;
use uuid::Uuid;

use super::Unavailable;
use crate::{
    channels::{Answer, BuildInputs, ChannelConfig, Question, ServiceAccount, Verdict},
    service::Parts,
    store::{
        StoreError,
        channel_tasks::{ChannelTask, Then},
        outbox::Claim,
    },
};

/// What came of one attempt.
enum Attempt {
    /// Google knows.
    Acknowledged,
    /// Google has cancelled the purchase: there is nothing to acknowledge.
    Moot,
    /// Neither, and why. Holds nothing secret.
    Failed(String),
}

/// Acknowledges whatever is due; answers how many attempts that took.
pub(crate) async fn acknowledge_due(parts: &Parts) -> Result<usize, StoreError> {
    let limits = &parts.config.google.acknowledge;
    let worker = new_uuid(parts.clock.as_ref(), parts.random.as_ref());
    let mut attempts = 0;
    loop {
        let claim = Claim { worker, until: parts.clock.now() + limits.lease };
        let (looked_at, claimed) = parts.channel_tasks.claim_due(limits.batch.get(), claim).await?;
        attempts += claimed.len();
        let settled = join_all(claimed.iter().map(|task| acknowledge(parts, worker, task))).await;
        settled.into_iter().collect::<Result<(), _>>()?;
        if looked_at < limits.batch.get() as usize {
            return Ok(attempts);
        }
    }
}

async fn acknowledge(parts: &Parts, worker: Uuid, task: &ChannelTask) -> Result<(), StoreError> {
    let attempt = attempt(parts, task).await;
    let (order_id, app_id, channel, now) = (task.order_id, task.app_id, &*task.channel, parts.clock.now());
    let (then, outcome) = judge(parts, task, &attempt, now);
    if !parts.channel_tasks.settle(task, worker, then).await? {
        return Ok(());
    }
    parts.google.metrics.acknowledged(outcome);
    match (then, &attempt) {
        (Then::Dead { reason }, _) => tracing::error!(
            %order_id,
            app_id,
            channel,
            attempts = task.failures.saturating_add(1),
            reason,
            "a purchase could not be acknowledged in time: the channel gives the money back, and its order was paid"
        ),
        (Then::At(_), Attempt::Failed(reason)) => {
            tracing::warn!(%order_id, app_id, channel, failures = task.failures.saturating_add(1), reason, "a purchase could not be acknowledged; it is tried again");
        }
        (Then::At(_) | Then::Done { .. }, _) => {}
    }
    Ok(())
}

/// What becomes of the task, and as what it is counted.
fn judge<'a>(parts: &Parts, task: &ChannelTask, attempt: &'a Attempt, now: Timestamp) -> (Then<'a>, &'static str) {
    let limits = &parts.config.google.acknowledge;
    match attempt {
        Attempt::Acknowledged => (Then::Done { event: "channel_acknowledged", reason: "" }, "acknowledged"),
        Attempt::Moot => {
            let reason = "the channel has cancelled the purchase";
            (Then::Done { event: "channel_not_acknowledged", reason }, "moot")
        }
        Attempt::Failed(reason) if task.age(now) >= limits.give_up_after => (Then::Dead { reason }, "given_up"),
        Attempt::Failed(_) => {
            // Once more at the very end.
            let last = task.since + limits.give_up_after;
            let next = now + limits.pause(task.failures.saturating_add(1));
            (Then::At(next.min(last)), "failed")
        }
    }
}

async fn attempt(parts: &Parts, task: &ChannelTask) -> Attempt {
    let config = match parts.channels.find(task.app_id, &task.channel).await {
        Ok(Some(config)) => config,
        Ok(None) => return Attempt::Failed("the channel is no longer configured".to_owned()),
        Err(error) => return Attempt::Failed(error.to_string()),
    };
    let question = config.question(&task.product_id, &task.purchase_token.0);
    let (Some(question), Some(account)) = (question, config.service_account()) else {
        return Attempt::Failed("secrets.service_account is not configured".to_owned());
    };
    tell(parts, &config, account, &question).await.unwrap_or_else(|why| Attempt::Failed(why.to_string()))
}

async fn tell(
    parts: &Parts,
    config: &ChannelConfig,
    account: &ServiceAccount,
    question: &Question,
) -> Result<Attempt, Unavailable> {
    let status = parts.google.acknowledge(account, &question.acknowledge_url).await?.status().as_u16();
    let failed = || Attempt::Failed(format!("status {status}"));
    match status {
        200..=299 => return Ok(Attempt::Acknowledged),
        // What it has refused it may have done before, or not want any more.
        400..=499 if !matches!(status, 401 | 403 | 429) => {}
        _ => return Ok(failed()),
    }
    let answer = parts.google.ask(account, &question.url).await?;
    let answer = Answer { status: answer.status().as_u16(), headers: answer.headers(), body: answer.body() };
    let channel = config.build(&BuildInputs::default());
    Ok(match channel.read_answer(question, &answer) {
        Ok(Verdict::Facts(_)) if !channel.owes_acknowledgement(&answer) => Attempt::Acknowledged,
        Ok(Verdict::Ignored(_)) => Attempt::Moot,
        Ok(Verdict::Facts(_) | Verdict::Ask(_)) | Err(_) => failed(),
    })
}
