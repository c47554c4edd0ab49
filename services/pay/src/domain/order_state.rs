//! The life of an order: forward only.
//!
//! ```text
//! created → paying → paid → delivering → delivered
//!    │        │        └──────┴────────────┴──→ refunding → refunded
//!    ├────────┴→ expired ──→ paid (the payment was on its way)
//!    └────────┴→ closed
//! ```
//!
//! Whoever writes a state asks [`advance`] first, under the lock of the order's row. An event that comes again or too late
//! is absorbed; one that can't be true of an order in its state is refused and never guessed at.

use std::fmt;

/// Where an order is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum OrderState {
    /// Made, and nobody is known to be paying.
    Created,
    /// The player was handed what a channel needs to be paid with.
    Paying,
    /// The money is there. From here on the order is delivered whatever happens.
    Paid,
    /// The game server has been told at least once, and has not acknowledged.
    Delivering,
    /// The game server has acknowledged.
    Delivered,
    /// Nobody paid in time.
    Expired,
    /// Given up on purpose.
    Closed,
    /// The money is on its way back.
    Refunding,
    /// The money is back, and out of the books.
    Refunded,
}

/// What happens to an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OrderEvent {
    /// A channel was asked to take money for it.
    PaymentStarted,
    /// A channel says that it was paid, and is believed.
    Paid,
    /// A worker is about to tell the game server.
    DeliveryStarted,
    /// The game server has acknowledged.
    Acknowledged,
    /// The time to pay is over.
    TimedOut,
    /// Somebody gave it up on purpose.
    Closed,
    /// An operator gives the money back.
    RefundRequested,
    /// The money is back.
    Refunded,
}

/// What an event comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// The order is in another state now.
    Moves(OrderState),
    /// It says what is known already, or comes too late to matter: nothing changes.
    Absorbed,
}

/// The event can't be true of an order in this state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an order that is {state} can't be {event}")]
pub(crate) struct Impossible {
    /// Where the order is, and stays.
    pub(crate) state: OrderState,
    /// What was said of it.
    pub(crate) event: OrderEvent,
}

/// What becomes of an order in `state` when `event` arrives.
pub(crate) fn advance(state: OrderState, event: OrderEvent) -> Result<Step, Impossible> {
    use OrderEvent as E;
    use OrderState as S;
    use Step::{Absorbed, Moves};
    match (state, event) {
        (S::Created, E::PaymentStarted) => Ok(Moves(S::Paying)),
        (S::Paying | S::Paid | S::Delivering | S::Delivered, E::PaymentStarted) => Ok(Absorbed),

        // That an order has expired is our guess; that it was paid is a fact.
        (S::Created | S::Paying | S::Expired, E::Paid) => Ok(Moves(S::Paid)),
        (S::Paid | S::Delivering | S::Delivered | S::Refunding | S::Refunded, E::Paid) => Ok(Absorbed),

        (S::Paid, E::DeliveryStarted) => Ok(Moves(S::Delivering)),
        (S::Delivering | S::Delivered, E::DeliveryStarted) => Ok(Absorbed),

        (S::Paid | S::Delivering, E::Acknowledged) => Ok(Moves(S::Delivered)),
        // The answer was under way when the refund was asked for.
        (S::Delivered | S::Refunding | S::Refunded, E::Acknowledged) => Ok(Absorbed),

        (S::Created | S::Paying, E::TimedOut) => Ok(Moves(S::Expired)),
        // Whatever else has happened to it happened in time.
        (_, E::TimedOut) => Ok(Absorbed),

        (S::Created | S::Paying | S::Expired, E::Closed) => Ok(Moves(S::Closed)),
        (S::Closed, E::Closed) => Ok(Absorbed),

        (S::Paid | S::Delivering | S::Delivered, E::RefundRequested) => Ok(Moves(S::Refunding)),
        (S::Refunding | S::Refunded, E::RefundRequested) => Ok(Absorbed),

        (S::Refunding, E::Refunded) => Ok(Moves(S::Refunded)),
        (S::Refunded, E::Refunded) => Ok(Absorbed),

        (state, event) => Err(Impossible { state, event }),
    }
}

impl OrderState {
    /// Every state.
    pub(crate) const ALL: [Self; 9] = [
        Self::Created,
        Self::Paying,
        Self::Paid,
        Self::Delivering,
        Self::Delivered,
        Self::Expired,
        Self::Closed,
        Self::Refunding,
        Self::Refunded,
    ];

    /// As the contract calls it, and as metrics do.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Paying => "paying",
            Self::Paid => "paid",
            Self::Delivering => "delivering",
            Self::Delivered => "delivered",
            Self::Expired => "expired",
            Self::Closed => "closed",
            Self::Refunding => "refunding",
            Self::Refunded => "refunded",
        }
    }

    /// The number that is stored. It never changes.
    pub(crate) fn number(self) -> i16 {
        match self {
            Self::Created => 1,
            Self::Paying => 2,
            Self::Paid => 3,
            Self::Delivering => 4,
            Self::Delivered => 5,
            Self::Expired => 6,
            Self::Closed => 7,
            Self::Refunding => 8,
            Self::Refunded => 9,
        }
    }

    /// The state of a stored number.
    pub(crate) fn of_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.number() == number)
    }

    /// Whether a channel has taken money for it, whatever became of it since.
    pub(crate) fn was_paid(self) -> bool {
        match self {
            Self::Paid | Self::Delivering | Self::Delivered | Self::Refunding | Self::Refunded => true,
            Self::Created | Self::Paying | Self::Expired | Self::Closed => false,
        }
    }

    /// Whether nothing is under way any more: not the money, and not the delivery.
    pub(crate) fn is_settled(self) -> bool {
        match self {
            Self::Delivered | Self::Expired | Self::Closed | Self::Refunded => true,
            Self::Created | Self::Paying | Self::Paid | Self::Delivering | Self::Refunding => false,
        }
    }

    /// Whether the game server is still to be told, or may be told again.
    pub(crate) fn is_deliverable(self) -> bool {
        matches!(self, Self::Paid | Self::Delivering | Self::Delivered)
    }
}

impl fmt::Display for OrderState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl OrderEvent {
    /// As the journal calls it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::PaymentStarted => "payment_started",
            Self::Paid => "paid",
            Self::DeliveryStarted => "delivery_started",
            Self::Acknowledged => "acknowledged",
            Self::TimedOut => "timed_out",
            Self::Closed => "closed",
            Self::RefundRequested => "refund_requested",
            Self::Refunded => "refunded",
        }
    }
}

impl fmt::Display for OrderEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVENTS: [OrderEvent; 8] = [
        OrderEvent::PaymentStarted,
        OrderEvent::Paid,
        OrderEvent::DeliveryStarted,
        OrderEvent::Acknowledged,
        OrderEvent::TimedOut,
        OrderEvent::Closed,
        OrderEvent::RefundRequested,
        OrderEvent::Refunded,
    ];

    /// How far along an order is.
    fn progress(state: OrderState) -> u8 {
        match state {
            OrderState::Created => 0,
            OrderState::Paying => 1,
            OrderState::Expired => 2,
            OrderState::Paid => 3,
            OrderState::Delivering => 4,
            OrderState::Delivered => 5,
            OrderState::Refunding => 6,
            OrderState::Refunded => 7,
            OrderState::Closed => 8,
        }
    }

    #[test]
    fn no_event_moves_an_order_backwards_and_every_one_is_absorbed_when_it_comes_again() {
        for state in OrderState::ALL {
            for event in EVENTS {
                match advance(state, event) {
                    Ok(Step::Moves(next)) => {
                        assert!(progress(next) > progress(state), "{state} {event} {next}");
                        assert_eq!(advance(next, event), Ok(Step::Absorbed), "{state} {event} {next}");
                    }
                    Ok(Step::Absorbed) => {}
                    Err(impossible) => assert_eq!(impossible, Impossible { state, event }),
                }
            }
        }
    }

    #[test]
    fn the_table_is_the_one_of_the_documentation() {
        use OrderEvent as E;
        use OrderState as S;
        let moves: Vec<(S, E, S)> = OrderState::ALL
            .into_iter()
            .flat_map(|state| EVENTS.map(|event| (state, event)))
            .filter_map(|(state, event)| match advance(state, event) {
                Ok(Step::Moves(next)) => Some((state, event, next)),
                Ok(Step::Absorbed) | Err(_) => None,
            })
            .collect();
        let expected = [
            (S::Created, E::PaymentStarted, S::Paying),
            (S::Created, E::Paid, S::Paid),
            (S::Created, E::TimedOut, S::Expired),
            (S::Created, E::Closed, S::Closed),
            (S::Paying, E::Paid, S::Paid),
            (S::Paying, E::TimedOut, S::Expired),
            (S::Paying, E::Closed, S::Closed),
            (S::Paid, E::DeliveryStarted, S::Delivering),
            (S::Paid, E::Acknowledged, S::Delivered),
            (S::Paid, E::RefundRequested, S::Refunding),
            (S::Delivering, E::Acknowledged, S::Delivered),
            (S::Delivering, E::RefundRequested, S::Refunding),
            (S::Delivered, E::RefundRequested, S::Refunding),
            (S::Expired, E::Paid, S::Paid),
            (S::Expired, E::Closed, S::Closed),
            (S::Refunding, E::Refunded, S::Refunded),
        ];
        assert_eq!(moves, expected);
    }

    #[test]
    fn what_can_not_be_is_refused() {
        for (state, event) in [
            (OrderState::Closed, OrderEvent::Paid),
            (OrderState::Created, OrderEvent::DeliveryStarted),
            (OrderState::Paying, OrderEvent::Acknowledged),
            (OrderState::Created, OrderEvent::RefundRequested),
            (OrderState::Paid, OrderEvent::Refunded),
            (OrderState::Refunded, OrderEvent::DeliveryStarted),
            (OrderState::Paid, OrderEvent::Closed),
        ] {
            assert_eq!(advance(state, event), Err(Impossible { state, event }));
        }
    }

    #[test]
    fn a_stored_number_is_read_back() {
        for state in OrderState::ALL {
            assert_eq!(OrderState::of_number(state.number()), Some(state));
        }
        assert_eq!(OrderState::of_number(0), None);
    }

    proptest! {
        #[test]
        fn whatever_happens_in_whatever_order_money_that_came_is_never_forgotten(
            events in prop::collection::vec(prop::sample::select(EVENTS.to_vec()), 0..40)
        ) {
            let mut state = OrderState::Created;
            for event in events {
                let before = state;
                if let Ok(Step::Moves(next)) = advance(state, event) {
                    state = next;
                }
                prop_assert!(progress(state) >= progress(before));
                prop_assert!(state.was_paid() || !before.was_paid());
                // Only a payment makes an order paid.
                prop_assert!(before.was_paid() || !state.was_paid() || event == OrderEvent::Paid);
            }
        }
    }
}
