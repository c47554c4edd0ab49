//! How an outbox of events is configured: the same keys in the section of each service that has one.

use std::{
    num::{NonZeroU16, NonZeroU32},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::config::Invalid;

/// So many events are read, handed on and deleted at once at most: what is handed on has to fit a push of the store.
const LARGEST_BATCH: u16 = 2000;

/// Shorter than this, a slow disk would make one replica do what another one is doing.
const SHORTEST_LEASE: Duration = Duration::from_secs(10);

/// The events of a service: whether they are written, and how they are carried on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EventsConfig {
    /// Whether events are written, and carried on to segments in `data_dir/platform-events`. The same on every replica:
    /// what happens on one that is told not to has no event.
    pub publish: bool,
    /// Events that may wait to be carried on, by and large: several replicas may exceed it by what they write between two
    /// looks. Protects the database while the disk takes nothing; beyond it what happens has no event, which is counted.
    pub rows_max: NonZeroU32,
    /// How often it is looked for events to carry on, and how many there are.
    #[serde(with = "humantime_serde")]
    pub every: Duration,
    /// Events that are read, made durable and deleted at once. At most 2000.
    pub batch: NonZeroU16,
    /// How long a replica may be silent before another one carries on in its place. At least 10s.
    #[serde(with = "humantime_serde")]
    pub lease: Duration,
}

impl Default for EventsConfig {
    fn default() -> Self {
        Self {
            publish: false,
            rows_max: NonZeroU32::MIN.saturating_add(999_999),
            every: Duration::from_secs(1),
            batch: NonZeroU16::MIN.saturating_add(499),
            lease: Duration::from_secs(30),
        }
    }
}

impl EventsConfig {
    /// Checks what types can't.
    ///
    /// # Errors
    /// The key below `events`, and what would be right.
    pub fn validate(&self) -> Result<(), Invalid> {
        if self.every < Duration::from_millis(10) {
            return Err(Invalid::new("events.every", "must be at least 10ms"));
        }
        if self.batch.get() > LARGEST_BATCH {
            return Err(Invalid::new("events.batch", format!("must be at most {LARGEST_BATCH}")));
        }
        if self.lease < SHORTEST_LEASE {
            return Err(Invalid::new("events.lease", format!("must be at least {SHORTEST_LEASE:?}")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_not_work_is_refused_by_its_key() {
        assert_eq!(EventsConfig::default().validate(), Ok(()));
        let check = |change: fn(&mut EventsConfig), key: &str| {
            let mut config = EventsConfig::default();
            change(&mut config);
            assert_eq!(config.validate().map_err(|invalid| invalid.key), Err(key.to_owned()));
        };
        check(|config| config.every = Duration::ZERO, "events.every");
        check(|config| config.batch = NonZeroU16::MAX, "events.batch");
        check(|config| config.lease = Duration::from_secs(9), "events.lease");
    }
}
