//! Asking a channel: when an order is asked about, and when again after that.

use std::time::Duration;

use common::clock::Timestamp;

/// What a channel is asked. Its number is stored and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum QuestionKind {
    /// What has become of an order.
    Payment,
    /// To give its money back.
    Refund,
}

/// When questions are asked. Everything in it is bounded: no order is asked about for ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct QuestionPlan {
    /// Since the order was made, each after the one before.
    pub(crate) pauses: Vec<Duration>,
    /// So long before it expires, once.
    pub(crate) before_expiry: Duration,
    /// So long after it has expired, once.
    pub(crate) after_expiry: Duration,
    /// So long after it has expired nobody asks any more, answered or not.
    pub(crate) latest: Duration,
    /// After each failure in a row; the last one for all further ones. Never empty.
    pub(crate) retries: Vec<Duration>,
    /// Between two questions about a refund; the last one for all further ones. Never empty.
    pub(crate) refund_pauses: Vec<Duration>,
}

/// The times of an order that matter here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lifetime {
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Timestamp,
}

impl QuestionKind {
    pub(crate) const ALL: [Self; 2] = [Self::Payment, Self::Refund];

    /// As it is stored.
    pub(crate) fn number(self) -> i16 {
        match self {
            Self::Payment => 1,
            Self::Refund => 2,
        }
    }

    pub(crate) fn of_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }

    /// As it is counted.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Payment => "payment",
            Self::Refund => "refund",
        }
    }
}

impl QuestionPlan {
    /// When an order is asked about next, after it was asked about, or made, at `now`; `None`: no more.
    pub(crate) fn next(&self, order: Lifetime, now: Timestamp) -> Option<Timestamp> {
        let last_call = order.expires_at.minus(self.before_expiry).max(order.created_at);
        let mut at = order.created_at;
        let after_creation = self.pauses.iter().map(|pause| {
            at = at + *pause;
            at
        });
        let planned =
            after_creation.filter(|at| *at < last_call).chain([last_call, order.expires_at + self.after_expiry]);
        planned.filter(|at| *at > now).min()
    }

    /// When it is asked about again after the failure number `failures` (from 1) in a row; `None`: no more.
    pub(crate) fn again(&self, order: Lifetime, failures: u32, now: Timestamp) -> Option<Timestamp> {
        let again = now + pause(&self.retries, failures);
        (again <= order.expires_at + self.latest).then_some(again)
    }

    /// The pause after the question number `asked` (from 1) about a refund.
    pub(crate) fn refund_pause(&self, asked: u32) -> Duration {
        pause(&self.refund_pauses, asked)
    }
}

/// The pause number `number`, from 1, or the last one.
fn pause(pauses: &[Duration], number: u32) -> Duration {
    let place = usize::try_from(number.saturating_sub(1)).unwrap_or(usize::MAX);
    pauses.get(place).or(pauses.last()).copied().unwrap_or(Duration::from_secs(60))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    fn plan() -> QuestionPlan {
        let seconds = |seconds: &[u64]| seconds.iter().map(|seconds| Duration::from_secs(*seconds)).collect();
        QuestionPlan {
            pauses: seconds(&[30, 60, 180, 600, 1800]),
            before_expiry: MINUTE,
            after_expiry: 30 * MINUTE,
            latest: 24 * 60 * MINUTE,
            retries: seconds(&[30, 60]),
            refund_pauses: seconds(&[10, 3600]),
        }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_millis(1_750_000_000_000) + Duration::from_secs(seconds)
    }

    fn asked_at(order: Lifetime) -> Vec<u64> {
        let mut times = vec![order.created_at];
        while let Some(next) = plan().next(order, times[times.len() - 1]) {
            times.push(next);
        }
        times.into_iter().skip(1).map(|time| time.since(order.created_at).as_secs()).collect()
    }

    #[test]
    fn an_order_is_asked_about_less_and_less_and_around_its_end() {
        let half_an_hour = Lifetime { created_at: at(0), expires_at: at(1800) };
        assert_eq!(asked_at(half_an_hour), [30, 90, 270, 870, 1740, 3600]);
        assert_eq!(asked_at(Lifetime { created_at: at(0), expires_at: at(100) }), [30, 40, 1900]);
        assert_eq!(asked_at(Lifetime { created_at: at(0), expires_at: at(10) }), [1810]);
        // Whoever comes late asks once, and not once for everything that was missed.
        assert_eq!(plan().next(half_an_hour, at(4000)), None);
    }

    #[test]
    fn what_failed_is_asked_again_and_not_for_ever() {
        let order = Lifetime { created_at: at(0), expires_at: at(1800) };
        assert_eq!(plan().again(order, 1, at(30)), Some(at(60)));
        assert_eq!(plan().again(order, 2, at(60)), Some(at(120)));
        assert_eq!(plan().again(order, 900, at(120)), Some(at(180)));
        assert_eq!(plan().again(order, 900, at(1800 + 24 * 3600)), None);
        assert_eq!([1, 2, 3].map(|asked| plan().refund_pause(asked).as_secs()), [10, 3600, 3600]);
        for kind in QuestionKind::ALL {
            assert_eq!(QuestionKind::of_number(kind.number()), Some(kind));
        }
        assert_eq!(QuestionKind::of_number(0), None);
    }

    proptest! {
        #[test]
        fn there_is_an_end_and_every_question_is_later_than_the_one_before(
            lives in 0_u64..100_000, from in 0_u64..200_000
        ) {
            let order = Lifetime { created_at: at(0), expires_at: at(lives) };
            let (mut now, mut asked) = (at(from), 0);
            while let Some(next) = plan().next(order, now) {
                prop_assert!(next > now && next <= order.expires_at + plan().after_expiry);
                (now, asked) = (next, asked + 1);
            }
            prop_assert!(asked <= 7);
        }
    }
}
