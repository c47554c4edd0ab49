//! The life of a process, from the first task to the exit status.

use std::{future::Future, sync::Arc};

use futures_util::FutureExt;
use tokio::time::{sleep, timeout};

use super::{
    background::{Background, BackgroundFailure},
    config::Timing,
    context::RequestTasks,
    exit::ExitStatus,
    flush::Flushes,
    readiness::Readiness,
    signals::{Signal, Signals, StopRequests},
};

/// The process's life. Clones are the same life.
#[derive(Clone, Debug)]
pub struct Lifecycle(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    timing: Timing,
    signals: Signals,
    readiness: Readiness,
    requests: RequestTasks,
    background: Background,
    flushes: Flushes,
}

impl Lifecycle {
    /// A life that has just begun.
    pub fn new(timing: Timing) -> Self {
        let signals = Signals::default();
        Self(Arc::new(Inner {
            timing,
            readiness: Readiness::new(signals.draining.clone()),
            requests: RequestTasks::default(),
            background: Background::new(signals.stopping.clone()),
            flushes: Flushes::default(),
            signals,
        }))
    }

    /// What servers watch in order to leave.
    pub fn signals(&self) -> Signals {
        self.0.signals.clone()
    }

    /// What must be true before traffic comes.
    pub fn readiness(&self) -> &Readiness {
        &self.0.readiness
    }

    /// Tasks of requests. An end waits for them, up to `drain_timeout`.
    pub fn requests(&self) -> &RequestTasks {
        &self.0.requests
    }

    /// Runs a task that has no end of its own: a poller, a clean-up. It is cut off at the very end, after the flushes.
    /// Its end before `stopping`, or its panic, brings the process down.
    pub fn spawn_background(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.0.background.spawn_endless(name, task);
    }

    /// Runs a task that ends by itself once `stopping` is cancelled and its work in flight is finished: a server, a
    /// writer. An end waits for it, up to `drain_timeout`. Its end before `stopping`, or its panic, brings the process
    /// down.
    pub fn spawn_server(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.0.background.spawn_server(name, task);
    }

    /// Adds something to do at the very end, after the last request and before background tasks are cut off. The last
    /// one added runs first; each gets at most `flush_timeout`.
    pub fn on_flush(&self, name: &'static str, flush: impl Future<Output = ()> + Send + 'static) {
        self.0.flushes.add(name, flush.boxed());
    }

    /// The part that failed first, if one did.
    pub fn failure(&self) -> Option<BackgroundFailure> {
        self.0.background.failure()
    }

    /// Lives until somebody asks for an end or a background task fails, then ends in order. A second request ends at
    /// once, with nothing finished and nothing flushed.
    pub async fn run(self, mut requests: StopRequests) -> ExitStatus {
        tokio::select! {
            signal = requests.next() => tracing::info!(?signal, "draining"),
            () = self.0.background.failed() => tracing::info!("draining after a failure"),
        }
        self.0.signals.draining.cancel();
        tokio::select! {
            // An insistent operator is heard even if the end is ready at the same moment.
            biased;
            signal = self.second(&mut requests) => {
                tracing::warn!(?signal, "ending at once, unfinished");
                self.0.background.end();
                ExitStatus::Forced(signal)
            }
            status = self.end() => status,
        }
    }

    /// The part of a drained end after readiness has become false.
    async fn end(&self) -> ExitStatus {
        let Inner { timing, signals, background, flushes, .. } = &*self.0;
        sleep(timing.drain_delay).await;
        tracing::info!("stopping");
        signals.stopping.cancel();
        self.finish_in_flight().await;
        flushes.run(timing.flush_timeout).await;
        background.end();
        match background.failure() {
            None => ExitStatus::Clean,
            Some(_) => ExitStatus::Failed,
        }
    }

    /// The request that ends at once. While we end by a failure, the first request is only the orchestrator's usual one.
    async fn second(&self, requests: &mut StopRequests) -> Signal {
        if self.failure().is_some() {
            requests.next().await;
        }
        requests.next().await
    }

    /// Servers first: while they finish, their requests may still spawn tasks.
    async fn finish_in_flight(&self) {
        let Inner { timing, requests, background, .. } = &*self.0;
        let finished = async {
            background.servers.close();
            background.servers.wait().await;
            requests.tracker().close();
            requests.tracker().wait().await;
        };
        if timeout(timing.drain_timeout, finished).await.is_err() {
            let (servers, tasks) = (background.servers.len(), requests.tracker().len());
            tracing::warn!(servers, tasks, "the drain took too long, what is left is cut off");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Mutex, time::Duration};

    use tokio::{task::JoinHandle, time::Instant};

    use super::*;
    use crate::lifecycle::Trigger;

    const TIMING: Timing = Timing {
        drain_delay: Duration::from_secs(5),
        drain_timeout: Duration::from_secs(25),
        flush_timeout: Duration::from_secs(2),
    };

    /// A running life, and what happened in it after how many seconds.
    struct Life {
        lifecycle: Lifecycle,
        trigger: Trigger,
        running: JoinHandle<ExitStatus>,
        journal: Journal,
    }

    #[derive(Clone)]
    struct Journal(Arc<Mutex<Vec<(&'static str, u64)>>>, Instant);

    impl Journal {
        fn note(&self, what: &'static str) {
            self.0.lock().unwrap().push((what, self.1.elapsed().as_secs()));
        }

        fn entries(&self) -> Vec<(&'static str, u64)> {
            self.0.lock().unwrap().clone()
        }
    }

    impl Life {
        fn begin() -> Self {
            let (trigger, requests) = StopRequests::manual();
            let lifecycle = Lifecycle::new(TIMING);
            let running = RequestTasks::default().spawn_in_context(lifecycle.clone().run(requests));
            Self { lifecycle, trigger, running, journal: Journal(Arc::default(), Instant::now()) }
        }

        /// A server that notes the two moments and then takes `finishing` for what it has in flight.
        fn serve(&self, finishing: Duration) {
            let (signals, journal) = (self.lifecycle.signals(), self.journal.clone());
            self.lifecycle.spawn_server("server", async move {
                signals.draining.cancelled().await;
                journal.note("draining");
                signals.stopping.cancelled().await;
                journal.note("stopping");
                sleep(finishing).await;
                journal.note("server finished");
            });
        }

        fn request(&self, lasting: Duration) {
            let journal = self.journal.clone();
            self.lifecycle.requests().spawn_in_context(async move {
                sleep(lasting).await;
                journal.note("request finished");
            });
        }

        fn note_flush(&self) {
            let journal = self.journal.clone();
            self.lifecycle.on_flush("journal", async move { journal.note("flushed") });
        }

        async fn ended(self) -> (ExitStatus, Vec<(&'static str, u64)>) {
            (self.running.await.expect("no panic"), self.journal.entries())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_signal_drains_in_order_and_ends_clean() {
        let life = Life::begin();
        life.serve(Duration::from_secs(3));
        life.request(Duration::from_secs(11));
        life.note_flush();
        assert!(life.lifecycle.readiness().report().ready);
        life.trigger.fire(Signal::Terminate);
        life.lifecycle.signals().draining.cancelled().await;
        assert!(!life.lifecycle.readiness().report().ready, "not ready from the first moment");
        let (status, journal) = life.ended().await;
        assert_eq!(status, ExitStatus::Clean);
        let expected =
            [("draining", 0), ("stopping", 5), ("server finished", 8), ("request finished", 11), ("flushed", 11)];
        assert_eq!(journal, expected);
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_never_ends_is_cut_off_and_what_is_buffered_is_still_flushed() {
        let life = Life::begin();
        life.request(Duration::MAX);
        life.note_flush();
        life.trigger.fire(Signal::Interrupt);
        assert_eq!(life.ended().await, (ExitStatus::Clean, vec![("flushed", 30)]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_second_signal_ends_at_once_and_not_clean() {
        let life = Life::begin();
        life.request(Duration::MAX);
        life.note_flush();
        life.trigger.fire(Signal::Terminate);
        life.lifecycle.signals().stopping.cancelled().await;
        life.trigger.fire(Signal::Interrupt);
        assert_eq!(life.ended().await, (ExitStatus::Forced(Signal::Interrupt), vec![]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_background_task_that_ends_or_panics_brings_the_process_down_and_is_named() {
        for (panics, how) in [(false, "ended"), (true, "panicked")] {
            let life = Life::begin();
            life.serve(Duration::ZERO);
            life.lifecycle.spawn_background("poller", async move {
                sleep(Duration::from_secs(1)).await;
                assert!(!panics, "on purpose");
            });
            let lifecycle = life.lifecycle.clone();
            let (status, journal) = life.ended().await;
            assert_eq!(status, ExitStatus::Failed);
            assert_eq!(lifecycle.failure(), Some(BackgroundFailure { name: "poller", how }));
            assert_eq!(journal, [("draining", 1), ("stopping", 6), ("server finished", 6)], "callers are still served");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_signal_during_the_drain_of_a_failed_process_does_not_cut_it_short() {
        let life = Life::begin();
        life.lifecycle.spawn_background("poller", async {});
        life.note_flush();
        life.lifecycle.signals().draining.cancelled().await;
        life.trigger.fire(Signal::Terminate);
        assert_eq!(life.ended().await, (ExitStatus::Failed, vec![("flushed", 5)]));
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_panics_while_it_finishes_is_not_a_clean_end() {
        let life = Life::begin();
        let stopping = life.lifecycle.signals().stopping;
        life.lifecycle.spawn_server("server", async move {
            stopping.cancelled().await;
            panic!("on purpose");
        });
        life.trigger.fire(Signal::Terminate);
        assert_eq!(life.ended().await.0, ExitStatus::Failed);
    }

    #[tokio::test(start_paused = true)]
    async fn an_endless_background_task_holds_nothing_up_and_is_gone_after_the_end() {
        struct NoteDrop(Journal);
        impl Drop for NoteDrop {
            fn drop(&mut self) {
                self.0.note("poller gone");
            }
        }
        let life = Life::begin();
        let guard = NoteDrop(life.journal.clone());
        life.lifecycle.spawn_background("poller", async move {
            let _guard = guard;
            std::future::pending::<()>().await;
        });
        life.note_flush();
        life.trigger.fire(Signal::Terminate);
        let journal = life.journal.clone();
        assert_eq!(life.ended().await.0, ExitStatus::Clean);
        tokio::task::yield_now().await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(journal.entries(), [("flushed", 5), ("poller gone", 5)]);
    }
}
