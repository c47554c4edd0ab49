//! So many at once, each the next as soon as its last is answered.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use tokio::{runtime::Runtime, task::JoinSet};

use crate::load::Observed;

/// For how long, and how many at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    pub(super) at_once: usize,
    pub(super) duration: Duration,
}

/// What is there to be worked off, each once.
#[derive(Clone, Debug)]
pub(super) struct Stock(Arc<Mutex<VecDeque<String>>>);

impl Stock {
    pub(super) fn of(pieces: Vec<String>) -> Self {
        Self(Arc::new(Mutex::new(pieces.into())))
    }

    /// The next piece; `None`: nothing is left.
    pub(super) fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

/// A runtime with one thread, for the generator.
pub(super) fn runtime() -> Result<Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?)
}

/// Repeats `once`, which answers how long it took, or `None` when there is nothing left to do: then the loop ends early.
pub(super) async fn repeat<W, F>(pace: Pace, worker: W, once: fn(W) -> F) -> Result<Observed>
where
    W: Clone + Send + 'static,
    F: Future<Output = Result<Option<Duration>>> + Send + 'static,
{
    let (began, mut working) = (Instant::now(), JoinSet::new());
    for _ in 0..pace.at_once {
        let worker = worker.clone();
        working.spawn(async move {
            let mut times = Vec::new();
            while began.elapsed() < pace.duration {
                let Some(took) = once(worker.clone()).await? else { break };
                times.push(took);
            }
            Ok::<_, anyhow::Error>(times)
        });
    }
    let mut times = Vec::new();
    while let Some(ended) = working.join_next().await {
        times.extend(ended??);
    }
    ensure!(!times.is_empty(), "there was nothing to do");
    Ok(Observed::of(times, began.elapsed()))
}

/// Does something so many times, so many at once, and gathers what it makes.
pub(super) async fn gather<W, F>(count: usize, at_once: usize, worker: W, make: fn(W) -> F) -> Result<Vec<String>>
where
    W: Clone,
    F: Future<Output = Result<(String, Duration)>> + Send + 'static,
{
    let (mut making, mut made) = (JoinSet::<Result<(String, Duration)>>::new(), Vec::with_capacity(count));
    for number in 0..count {
        if number >= at_once {
            made.push(making.join_next().await.context("some are under way")???.0);
        }
        making.spawn(make(worker.clone()));
    }
    while let Some(ended) = making.join_next().await {
        made.push(ended??.0);
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_piece_is_worked_off_once_and_then_the_loop_ends() {
        let stock = Stock::of((0..100).map(|number| number.to_string()).collect());
        let pace = Pace { at_once: 7, duration: Duration::from_secs(60) };
        let once = |stock: Stock| async move { Ok(stock.take().map(|_| Duration::from_micros(5))) };
        let observed = runtime().expect("a runtime").block_on(repeat(pace, stock.clone(), once)).expect("observed");
        assert_eq!((observed.requests, observed.p99_us), (100, 5.0));
        let nothing = runtime().expect("a runtime").block_on(repeat(pace, stock, once));
        assert!(nothing.is_err());
    }
}
