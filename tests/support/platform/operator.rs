//! What an operator types.

use std::{path::Path, process::Output};

use serde_json::Value;

use crate::support::{
    App,
    role::{Settings, playgate, run_to_end},
};

/// Brings an empty database up to date.
pub(super) async fn migrate(directory: &Path, settings: &Settings) {
    let mut command = playgate(directory, settings);
    command.arg("migrate");
    let output = run_to_end(command).await;
    assert!(output.status.success(), "playgate migrate: {}", String::from_utf8_lossy(&output.stderr));
}

/// Makes an app.
pub(super) async fn create_app(directory: &Path, settings: &Settings, name: &str) -> App {
    run_for_app(directory, settings, &["create", "--name", name]).await
}

/// Gives an app a new secret.
pub(super) async fn rotate_secret(directory: &Path, settings: &Settings, app_id: i64) -> App {
    run_for_app(directory, settings, &["rotate-secret", "--app-id", &app_id.to_string()]).await
}

/// Runs `playgate account ARGUMENTS`.
pub(super) fn run_account(
    directory: &Path,
    settings: &Settings,
    arguments: &[&str],
) -> impl Future<Output = Output> + Send + use<> {
    let mut command = playgate(directory, settings);
    command.arg("account").args(arguments);
    run_to_end(command)
}

/// Runs `playgate pay ARGUMENTS`.
pub(super) fn run_pay(
    directory: &Path,
    settings: &Settings,
    arguments: &[&str],
) -> impl Future<Output = Output> + Send + use<> {
    let mut command = playgate(directory, settings);
    command.arg("pay").args(arguments);
    run_to_end(command)
}

async fn run_for_app(directory: &Path, settings: &Settings, arguments: &[&str]) -> App {
    serde_json::from_value(run(directory, settings, &[&["app"], arguments].concat()).await).unwrap()
}

/// Runs a command and reads the JSON it prints.
pub(super) async fn run(directory: &Path, settings: &Settings, arguments: &[&str]) -> Value {
    let mut command = playgate(directory, settings);
    command.args(arguments);
    let output = run_to_end(command).await;
    assert!(output.status.success(), "playgate {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stdout)))
}
