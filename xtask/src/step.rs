//! A step of a longer run: announced when it begins, timed when it ends, named when it fails.

use std::time::Instant;

use anyhow::{Context as _, Result};

/// Runs one step.
pub(crate) fn step<T>(name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("==> {name}");
    let began = Instant::now();
    let result = work().with_context(|| format!("step failed: {name}"))?;
    println!("==> {name}: {:.1} s", began.elapsed().as_secs_f64());
    Ok(result)
}
