//! What is known of an app: at which revision it is, when that was heard, and what its answers depend on.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use arc_swap::ArcSwap;
use idl::setting::DependsOn;
use tokio::time::Instant;

use super::answer::Answer;

/// An app that was asked for.
#[derive(Debug)]
pub(super) struct App {
    pub(super) app_id: i64,
    known: ArcSwap<Known>,
    /// When this was made; what counts time from here is small enough for an atomic.
    made_at: Instant,
    last_asked_ms: AtomicU64,
}

/// What is known, as it was at one moment.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// The newest revision that any replica has told of. It only grows.
    current: Option<Heard>,
    /// The one before, and when it was still the newest.
    earlier: Option<Heard>,
    /// What answers depend on, and of which revision that is true.
    depends_on: Option<(i64, DependsOn)>,
}

/// A revision, and when it was the newest as far as anybody knew.
#[derive(Clone, Copy, Debug)]
struct Heard {
    revision: i64,
    at: Instant,
}

impl App {
    pub(super) fn new(app_id: i64) -> Self {
        Self { app_id, known: ArcSwap::default(), made_at: Instant::now(), last_asked_ms: AtomicU64::new(0) }
    }

    pub(super) fn known(&self) -> arc_swap::Guard<std::sync::Arc<Known>> {
        self.known.load()
    }

    /// Somebody has asked for it.
    pub(super) fn note_asked(&self) {
        let now = u64::try_from(self.made_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        // It is written in the way of every request, so only when it is worth something.
        if now > self.last_asked_ms.load(Ordering::Relaxed) {
            self.last_asked_ms.store(now, Ordering::Relaxed);
        }
    }

    pub(super) fn was_asked_within(&self, limit: Duration) -> bool {
        let last = Duration::from_millis(self.last_asked_ms.load(Ordering::Relaxed));
        self.made_at.elapsed().saturating_sub(last) <= limit
    }

    /// A replica that was asked at `at` said that this is the revision.
    pub(super) fn heard(&self, revision: i64, at: Instant) {
        self.known.rcu(|known| known.after_hearing(revision, at));
    }

    /// The same from an answer, which says besides what its revision depends on.
    pub(super) fn answered(&self, answer: &Answer) {
        self.known.rcu(|known| {
            let mut known = known.after_hearing(answer.revision, answer.asked_at);
            if known.depends_on.as_ref().is_none_or(|(revision, _)| *revision <= answer.revision) {
                known.depends_on = Some((answer.revision, answer.depends_on.clone()));
            }
            known
        });
    }
}

impl Known {
    /// The newest revision.
    pub(super) fn revision(&self) -> Option<i64> {
        self.current.map(|heard| heard.revision)
    }

    /// What the newest answer depended on, be it of an earlier revision.
    pub(super) fn last_depends_on(&self) -> Option<&DependsOn> {
        self.depends_on.as_ref().map(|(_, depends_on)| depends_on)
    }

    /// What answers of the newest revision depend on, if there has been one.
    pub(super) fn depends_on(&self) -> Option<&DependsOn> {
        let (of, depends_on) = self.depends_on.as_ref()?;
        (Some(*of) == self.revision()).then_some(depends_on)
    }

    /// For how long nobody has said that the newest revision is the app's.
    pub(super) fn unheard_for(&self) -> Option<Duration> {
        self.current.map(|heard| heard.at.elapsed())
    }

    /// For how long nobody has said that the answer's revision is the app's.
    pub(super) fn age_of(&self, answer: &Answer) -> Duration {
        let heard = [self.current, self.earlier].into_iter().flatten().find(|heard| heard.revision == answer.revision);
        heard.map_or(answer.asked_at, |heard| heard.at.max(answer.asked_at)).elapsed()
    }

    fn after_hearing(&self, revision: i64, at: Instant) -> Self {
        let heard = Heard { revision, at };
        match self.current {
            None => Self { current: Some(heard), ..self.clone() },
            Some(current) if revision > current.revision => {
                Self { current: Some(heard), earlier: Some(current), ..self.clone() }
            }
            Some(current) if revision == current.revision => {
                Self { current: Some(Heard { revision, at: at.max(current.at) }), ..self.clone() }
            }
            // A replica that is behind: it says nothing about the newest revision.
            Some(_) => self.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn of_what_replicas_say_the_highest_revision_counts_in_whatever_order_they_say_it() {
        let app = App::new(7);
        let begin = Instant::now();
        app.heard(5, begin);
        tokio::time::advance(Duration::from_secs(1)).await;
        app.heard(4, Instant::now());
        assert_eq!(app.known().revision(), Some(5));
        assert_eq!(
            app.known().unheard_for(),
            Some(Duration::from_secs(1)),
            "a replica that is behind confirms nothing"
        );
        app.heard(5, Instant::now());
        assert_eq!(app.known().unheard_for(), Some(Duration::ZERO));
        app.heard(5, begin);
        assert_eq!(app.known().unheard_for(), Some(Duration::ZERO), "an answer that was long on its way is old");
        app.heard(6, Instant::now());
        assert_eq!(app.known().revision(), Some(6));
    }

    #[tokio::test(start_paused = true)]
    async fn an_app_is_followed_for_a_while_after_it_was_asked_for() {
        let (app, minute) = (App::new(7), Duration::from_secs(60));
        tokio::time::advance(minute).await;
        assert!(app.was_asked_within(minute));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!app.was_asked_within(minute));
        app.note_asked();
        tokio::time::advance(minute).await;
        assert!(app.was_asked_within(minute));
    }
}
