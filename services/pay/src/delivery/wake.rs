//! How a payment wakes the worker of its own instance.

use tokio::sync::mpsc;

use crate::domain::OrderId;

/// Payments of a moment. What does not fit is found when the worker looks for what is due.
const ROOM: usize = 1024;

/// The bell's rope. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Wake(mpsc::Sender<(i64, OrderId)>);

/// Where it rings.
#[derive(Debug)]
pub(crate) struct Ringing(mpsc::Receiver<(i64, OrderId)>);

/// A bell.
pub(crate) fn bell() -> (Wake, Ringing) {
    let (rope, ringing) = mpsc::channel(ROOM);
    (Wake(rope), Ringing(ringing))
}

impl Wake {
    /// An order of the app is due. Nobody waits, and nothing is lost if nobody listens.
    pub(crate) fn ring(&self, app_id: i64, order_id: OrderId) {
        // Full, or nobody there: the outbox has it.
        let _ = self.0.try_send((app_id, order_id));
    }
}

impl Ringing {
    /// The next order. Never, once nobody is left who could ring.
    pub(crate) async fn next(&mut self) -> (i64, OrderId) {
        match self.0.recv().await {
            Some(order) => order,
            None => std::future::pending().await,
        }
    }
}
