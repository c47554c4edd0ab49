//! Peers without a server: the one ingredient that bounds a scenario, alone, in this process.
//!
//! - `bare_argon2`: hashing passwords. A password login can't be faster than its hash.
//! - `bare_fsync`: making a few bytes durable, one after the other. What one writer of a database can commit.

use std::{
    fs::File,
    io::Write as _,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, anyhow};
use argon2::{Algorithm, Argon2, Block, Params, Version};

use crate::{load::Observed, platform::PASSWORD};

/// Bytes of the platform's hashes.
const OUTPUT_LENGTH: usize = 32;

/// What is written before each fsync: about what a small transaction leaves in a log.
const RECORD: [u8; 512] = [b'x'; 512];

/// What a password hash costs.
#[derive(Clone, Copy, Debug)]
pub struct HashParameters {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over that memory.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
}

impl HashParameters {
    /// What every measured platform hashes with, which is its default.
    pub const PLATFORM: Self = Self { memory_kib: 19_456, iterations: 2, parallelism: 1 };
}

/// Hashes for so long, on one thread per core: the number of threads that the platform hashes on.
pub fn argon2(duration: Duration) -> Result<Observed> {
    let threads = hash_threads();
    let began = Instant::now();
    let times = thread::scope(|scope| {
        let hashing: Vec<_> = (0..threads).map(|_| scope.spawn(move || hash_until(began + duration))).collect();
        let finished = hashing.into_iter().map(|thread| thread.join().map_err(|_| anyhow!("a hash panicked"))?);
        finished.collect::<Result<Vec<_>>>()
    })?;
    Ok(Observed::of(times.concat(), began.elapsed()))
}

/// Appends and syncs for so long, on one thread, where the platforms of a run have their data.
pub fn fsync(duration: Duration) -> Result<Observed> {
    let mut file = tempfile::tempfile()?;
    let (began, mut times) = (Instant::now(), Vec::new());
    while times.is_empty() || began.elapsed() < duration {
        let start = Instant::now();
        append(&mut file).context("the temporary directory can't be written to")?;
        times.push(start.elapsed());
    }
    Ok(Observed::of(times, began.elapsed()))
}

/// Threads that the platform hashes on by default.
pub(crate) fn hash_threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

fn append(file: &mut File) -> std::io::Result<()> {
    file.write_all(&RECORD)?;
    file.sync_data()
}

/// The time of each hash. The memory is kept from one to the next, as the platform's threads do.
fn hash_until(end: Instant) -> Result<Vec<Duration>> {
    let HashParameters { memory_kib, iterations, parallelism } = HashParameters::PLATFORM;
    let failed = |error: argon2::Error| anyhow!("{error}");
    let params = Params::new(memory_kib, iterations, parallelism, Some(OUTPUT_LENGTH)).map_err(failed)?;
    let mut memory = vec![Block::new(); params.block_count()];
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params);
    let (mut output, mut times) = ([0; OUTPUT_LENGTH], Vec::new());
    while times.is_empty() || Instant::now() < end {
        let start = Instant::now();
        argon
            .hash_password_into_with_memory(PASSWORD.as_bytes(), &[7; 16], &mut output, &mut memory)
            .map_err(failed)?;
        times.push(start.elapsed());
    }
    Ok(times)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ingredient_is_counted_and_timed() {
        for measure in [argon2, fsync] {
            let observed = measure(Duration::from_millis(50)).expect("measured");
            assert!(observed.requests > 0 && observed.p50_us > 0.0, "{observed:?}");
        }
    }
}
