//! The one connection that all questions share, and the task that keeps it.
//!
//! The task alone connects, probes and gives up. A question finds a connection or is told that there is none, without
//! waiting; one that gets no answer in time makes the task probe at once, so that a server that hangs costs a few
//! callers their `response_timeout` and nobody after them anything.

use std::{future::Future, sync::Arc, time::Duration};

use redis::{ErrorKind, RedisError, RedisResult, ServerErrorKind};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep, timeout},
};

use super::{
    RedisConfig,
    connection::{Connection, Limits, pause},
    metrics::{Failure, Metrics},
    target::Target,
};
use crate::{
    clock::SharedRandom,
    context::RequestContext,
    shared::SharedError,
    telemetry::trace::{self, Description},
};

/// The connection, as far as there is one.
#[derive(Clone)]
pub(super) struct Link {
    shared: Arc<Shared>,
}

struct Shared {
    target: Target,
    limits: Limits,
    probe_every: Duration,
    reconnect_every: Duration,
    random: SharedRandom,
    metrics: Metrics,
    state: watch::Sender<State>,
    /// Somebody got no answer: probe now.
    doubt: Notify,
    /// The server has become a replica and takes no writes: connect anew, to find the master.
    demoted: Notify,
}

#[derive(Clone)]
enum State {
    /// The first attempt is not over.
    Beginning,
    Up(Connection),
    Down,
}

impl Link {
    pub(super) fn new(target: Target, config: &RedisConfig, random: SharedRandom, metrics: Metrics) -> Self {
        let shared = Shared {
            target,
            limits: Limits::of(config),
            probe_every: config.probe_every,
            reconnect_every: config.reconnect_every,
            random,
            metrics,
            state: watch::Sender::new(State::Beginning),
            doubt: Notify::new(),
            demoted: Notify::new(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Asks one question, called `operation` in traces. Takes no longer than `response_timeout`, or what its caller has
    /// left if that is less.
    pub(super) async fn ask<T, F>(
        &self,
        operation: &'static str,
        question: impl FnOnce(Connection) -> F,
    ) -> Result<T, SharedError>
    where
        F: Future<Output = RedisResult<T>>,
    {
        // Never with its key: that may name an address or an account.
        let span = trace::leaf(move || {
            Description::client(operation).with("db.system.name", "redis").with("db.operation.name", operation)
        });
        match self.answer(question).await {
            Ok(answer) => {
                span.end(false);
                Ok(answer)
            }
            Err((failure, reason)) => {
                self.shared.metrics.count(failure);
                span.end_with(Instant::now(), true, |question| question.with("error.type", failure.label()));
                Err(SharedError::Unavailable(reason))
            }
        }
    }

    async fn answer<T, F>(&self, question: impl FnOnce(Connection) -> F) -> Result<T, (Failure, String)>
    where
        F: Future<Output = RedisResult<T>>,
    {
        let Shared { metrics, limits, doubt, .. } = &*self.shared;
        let Some(connection) = self.connection() else {
            return Err((Failure::NoConnection, "there is no connection to Redis".to_owned()));
        };
        let caller_has = RequestContext::current().and_then(|context| context.remaining());
        let limit = caller_has.map_or(limits.response, |left| left.min(limits.response));
        let started = Instant::now();
        let outcome = timeout(limit, question(connection)).await;
        metrics.observe(started.elapsed());
        match outcome {
            Ok(answer) => answer.map_err(|error| (self.judge(&error), error.to_string())),
            Err(_) => {
                // A caller in a hurry says nothing about the server.
                if limit == limits.response {
                    doubt.notify_one();
                }
                Err((Failure::Timeout, format!("Redis did not answer within {} ms", limit.as_millis())))
            }
        }
    }

    /// Waits until the first attempt to connect is over, whatever came of it.
    pub(super) async fn settled(&self) {
        let is_settled = |state: &State| !matches!(state, State::Beginning);
        // The sender lives in `self`: the wait can't end without an answer.
        let _ = self.shared.state.subscribe().wait_for(is_settled).await;
    }

    /// Waits until there is a connection, or until there is none.
    #[cfg(any(test, feature = "testing"))]
    pub(super) async fn is_up(&self, wanted: bool) {
        let is_wanted = |state: &State| matches!(state, State::Up(_)) == wanted;
        let _ = self.shared.state.subscribe().wait_for(is_wanted).await;
    }

    /// Connects, and connects again. Never ends.
    pub(super) async fn keep(self) {
        let Shared { target, limits, reconnect_every, random, metrics, state, .. } = &*self.shared;
        let mut reported = false;
        loop {
            let reason = match target.connect(*limits).await {
                Ok(connection) => {
                    tracing::info!("Redis is reachable");
                    metrics.up(true);
                    state.send_replace(State::Up(connection.clone()));
                    let reason = self.hold(connection).await;
                    metrics.up(false);
                    reported = false;
                    reason
                }
                Err(error) => error,
            };
            state.send_replace(State::Down);
            if !reported {
                tracing::warn!(%reason, "Redis is away: the fallbacks decide until it is back");
                reported = true;
            }
            pause(*reconnect_every, &**random).await;
        }
    }

    /// Probes the connection until it fails.
    async fn hold(&self, mut connection: Connection) -> RedisError {
        let Shared { limits, probe_every, doubt, demoted, .. } = &*self.shared;
        loop {
            tokio::select! {
                () = sleep(*probe_every) => {}
                () = doubt.notified() => {}
                () = demoted.notified() => return (ErrorKind::Client, "the server has become a replica").into(),
            }
            match timeout(limits.response, connection.probe()).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return error,
                Err(_) => return (ErrorKind::Io, "a probe was not answered in time").into(),
            }
        }
    }

    /// Draws the conclusions from an error that answered a question.
    fn judge(&self, error: &RedisError) -> Failure {
        let Shared { doubt, demoted, .. } = &*self.shared;
        match error.kind() {
            ErrorKind::Server(kind) => {
                if kind == ServerErrorKind::ReadOnly {
                    demoted.notify_one();
                }
                Failure::Refused
            }
            _ => {
                doubt.notify_one();
                if error.is_timeout() { Failure::Timeout } else { Failure::Disconnected }
            }
        }
    }

    fn connection(&self) -> Option<Connection> {
        match &*self.shared.state.borrow() {
            State::Up(connection) => Some(connection.clone()),
            State::Beginning | State::Down => None,
        }
    }
}
