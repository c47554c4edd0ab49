//! The section `account.hash_pool`.

use std::{
    num::{NonZeroU32, NonZeroUsize},
    time::Duration,
};

use common::config::Invalid;
use serde::{Deserialize, Serialize};

use crate::domain::stored_hash::{LARGEST_PASSES_OF_MEMORY_KIB, MOST_MEMORY_KIB};

/// More threads than any machine has cores: a slip of the keyboard.
const MOST_THREADS: usize = 1024;

/// The cheapest of the choices that the OWASP Password Storage Cheat Sheet has for Argon2id is 7 MiB and 5 passes. A
/// hash that fills less memory in all its passes together is not worth being called one.
const LEAST_MEMORY_KIB: u32 = 7 * 1024;
const LEAST_PASSES_OF_MEMORY_KIB: u64 = 5 * 7 * 1024;

/// Lanes are computed one after the other: this many already buy nothing.
const MOST_PARALLELISM: u32 = 16;

/// How passwords are hashed and how many wait for it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HashPoolConfig {
    /// Threads that do nothing but hash; 0 means one per core that this process may use: a CPU quota (cgroup) counts, as
    /// does an affinity mask. More than the cores only adds memory.
    pub threads: usize,
    /// Sign-ins that may wait for a thread. Beyond it they are told at once to come back: a queue longer than a player's
    /// patience is load without use. At 77 hashes a second and core, 128 is under two seconds on one core. Players on a
    /// device that they have signed in from before take the places of others.
    pub queue: NonZeroUsize,
    /// A sign-in that has waited this long is told to come back and is not hashed for; one whose caller waits for less
    /// is dropped then. Protects the pool from hashing for nobody when hashes are slower than expected.
    #[serde(with = "humantime_serde")]
    pub max_wait: Duration,
    /// While both wait, this many players on a device that they have signed in from before are hashed for, then one of
    /// the others. More makes an attack on passwords felt less by players, and longer by those with a new device.
    pub known_devices_first: NonZeroU32,
    /// Memory of one hash in KiB, per thread, 7 MiB to 1 GiB. What makes guessing on graphics cards expensive. A thread
    /// keeps it once it has hashed. A password with other parameters gets these at its next sign-in.
    pub memory_kib: u32,
    /// Passes over that memory. Together at least as much as 5 passes over 7 MiB.
    pub iterations: u32,
    /// Lanes of one hash, at most 16. They are computed one after the other, so more than 1 makes a hash no faster here.
    pub parallelism: u32,
}

impl Default for HashPoolConfig {
    /// The first choice of the OWASP Password Storage Cheat Sheet for Argon2id.
    fn default() -> Self {
        Self {
            threads: 0,
            queue: NonZeroUsize::MIN.saturating_add(127),
            max_wait: Duration::from_secs(2),
            known_devices_first: NonZeroU32::MIN.saturating_add(7),
            memory_kib: 19_456,
            iterations: 2,
            parallelism: 1,
        }
    }
}

impl HashPoolConfig {
    pub(crate) fn validate(&self) -> Result<(), Invalid> {
        if self.threads > MOST_THREADS {
            return Err(Invalid::new("hash_pool.threads", format!("must be at most {MOST_THREADS}")));
        }
        if self.max_wait < Duration::from_millis(10) || self.max_wait > Duration::from_secs(60) {
            return Err(Invalid::new("hash_pool.max_wait", "must be between 10ms and 1m"));
        }
        if !(LEAST_MEMORY_KIB..=MOST_MEMORY_KIB).contains(&self.memory_kib) {
            let reason = format!("must be between {LEAST_MEMORY_KIB} and {MOST_MEMORY_KIB}");
            return Err(Invalid::new("hash_pool.memory_kib", reason));
        }
        let passes = u64::from(self.memory_kib) * u64::from(self.iterations);
        if !(LEAST_PASSES_OF_MEMORY_KIB..=LARGEST_PASSES_OF_MEMORY_KIB).contains(&passes) {
            let reason = format!(
                "times memory_kib must be between {LEAST_PASSES_OF_MEMORY_KIB} and {LARGEST_PASSES_OF_MEMORY_KIB}"
            );
            return Err(Invalid::new("hash_pool.iterations", reason));
        }
        if !(1..=MOST_PARALLELISM).contains(&self.parallelism) {
            return Err(Invalid::new("hash_pool.parallelism", format!("must be between 1 and {MOST_PARALLELISM}")));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_of_the_owasp_cheat_sheet_is_allowed() {
        for (memory_kib, iterations) in [(47_104, 1), (19_456, 2), (12_288, 3), (9216, 4), (7168, 5)] {
            let config = HashPoolConfig { memory_kib, iterations, ..HashPoolConfig::default() };
            assert_eq!(config.validate(), Ok(()), "{memory_kib} {iterations}");
        }
    }

    #[test]
    fn what_is_too_weak_or_would_take_the_machine_is_refused_by_its_key() {
        let check = |change: fn(&mut HashPoolConfig), key: &str| {
            let mut config = HashPoolConfig::default();
            change(&mut config);
            assert_eq!(config.validate().map_err(|invalid| invalid.key), Err(format!("hash_pool.{key}")));
        };
        check(|config| config.threads = 2000, "threads");
        check(|config| config.max_wait = Duration::ZERO, "max_wait");
        check(|config| config.max_wait = Duration::from_secs(61), "max_wait");
        check(|config| config.memory_kib = 7167, "memory_kib");
        check(|config| config.memory_kib = MOST_MEMORY_KIB + 1, "memory_kib");
        check(|config| config.iterations = 0, "iterations");
        check(|config| config.iterations = 1, "iterations");
        check(|config| config.iterations = u32::MAX, "iterations");
        check(|config| config.parallelism = 0, "parallelism");
        check(|config| config.parallelism = 17, "parallelism");
    }
}
