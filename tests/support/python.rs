//! Clients that nobody here wrote: scripts that use published Python libraries.

use std::{
    fs::File,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;
use xtask::workspace;

use super::run_to_end;

/// Runs a script of `tests/interop` on a question, and gives its answer.
pub(crate) async fn ask_python(script: &str, question: &Value) -> Value {
    let scratch = tempfile::tempdir().unwrap();
    let file = scratch.path().join("question.json");
    std::fs::write(&file, question.to_string()).unwrap();
    let mut command = Command::new(workspace::PYTHON);
    // No proxy, no path to modules of this machine's users.
    command.env_clear().arg("-I").arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(script));
    command.stdin(Stdio::from(File::open(&file).unwrap()));
    let output = run_to_end(command).await;
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script} (is everything there? `cargo xtask setup`):\n{complaint}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{script}: {error}"))
}
