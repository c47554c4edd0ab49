//! Tells the program which compiler and which commit it is built from.
//!
//! The commit comes from the environment variable `PLAYGATE_COMMIT`, which image builds set, and not from git: asking
//! git would rebuild everything after each commit.

use std::{env, process::Command};

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=PLAYGATE_COMMIT");

    let commit = env::var("PLAYGATE_COMMIT").unwrap_or_default();
    println!("cargo::rustc-env=PLAYGATE_BUILD_COMMIT={}", commit.trim());

    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").output();
    let version = output.ok().and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
    println!("cargo::rustc-env=PLAYGATE_BUILD_RUSTC={}", version.trim());
}
