//! Codes on their way: beside the requests that asked for them, bounded in number.

use std::{fmt, future::Future, pin::Pin, sync::Arc, time::Duration};

use common::{
    clock::{SharedClock, SharedRandom, Timestamp},
    config::Environment,
    context::RequestContext,
    lifecycle::RequestTasks,
};
use prometheus::{IntGauge, Registry};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

use super::{PhoneConfig, PhoneSender, log_sender::LogSender, metrics::Metrics, webhook::Webhook};
use crate::domain::{
    ids::AppId,
    phone::PhoneNumber,
    phone_code::{Code, Scene},
};

/// Whoever finds no place is asked to come back after this time. Most of what waits is gone by then.
const RETRY_AFTER: Duration = Duration::from_secs(2);

/// What is sent.
#[derive(Clone, Debug)]
pub(crate) struct CodeMessage {
    /// The same in every attempt: a receiver that has seen it sends nothing again.
    pub(super) id: String,
    pub(super) phone: PhoneNumber,
    pub(super) code: Code,
    pub(super) app_id: AppId,
    pub(super) scene: Scene,
    pub(super) expires_at: Timestamp,
}

/// Sends codes. Gives up by itself.
pub(super) trait CodeSender: Send + Sync + fmt::Debug {
    fn send<'a>(&'a self, message: &'a CodeMessage) -> Sending<'a>;
}

pub(super) type Sending<'a> = Pin<Box<dyn Future<Output = Result<(), NotSent>> + Send + 'a>>;

/// A code that nobody will get. Names neither phone nor code.
#[derive(Debug, thiserror::Error)]
#[error("after {attempts} attempts: {reason}")]
pub(super) struct NotSent {
    pub(super) attempts: u32,
    pub(super) reason: String,
}

/// Too many codes are waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many phone codes wait to be sent")]
pub(crate) struct NoRoom {
    pub(crate) retry_after: Duration,
}

/// Sending could not be set up.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeliveryStartError {
    #[error("account.phone.webhook: {0}")]
    Webhook(String),
    #[error(transparent)]
    Metrics(#[from] prometheus::Error),
}

/// Sends codes beside the requests. A drain waits for those that are on their way.
#[derive(Debug)]
pub(crate) struct Delivery {
    sender: Arc<dyn CodeSender>,
    /// One permit per code that waits or is being sent.
    places: Arc<Semaphore>,
    /// One permit per code that is being sent.
    at_once: Arc<Semaphore>,
    metrics: Arc<Metrics>,
    tasks: RequestTasks,
}

/// Room for one code.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    delivery: &'a Delivery,
    permit: OwnedSemaphorePermit,
}

impl Delivery {
    /// As configured; `None` when nobody sends codes.
    pub(crate) fn start(
        config: &PhoneConfig,
        environment: Environment,
        tasks: RequestTasks,
        clock: SharedClock,
        random: SharedRandom,
        registry: &Registry,
    ) -> Result<Option<Self>, DeliveryStartError> {
        let sender: Arc<dyn CodeSender> = match config.sender_in(environment) {
            PhoneSender::None => return Ok(None),
            PhoneSender::Log => Arc::new(LogSender),
            PhoneSender::Webhook => Arc::new(Webhook::new(&config.webhook, clock, random, registry)?),
        };
        Ok(Some(Self::new(sender, config, tasks, registry)?))
    }

    fn new(
        sender: Arc<dyn CodeSender>,
        config: &PhoneConfig,
        tasks: RequestTasks,
        registry: &Registry,
    ) -> Result<Self, prometheus::Error> {
        Ok(Self {
            sender,
            places: Arc::new(Semaphore::new(config.queue.get())),
            at_once: Arc::new(Semaphore::new(config.concurrency.get())),
            metrics: Arc::new(Metrics::register(registry)?),
            tasks,
        })
    }

    /// Room for one code, if there is any now.
    pub(crate) fn place(&self) -> Result<Place<'_>, NoRoom> {
        match Arc::clone(&self.places).try_acquire_owned() {
            Ok(permit) => Ok(Place { delivery: self, permit }),
            Err(_) => {
                self.metrics.no_room.inc();
                Err(NoRoom { retry_after: RETRY_AFTER })
            }
        }
    }
}

impl Place<'_> {
    /// Sends the code, soon. Its trace is that of the request; its time is its own.
    pub(crate) fn send(self, message: CodeMessage) {
        let Self { delivery, permit } = self;
        let (sender, at_once) = (Arc::clone(&delivery.sender), Arc::clone(&delivery.at_once));
        let metrics = Arc::clone(&delivery.metrics);
        let queued = Queued::new(metrics.queued.clone());
        let asked_at = Instant::now();
        let work = async move {
            // Never closed: it lives as long as this task.
            let _turn = at_once.acquire_owned().await;
            match sender.send(&message).await {
                Ok(()) => metrics.sent.inc(),
                Err(error) => {
                    metrics.failed.inc();
                    let (code_id, app_id, scene) = (&message.id, message.app_id, message.scene.as_str());
                    tracing::warn!(code_id, %app_id, scene, %error, "a phone code could not be sent");
                }
            }
            metrics.duration.observe(asked_at.elapsed().as_secs_f64());
            drop((queued, permit));
        };
        match RequestContext::current() {
            // Whoever asked has its answer; its deadline is not the code's.
            Some(context) => {
                let unhurried = RequestContext { deadline: None, ..context };
                drop(unhurried.sync_scope(|| delivery.tasks.spawn_in_context(work)));
            }
            None => drop(delivery.tasks.spawn_in_context(work)),
        }
    }
}

/// Counts one code for as long as it lives, however its task ends.
struct Queued(IntGauge);

impl Queued {
    fn new(gauge: IntGauge) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroUsize, sync::Mutex};

    use tokio::sync::watch;

    use super::*;

    /// Holds what it is given until it is let go.
    #[derive(Debug)]
    struct Gate {
        open: watch::Sender<bool>,
        seen: Mutex<Vec<String>>,
    }

    impl CodeSender for Gate {
        fn send<'a>(&'a self, message: &'a CodeMessage) -> Sending<'a> {
            Box::pin(async move {
                self.seen.lock().expect("alive").push(message.id.clone());
                let _ = self.open.subscribe().wait_for(|open| *open).await;
                Ok(())
            })
        }
    }

    fn message(id: usize) -> CodeMessage {
        CodeMessage {
            id: id.to_string(),
            phone: PhoneNumber::parse("+8613812345678").expect("valid"),
            code: Code::parse("123456").expect("valid"),
            app_id: AppId::parse(1).expect("valid"),
            scene: Scene::Login,
            expires_at: Timestamp::from_millis(0),
        }
    }

    #[tokio::test]
    async fn no_more_than_allowed_wait_or_are_sent_and_a_drain_waits_for_all_of_them() {
        let number = |number| NonZeroUsize::new(number).expect("positive");
        let config = PhoneConfig { queue: number(3), concurrency: number(2), ..PhoneConfig::default() };
        let gate = Arc::new(Gate { open: watch::Sender::new(false), seen: Mutex::default() });
        let tasks = RequestTasks::default();
        let registry = Registry::new();
        let delivery = Delivery::new(gate.clone(), &config, tasks.clone(), &registry).expect("starts");
        for id in 0..3 {
            delivery.place().expect("room").send(message(id));
        }
        assert_eq!(delivery.place().map(drop), Err(NoRoom { retry_after: RETRY_AFTER }));
        while gate.seen.lock().expect("alive").len() < 2 {
            tokio::task::yield_now().await;
        }
        assert_eq!((delivery.at_once.available_permits(), delivery.metrics.queued.get()), (0, 3));
        gate.open.send_replace(true);
        tasks.tracker().close();
        tasks.tracker().wait().await;
        assert_eq!(gate.seen.lock().expect("alive").len(), 3);
        assert_eq!((delivery.metrics.sent.get(), delivery.metrics.queued.get()), (3, 0));
        assert!(delivery.place().is_ok());
    }
}
