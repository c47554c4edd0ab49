//! The logs of a whole process: started once, written to the right places, complete at the end.

use std::{
    net::{IpAddr, Ipv4Addr},
    process::Command,
    sync::Arc,
    time::Duration,
};

use common::{
    clock::{SystemClock, SystemRandom, Timestamp},
    context::RequestContext,
    http::{AccessLog as _, AccessRecord},
    telemetry::{LogConfig, LogError, LogFormat, init},
};
use prometheus::Registry;
use serde_json::Value;

/// Set for the process that logs; the other one looks at what it wrote.
const LOGGING: &str = "PLAYGATE_TEST_LOGGING";

const NAME: &str = "what_is_logged_until_the_end_reaches_standard_error_and_standard_output";

#[test]
fn what_is_logged_until_the_end_reaches_standard_error_and_standard_output() {
    if std::env::var_os(LOGGING).is_some() {
        return log_something().expect("the logs work");
    }
    let program = std::env::current_exe().expect("the running program has a path");
    let child = Command::new(program).args(["--exact", NAME, "--nocapture"]).env(LOGGING, "1").output();
    let child = child.expect("the program starts a second time");
    let (out, err) = (json_lines(&child.stdout), json_lines(&child.stderr));
    assert!(child.status.success(), "{out:?} {err:?}");

    assert_eq!(out.len(), 1);
    assert_eq!(out[0]["path"], "/v1/sdk/me");
    let messages: Vec<_> = err.iter().map(|line| line["message"].as_str().unwrap_or_default()).collect();
    assert_eq!(messages, ["in a request", "now at debug", "at the end"]);
    assert_eq!(err[0]["trace_id"], out[0]["trace_id"]);
}

fn log_something() -> Result<(), LogError> {
    let config = LogConfig { format: LogFormat::Json, ..LogConfig::default() };
    let registry = Registry::new();
    let log = init(&config, Arc::new(SystemClock), &registry)?;

    let request = RequestContext::root(&SystemRandom);
    request.sync_scope(|| tracing::info!("in a request"));
    log.access_log().record(&AccessRecord {
        at: Timestamp::from_millis(0),
        method: "GET",
        route: "/v1/sdk/me",
        path: "/v1/sdk/me",
        status: 200,
        code: 2_000_000,
        duration: Duration::from_millis(1),
        bytes_out: 10,
        client: Some(IpAddr::V4(Ipv4Addr::LOCALHOST)),
        trace_id: request.trace_id,
    });
    tracing::debug!("not at info");
    log.level().set("debug")?;
    tracing::debug!("now at debug");
    let second = init(&LogConfig { access: false, ..config }, Arc::new(SystemClock), &Registry::new());
    assert!(matches!(second, Err(LogError::StartedTwice)), "{second:?}");
    tracing::info!("at the end");
    Ok(())
}

/// The lines that are JSON: the test harness writes others of its own.
fn json_lines(output: &[u8]) -> Vec<Value> {
    String::from_utf8_lossy(output).lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}
