//! Time windows.

use common::clock::Timestamp;

/// From a moment on, until another. Either may be missing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    /// The first moment inside.
    pub(crate) from: Option<Timestamp>,
    /// The first moment after it.
    pub(crate) until: Option<Timestamp>,
}

impl Window {
    /// Whether `now` lies inside.
    pub(crate) fn holds(&self, now: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= now) && self.until.is_none_or(|until| now < until)
    }

    /// The moments at which [`Self::holds`] changes its answer.
    pub(crate) fn boundaries(&self) -> impl Iterator<Item = Timestamp> {
        self.from.into_iter().chain(self.until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_has_its_first_moment_and_not_its_last() {
        let at = Timestamp::from_millis;
        let window = Window { from: Some(at(10)), until: Some(at(20)) };
        assert_eq!([9, 10, 19, 20].map(|now| window.holds(at(now))), [false, true, true, false]);
        assert!(Window::default().holds(at(i64::MIN)));
        assert!(Window { from: None, until: Some(at(20)) }.holds(at(0)));
        assert!(!Window { from: Some(at(10)), until: None }.holds(at(0)));
    }
}
