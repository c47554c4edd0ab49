//! Places where a process dies if a test says so, as if it were killed: nothing is flushed, closed or undone.
//!
//! Only with the feature `crash-points`, which nothing but tests of the whole program asks for (`cargo xtask test` checks
//! that): without it a place is an empty function, and the program has no way to be told.
//!
//! Not a crate for failure injection: none of those known kills without unwinding, and this is all of it.

/// The place where the process dies, and at which time that it comes there: `committed` is the first time,
/// `committed#3` the third. A place of several parts is written `transition.paid`.
#[cfg(feature = "crash-points")]
pub const VARIABLE: &str = "PLAYGATE_CRASH_AT";

/// Marks a place: `crash_point!("committed")`, or of several parts `crash_point!("transition", event)`. The parts are
/// texts that hold no dot.
#[macro_export]
macro_rules! crash_point {
    ($($part:expr),+ $(,)?) => { $crate::crash_point::reached(&[$($part),+]) };
}

/// What stands at a place.
#[cfg(not(feature = "crash-points"))]
#[inline(always)]
pub const fn reached(_parts: &[&str]) {}

#[cfg(feature = "crash-points")]
pub use self::armed::reached;

#[cfg(feature = "crash-points")]
mod armed {
    use std::sync::{
        OnceLock,
        atomic::{AtomicU64, Ordering},
    };

    use rustix::process::{Signal, getpid, kill_process};

    /// Where to die.
    #[derive(Debug)]
    struct Armed {
        place: String,
        /// How often the process may come there before.
        spared: AtomicU64,
    }

    /// What stands at a place.
    pub fn reached(parts: &[&str]) {
        static ARMED: OnceLock<Option<Armed>> = OnceLock::new();
        let armed = ARMED.get_or_init(|| Armed::parse(&std::env::var(super::VARIABLE).ok()?));
        if armed.as_ref().is_some_and(|armed| armed.is_due(parts)) {
            die();
        }
    }

    impl Armed {
        /// `None`: says nothing that could be meant. Whoever waits for the death notices.
        fn parse(text: &str) -> Option<Self> {
            let (place, times) = text.split_once('#').unwrap_or((text, "1"));
            let spared = times.parse::<u64>().ok()?.checked_sub(1)?;
            Some(Self { place: place.to_owned(), spared: AtomicU64::new(spared) })
        }

        fn is_due(&self, parts: &[&str]) -> bool {
            let spare = |spared: u64| spared.checked_sub(1);
            parts.iter().copied().eq(self.place.split('.'))
                && self.spared.fetch_update(Ordering::Relaxed, Ordering::Relaxed, spare).is_err()
        }
    }

    fn die() -> ! {
        // Not an abort: that runs handlers and leaves a core.
        let _ = kill_process(getpid(), Signal::KILL);
        loop {
            std::thread::park();
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_process_dies_at_its_place_at_its_time_and_nowhere_else() {
            let armed = Armed::parse("transition.paid#3").expect("a place");
            assert!(!armed.is_due(&["transition"]) && !armed.is_due(&["transition", "acknowledged"]));
            let due: Vec<bool> = (0..4).map(|_| armed.is_due(&["transition", "paid"])).collect();
            assert_eq!(due, [false, false, true, true]);
            assert!(Armed::parse("committed").expect("a place").is_due(&["committed"]));
            for nothing in ["committed#0", "committed#", "committed#x"] {
                assert!(Armed::parse(nothing).is_none(), "{nothing}");
            }
        }
    }
}
