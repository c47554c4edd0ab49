//! What goes back of an order, piece by piece, and whether its game server hears of it.

use common::clock::Timestamp;

use super::{Money, OrderId, OrderState};

/// How much of a payment went back. Channels count differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    Everything,
    /// With all refunds of the payment so far: later notices count earlier ones in.
    SoFar(Money),
    /// With this refund alone: it adds to earlier ones.
    ThisTime(Money),
    /// A part, and nobody says which.
    UnknownPart,
}

/// A refund of an order as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refund {
    /// Counts up from 1 within the order.
    pub(crate) seq: i32,
    /// The channel that said it; `None`: an operator did it.
    pub(crate) channel: Option<String>,
    /// What the channel calls it.
    pub(crate) channel_refund_id: Option<String>,
    /// Minor units of the order's currency, of this refund alone; `None`: nobody knows.
    pub(crate) amount: Option<i64>,
    /// For operators, and for the game server of a refund by hand.
    pub(crate) reason: String,
    /// Whether it was taken out of the wallet.
    pub(crate) in_books: bool,
    /// As the channel says, or when it was done.
    pub(crate) refunded_at: Timestamp,
    pub(crate) notice: NoticeState,
}

/// Whether the game server has been told of a refund.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoticeState {
    /// It never heard of the order, so it need not.
    NotOwed,
    Waiting,
    /// Given up; somebody has to send it again.
    Dead,
    Acknowledged,
    /// The app has no `refund_url`.
    NotWanted,
}

/// What a notice adds to what is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Addition {
    /// It says what is known already.
    Nothing,
    /// So many minor units more are back. `completes`: with them all of it is.
    Amount { amount: i64, completes: bool },
    /// Something that can't be counted: a part of unknown size, another currency, or more than was paid.
    Uncounted,
}

/// What a notice of an order that cost `price` adds to the refunds that are `known`. `refund_id`: what the channel calls the
/// refund.
pub(crate) fn adds(price: Money, known: &[Refund], refund_id: Option<&str>, extent: Extent) -> Addition {
    let back = counted(known);
    let left = price.amount() - back;
    let is_known =
        refund_id.is_some_and(|id| known.iter().any(|refund| refund.channel_refund_id.as_deref() == Some(id)));
    if left <= 0 {
        return Addition::Nothing;
    }
    let more = match extent {
        Extent::Everything => left,
        // A total is one whatever it is called: it may come again with a refund that has a name of its own.
        Extent::SoFar(total) if total.currency() == price.currency() => total.amount() - back,
        Extent::ThisTime(_) | Extent::UnknownPart if is_known => 0,
        Extent::ThisTime(amount) if amount.currency() == price.currency() => amount.amount(),
        Extent::SoFar(_) | Extent::ThisTime(_) | Extent::UnknownPart => return Addition::Uncounted,
    };
    match more {
        ..=0 => Addition::Nothing,
        more if more > left => Addition::Uncounted,
        more => Addition::Amount { amount: more, completes: more == left },
    }
}

/// Whether a channel says, of an order whose money was asked back there as `number`, that all of it is back. `known`: the
/// refunds of the order, that one among them. A notice of an earlier part says nothing of it.
pub(crate) fn is_back(price: Money, known: &[Refund], number: &str, refund_id: Option<&str>, extent: Extent) -> bool {
    if counted(known) < price.amount() {
        return false;
    }
    let is = |refund: &Refund, id: Option<&str>| id.is_some() && refund.channel_refund_id.as_deref() == id;
    let asked = known.iter().find(|refund| is(refund, Some(number)));
    let is_another = known.iter().any(|refund| is(refund, refund_id) && !is(refund, Some(number)));
    match extent {
        Extent::Everything => true,
        Extent::SoFar(total) => total == price,
        Extent::ThisTime(amount) => !is_another && asked.is_none_or(|asked| asked.amount == Some(amount.amount())),
        Extent::UnknownPart => refund_id == Some(number),
    }
}

/// What a refund is called towards game servers and operators.
pub(crate) fn refund_id(order_id: OrderId, seq: i32) -> String {
    format!("{order_id}-{seq}")
}

/// Minor units that are known to be back.
pub(crate) fn counted(known: &[Refund]) -> i64 {
    known.iter().filter_map(|refund| refund.amount).sum()
}

/// Whether the game server is to be told of a refund of an order that was in `state`. `ends`: the order is refunded with it,
/// and is not delivered any more; otherwise the delivery comes first, and then the refund.
pub(crate) fn is_told(state: OrderState, ends: bool) -> bool {
    match state {
        // Somebody has tried to deliver it, and nobody knows what of that arrived.
        OrderState::Delivering | OrderState::Delivered => true,
        OrderState::Paid => !ends,
        OrderState::Refunding
        | OrderState::Refunded
        | OrderState::Created
        | OrderState::Paying
        | OrderState::Expired
        | OrderState::Closed => false,
    }
}

impl NoticeState {
    const ALL: [Self; 5] = [Self::NotOwed, Self::Waiting, Self::Dead, Self::Acknowledged, Self::NotWanted];

    /// As operators see it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::NotOwed => "not_owed",
            Self::Waiting => "waiting",
            Self::Dead => "given_up",
            Self::Acknowledged => "acknowledged",
            Self::NotWanted => "no_refund_url",
        }
    }

    /// The number that is stored. It never changes.
    pub(crate) fn number(self) -> i16 {
        match self {
            Self::NotOwed => 0,
            Self::Waiting => 1,
            Self::Dead => 2,
            Self::Acknowledged => 3,
            Self::NotWanted => 4,
        }
    }

    /// The state of a stored number.
    pub(crate) fn of_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.number() == number)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::domain::Currency;

    fn money(amount: i64, code: &str) -> Money {
        Money::new(amount, Currency::parse(code).expect("a currency")).expect("an amount")
    }

    fn refund(id: Option<&str>, amount: Option<i64>) -> Refund {
        Refund {
            seq: 1,
            channel: Some("sandbox".to_owned()),
            channel_refund_id: id.map(str::to_owned),
            amount,
            reason: String::new(),
            in_books: true,
            refunded_at: Timestamp::default(),
            notice: NoticeState::NotOwed,
        }
    }

    #[test]
    fn each_way_of_counting_comes_to_what_is_new() {
        let known = [refund(Some("r-1"), Some(200)), refund(None, None)];
        let so_far = |amount| Extent::SoFar(money(amount, "CNY"));
        let this_time = |amount| Extent::ThisTime(money(amount, "CNY"));
        let part = |amount, completes| Addition::Amount { amount, completes };
        for (id, extent, expected) in [
            (None, Extent::Everything, part(400, true)),
            (Some("r-1"), Extent::Everything, part(400, true)),
            (Some("r-1"), so_far(200), Addition::Nothing),
            (Some("r-2"), so_far(200), Addition::Nothing),
            (Some("r-2"), so_far(100), Addition::Nothing),
            (Some("r-2"), so_far(500), part(300, false)),
            (Some("r-2"), so_far(600), part(400, true)),
            (Some("r-2"), so_far(601), Addition::Uncounted),
            (Some("r-1"), this_time(200), Addition::Nothing),
            (Some("r-2"), this_time(200), part(200, false)),
            (Some("r-2"), this_time(400), part(400, true)),
            (Some("r-2"), this_time(401), Addition::Uncounted),
            (Some("r-2"), Extent::ThisTime(money(200, "USD")), Addition::Uncounted),
            (Some("r-2"), Extent::SoFar(money(600, "USD")), Addition::Uncounted),
            (Some("r-1"), Extent::UnknownPart, Addition::Nothing),
            (None, Extent::UnknownPart, Addition::Uncounted),
        ] {
            assert_eq!(adds(money(600, "CNY"), &known, id, extent), expected, "{id:?} {extent:?}");
        }
        let all = [refund(None, Some(600))];
        for extent in [Extent::Everything, so_far(600), this_time(600), Extent::UnknownPart] {
            assert_eq!(adds(money(600, "CNY"), &all, Some("r-9"), extent), Addition::Nothing, "{extent:?}");
        }
    }

    #[test]
    fn a_game_server_hears_of_refunds_of_orders_that_it_may_have_heard_of() {
        for (state, ends, told) in [
            (OrderState::Paid, true, false),
            (OrderState::Paid, false, true),
            (OrderState::Delivering, true, true),
            (OrderState::Delivered, true, true),
            (OrderState::Delivered, false, true),
            (OrderState::Refunded, true, false),
        ] {
            assert_eq!(is_told(state, ends), told, "{state} {ends}");
        }
    }

    #[test]
    fn a_stored_number_is_read_back() {
        for state in NoticeState::ALL {
            assert_eq!(NoticeState::of_number(state.number()), Some(state));
        }
        assert_eq!(NoticeState::of_number(5), None);
    }

    proptest! {
        #[test]
        fn whatever_channels_say_never_more_is_back_than_was_paid_and_nothing_counts_twice(
            notices in prop::collection::vec((0_u8..4, 1_i64..700, prop::option::of(0_u8..6)), 0..20)
        ) {
            let (price, mut known) = (money(600, "CNY"), Vec::new());
            for (kind, amount, id) in notices {
                let extent = match kind {
                    0 => Extent::Everything,
                    1 => Extent::SoFar(money(amount, "CNY")),
                    2 => Extent::ThisTime(money(amount, "CNY")),
                    _ => Extent::UnknownPart,
                };
                let id = id.map(|id| id.to_string());
                let before = counted(&known);
                if let Addition::Amount { amount, completes } = adds(price, &known, id.as_deref(), extent) {
                    prop_assert!(amount > 0);
                    known.push(refund(id.as_deref(), Some(amount)));
                    prop_assert_eq!(completes, counted(&known) == 600);
                    // The same again adds nothing, if anything tells that it is the same.
                    if id.is_some() || !matches!(extent, Extent::ThisTime(_)) {
                        prop_assert_eq!(adds(price, &known, id.as_deref(), extent), Addition::Nothing);
                    }
                }
                prop_assert!((before..=600).contains(&counted(&known)));
            }
        }
    }
}
