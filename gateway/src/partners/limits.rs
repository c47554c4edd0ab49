//! What a partner may push: as account says, and what it leaves open as the store has it.

use std::num::{NonZeroU32, NonZeroU64};

use idl::account_partner::PartnerLimits as Chosen;
use ingest::{PartnerLimits, Share};

/// A partner that is given a rate and no burst may push so many seconds' worth at once.
const BURST_SECONDS: u32 = 2;

/// Bytes that an event takes at most when the rate is used up: a higher rate of events raises that of bytes with it.
const BYTES_PER_EVENT: u64 = 1024;

/// Numbers that can't work are left out: account refuses them, so they come from a version that knows better.
pub(super) fn of(chosen: &Chosen) -> PartnerLimits {
    let defaults = PartnerLimits::default();
    let count = |chosen: Option<i64>| chosen.and_then(|count| NonZeroU32::new(u32::try_from(count).ok()?));
    let rate = count(chosen.events_per_second);
    let events_per_second = rate.unwrap_or(defaults.events_per_second);
    let usual_burst = rate.map_or(defaults.burst_events, |rate| rate.saturating_mul(seconds()));
    let burst_events = count(chosen.burst).unwrap_or(usual_burst);
    let bytes = |events: NonZeroU32| NonZeroU64::from(events).saturating_mul(per_event());
    let share = chosen.share.and_then(|share| Share::percent(u8::try_from(share).ok()?));
    PartnerLimits {
        events_per_second,
        burst_events,
        bytes_per_second: defaults.bytes_per_second.max(bytes(events_per_second)),
        burst_bytes: defaults.burst_bytes.max(bytes(burst_events)),
        share: share.unwrap_or(defaults.share),
    }
}

const fn seconds() -> NonZeroU32 {
    NonZeroU32::MIN.saturating_add(BURST_SECONDS - 1)
}

const fn per_event() -> NonZeroU64 {
    NonZeroU64::MIN.saturating_add(BYTES_PER_EVENT - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(events_per_second: Option<i64>, burst: Option<i64>, share: Option<i64>) -> PartnerLimits {
        of(&Chosen { events_per_second, burst, share })
    }

    #[test]
    fn what_nobody_chose_is_as_the_store_has_it() {
        assert_eq!(limits(None, None, None), PartnerLimits::default());
        assert_eq!(limits(Some(0), Some(-1), Some(101)), PartnerLimits::default());
    }

    #[test]
    fn what_was_chosen_holds_and_a_burst_goes_with_its_rate() {
        let slow = limits(Some(100), None, Some(5));
        assert_eq!((slow.events_per_second.get(), slow.burst_events.get()), (100, 200));
        assert_eq!(Some(slow.share), Share::percent(5));
        assert_eq!(limits(Some(100), Some(50), None).burst_events.get(), 50);
    }

    #[test]
    fn a_partner_that_may_push_many_events_may_push_their_bytes() {
        let fast = limits(Some(1_000_000), None, None);
        assert!(fast.bytes_per_second.get() >= 1_000_000 * 512, "{fast:?}");
        assert_eq!(limits(Some(1), None, None).bytes_per_second, PartnerLimits::default().bytes_per_second);
    }
}
