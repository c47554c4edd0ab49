//! Whether this process should get traffic: every gate is open and it is not leaving.
//!
//! Readiness follows only what this process itself must have done first (keys loaded, index filled). It never follows
//! the health of a shared dependency: a slow database would take every replica out at once.

use std::sync::Arc;

use serde::Serialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// All gates of a process.
#[derive(Clone, Debug)]
pub struct Readiness {
    gates: Arc<watch::Sender<Vec<GateState>>>,
    draining: CancellationToken,
}

/// One thing that must be true before traffic comes. Closed until it is opened.
#[derive(Clone, Debug)]
pub struct Gate {
    gates: Arc<watch::Sender<Vec<GateState>>>,
    index: usize,
}

/// The state of all gates at one moment, as `/readyz` shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ReadinessReport {
    /// Send traffic.
    pub ready: bool,
    /// The process is leaving.
    pub draining: bool,
    /// Gates that are closed.
    pub waiting_for: Vec<&'static str>,
}

#[derive(Clone, Copy, Debug)]
struct GateState {
    name: &'static str,
    open: bool,
}

impl Readiness {
    pub(super) fn new(draining: CancellationToken) -> Self {
        Self { gates: Arc::new(watch::Sender::new(Vec::new())), draining }
    }

    /// Adds a gate, closed. `name` is what `/readyz` says it waits for.
    pub fn gate(&self, name: &'static str) -> Gate {
        let mut index = 0;
        self.gates.send_modify(|gates| {
            index = gates.len();
            gates.push(GateState { name, open: false });
        });
        Gate { gates: Arc::clone(&self.gates), index }
    }

    /// The state now.
    pub fn report(&self) -> ReadinessReport {
        let draining = self.draining.is_cancelled();
        let waiting_for: Vec<_> = self.gates.borrow().iter().filter(|gate| !gate.open).map(|gate| gate.name).collect();
        ReadinessReport { ready: waiting_for.is_empty() && !draining, draining, waiting_for }
    }

    /// Waits until every gate that exists is open.
    pub async fn all_open(&self) {
        let mut gates = self.gates.subscribe();
        // The sender lives in `self`: the wait can't end without an answer.
        let _ = gates.wait_for(|gates| gates.iter().all(|gate| gate.open)).await;
    }
}

impl Gate {
    /// It is true now.
    pub fn open(&self) {
        self.set(true);
    }

    /// It is no longer true.
    pub fn close(&self) {
        self.set(false);
    }

    fn set(&self, open: bool) {
        self.gates.send_if_modified(|gates| match gates.get_mut(self.index) {
            Some(gate) if gate.open != open => {
                gate.open = open;
                true
            }
            _ => false,
        });
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn ready_means_that_every_gate_is_open_and_the_process_is_not_leaving() {
        let draining = CancellationToken::new();
        let readiness = Readiness::new(draining.clone());
        assert!(readiness.report().ready, "nothing to wait for");

        let (keys, index) = (readiness.gate("keys"), readiness.gate("revocations"));
        assert_eq!(readiness.report().waiting_for, ["keys", "revocations"]);
        keys.open();
        assert_eq!(
            readiness.report(),
            ReadinessReport { ready: false, draining: false, waiting_for: vec!["revocations"] }
        );
        index.open();
        assert!(readiness.report().ready);
        keys.close();
        assert_eq!(readiness.report().waiting_for, ["keys"]);
        keys.open();

        draining.cancel();
        assert_eq!(readiness.report(), ReadinessReport { ready: false, draining: true, waiting_for: vec![] });
    }

    #[tokio::test]
    async fn waiting_for_the_gates_ends_with_the_last_one() {
        let readiness = Readiness::new(CancellationToken::new());
        let (first, second) = (readiness.gate("first"), readiness.gate("second"));
        let mut all_open = Box::pin(readiness.all_open());
        first.open();
        assert_eq!(all_open.as_mut().now_or_never(), None);
        second.open();
        all_open.await;
    }
}
