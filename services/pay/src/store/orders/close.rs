//! An unpaid order that an operator gives up: a payment that comes all the same is then refused, and not applied.

use super::{Hand, Orders, RefundError, row};
use crate::domain::{Order, OrderEvent, OrderId, OrderState, Step};

impl Orders {
    /// Gives up an order that nobody has paid for; one that is given up already stays as it is.
    pub(crate) async fn close(&self, order_id: OrderId, hand: Hand<'_>) -> Result<Order, RefundError> {
        let (order, step) = self
            .database
            .retrying(|| async {
                let (mut tx, now) = (self.database.begin().await?, self.clock.now());
                let mut order = row::lock(&mut tx, order_id).await?.ok_or(RefundError::NoSuchOrder)?;
                let step = self.happen(&mut tx, &mut order, OrderEvent::Closed, hand, now).await??;
                tx.commit().await?;
                Ok::<_, RefundError>((order, step))
            })
            .await?;
        if let Step::Moves(_) = step {
            self.moved(&order, &[OrderState::Closed]);
        }
        Ok(order)
    }
}
