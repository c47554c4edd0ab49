//! How a payment or a refund wakes the worker of its own instance.

use tokio::sync::mpsc;

use crate::{domain::OrderId, store::outbox::Kind};

/// Payments of a moment. What does not fit is found when the worker looks for what is due.
const ROOM: usize = 1024;

/// The bell's rope. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Wake(mpsc::Sender<Rung>);

/// Where it rings.
#[derive(Debug)]
pub(crate) struct Ringing(mpsc::Receiver<Rung>);

/// What has become due: in which app, of which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rung {
    pub(crate) app_id: i64,
    pub(crate) order_id: OrderId,
    pub(crate) kind: Kind,
}

/// A bell.
pub(crate) fn bell() -> (Wake, Ringing) {
    let (rope, ringing) = mpsc::channel(ROOM);
    (Wake(rope), Ringing(ringing))
}

impl Wake {
    /// An order of the app is due. Nobody waits, and nothing is lost if nobody listens.
    pub(crate) fn ring(&self, app_id: i64, order_id: OrderId) {
        self.pull(Rung { app_id, order_id, kind: Kind::Payment });
    }

    /// The same of a refund.
    pub(crate) fn ring_refund(&self, app_id: i64, order_id: OrderId) {
        self.pull(Rung { app_id, order_id, kind: Kind::Refund });
    }

    fn pull(&self, rung: Rung) {
        // Full, or nobody there: the outbox has it.
        let _ = self.0.try_send(rung);
    }
}

impl Ringing {
    /// What is due next. Never, once nobody is left who could ring.
    pub(crate) async fn next(&mut self) -> Rung {
        match self.0.recv().await {
            Some(rung) => rung,
            None => std::future::pending().await,
        }
    }
}
