//! [`Gates`]: what all gates of a process share, and where they are made.

use std::{fmt, sync::Arc, thread::available_parallelism};

use prometheus::Registry;

use super::{
    gate::Gate,
    metrics::SheddingMetrics,
    processor::{Processor, Sources},
};
use crate::{clock::SharedRandom, governance::Governance};

/// Makes the gates of a process. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Gates {
    shared: Arc<Shared>,
    metrics: SheddingMetrics,
}

/// What every gate looks at.
pub(super) struct Shared {
    pub(super) governance: Governance,
    pub(super) random: SharedRandom,
    pub(super) processor: Processor,
    /// How many threads work at once.
    pub(super) threads: u32,
}

impl Gates {
    /// Nothing is shed before a gate is opened, and CPU is not looked at before [`Self::watch_processor`].
    ///
    /// # Errors
    /// When the registry has the metrics already.
    pub fn new(governance: Governance, random: SharedRandom, registry: &Registry) -> prometheus::Result<Self> {
        let threads = available_parallelism().map_or(1, |threads| u32::try_from(threads.get()).unwrap_or(u32::MAX));
        Self::with_threads(threads, governance, random, registry)
    }

    /// As on a machine of so many threads.
    pub(super) fn with_threads(
        threads: u32,
        governance: Governance,
        random: SharedRandom,
        registry: &Registry,
    ) -> prometheus::Result<Self> {
        let shared = Arc::new(Shared { governance, random, processor: Processor::default(), threads });
        Ok(Self { metrics: SheddingMetrics::register(registry, &shared)?, shared })
    }

    /// A gate that is governed by the rules in force for as long as it lives. `name` is its label in metrics.
    pub fn open(&self, name: &'static str) -> Arc<Gate> {
        let governance = &self.shared.governance;
        let gate = Gate::new(Arc::clone(&self.shared), self.metrics.series(name), &governance.current());
        let gate = Arc::new(gate);
        self.metrics.watch(name, &gate);
        let follower = Arc::downgrade(&gate);
        governance.follow(move |rules| {
            if let Some(gate) = follower.upgrade() {
                gate.apply(rules);
            }
        });
        gate
    }

    /// Looks at the processor for as long as it is polled, and divides the room of all gates by what it sees.
    pub fn watch_processor(&self) -> impl Future<Output = ()> + Send + 'static {
        let Self { shared, metrics } = self.clone();
        async move {
            let watched = shared.processor.watch(&shared.governance, Sources::default(), || metrics.divide_all());
            watched.await;
        }
    }
}

impl fmt::Debug for Gates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gates").finish_non_exhaustive()
    }
}
