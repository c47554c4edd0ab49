//! What the platform takes before anyone asks it anything.

use std::{path::Path, thread, time::Duration};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::{
    load::{as_f64, resident_bytes},
    platform::Installation,
    rounds::Spread,
};

/// After this a started process has done what it does at start.
const SETTLE: Duration = Duration::from_secs(3);

/// Starts that are measured.
const STARTS: usize = 5;

/// Of `serve all` on an existing data directory.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Footprint {
    /// Resident memory at rest, in 10^6 bytes.
    pub idle_mb: f64,
    /// From the start of the process until `/readyz` says so, in milliseconds. The median of five.
    pub exec_to_ready_ms: f64,
}

/// Measures both.
pub fn measure(program: &Path, workers: usize, progress: impl Fn(&str)) -> Result<Footprint> {
    let installation = Installation::new(program, workers)?;
    // The first start is the one that makes keys and files.
    installation.start_merged()?;
    let mut starts = Vec::with_capacity(STARTS);
    let mut resident = Vec::with_capacity(STARTS);
    for round in 1..=STARTS {
        progress(&format!("start {round} of {STARTS}"));
        let platform = installation.start_merged()?;
        starts.push(platform.ready_after.as_secs_f64() * 1e3);
        thread::sleep(SETTLE);
        let bytes = platform.process_ids().into_iter().map(resident_bytes).sum::<Result<u64>>()?;
        resident.push(as_f64(bytes) / 1e6);
    }
    let median = |values| Spread::of(values).map(|spread| spread.median).context("nothing was measured");
    Ok(Footprint { idle_mb: median(resident)?, exec_to_ready_ms: median(starts)? })
}
