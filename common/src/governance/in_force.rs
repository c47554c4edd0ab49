//! [`Governance`]: the document in force, told to whoever is governed by it.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use govern::{Moment, rules::Rules};
use tokio::time::Instant;

/// The rules in force. Cheap to clone; all clones are one.
#[derive(Clone)]
pub struct Governance(Arc<InForce>);

struct InForce {
    rules: ArcSwap<Rules>,
    followers: Mutex<Vec<Follower>>,
    /// Where the moments of this process are counted from.
    origin: Instant,
}

/// Applies rules somewhere.
type Follower = Box<dyn Fn(&Rules) + Send + Sync>;

impl Governance {
    /// Governed by `rules` until others are put in force.
    pub fn new(rules: Rules) -> Self {
        let (rules, followers) = (ArcSwap::from_pointee(rules), Mutex::default());
        Self(Arc::new(InForce { rules, followers, origin: Instant::now() }))
    }

    /// The rules now.
    pub fn current(&self) -> Arc<Rules> {
        self.0.rules.load_full()
    }

    /// The moment it is, for everything that takes one. All moments of a process have one origin.
    pub fn now(&self) -> Moment {
        Moment::from(self.0.origin.elapsed())
    }

    /// Applies the rules now, and again whenever others are put in force. What is applied replaces state of its own:
    /// it must not block, and must not come back here.
    pub fn follow(&self, apply: impl Fn(&Rules) + Send + Sync + 'static) {
        // Under the lock: a change in between would be missed, or undone.
        let mut followers = self.0.followers.lock().unwrap_or_else(PoisonError::into_inner);
        apply(&self.current());
        followers.push(Box::new(apply));
    }

    /// Puts other rules in force. They are applied everywhere when this returns.
    pub fn put_in_force(&self, rules: Rules) {
        let followers = self.0.followers.lock().unwrap_or_else(PoisonError::into_inner);
        self.0.rules.store(Arc::new(rules));
        let rules = self.current();
        for apply in &*followers {
            apply(&rules);
        }
    }
}

impl Default for Governance {
    fn default() -> Self {
        Self::new(Rules::default())
    }
}

impl fmt::Debug for Governance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Governance").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use govern::rules::Switches;

    use super::*;

    fn shedding(is_on: bool) -> Rules {
        Rules { switches: Switches { shedding: is_on, ..Switches::default() }, ..Rules::default() }
    }

    #[test]
    fn whoever_follows_is_told_at_once_and_of_every_change() {
        let governance = Governance::new(shedding(false));
        let told = Arc::new(Mutex::new(Vec::new()));
        let follower = Arc::clone(&told);
        governance.follow(move |rules| follower.lock().expect("told").push(rules.switches.shedding));
        governance.put_in_force(shedding(true));
        governance.put_in_force(shedding(false));
        assert_eq!(*told.lock().expect("told"), [false, true, false]);
        assert!(!governance.current().switches.shedding);
    }

    #[tokio::test(start_paused = true)]
    async fn all_clones_count_their_moments_from_one_origin() {
        let governance = Governance::default();
        let clone = governance.clone();
        tokio::time::advance(std::time::Duration::from_secs(3)).await;
        assert_eq!(clone.now(), governance.now());
        assert_eq!(clone.now().since(Moment::START), std::time::Duration::from_secs(3));
    }
}
