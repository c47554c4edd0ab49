//! Documents and callers for tests.

use common::clock::Timestamp;
use pilota::FastStr;
use serde_json::Value;

use crate::domain::{
    audience::Channel, caller::Caller, document::Document, limits::DocumentLimits, problem::Problems,
    snapshot::Snapshot, version_range::Version,
};

pub(super) fn parse(document: &Value) -> Result<Document, Problems> {
    Document::parse(document.to_string().as_bytes(), &DocumentLimits::default())
}

/// Revision 7 of an app.
#[track_caller]
pub(super) fn snapshot(document: &Value) -> Snapshot {
    Snapshot::compile(7, parse(document).expect("a good document"))
}

/// Path and reason of everything that is wrong with a document.
#[track_caller]
pub(super) fn problems(document: &Value) -> Vec<(String, String)> {
    pairs(parse(document).expect_err("a bad document"))
}

pub(super) fn pairs(problems: Problems) -> Vec<(String, String)> {
    assert_eq!(problems.as_slice().len(), problems.clone().into_vec().len());
    problems.into_vec().into_iter().map(|problem| (problem.path, problem.reason)).collect()
}

/// Somebody on the official channel of whom nothing else is known.
pub(super) fn nobody() -> Caller {
    on("official")
}

pub(super) fn on(channel: &str) -> Caller {
    let channel = Channel::parse(Some(FastStr::new(channel))).expect("a channel");
    Caller { channel, package: None, version: None, account: None, device: None }
}

pub(super) fn account(account: i64) -> Caller {
    Caller { account: Some(account), ..nobody() }
}

pub(super) fn device(device: &str) -> Caller {
    Caller { device: Some(FastStr::new(device)), ..nobody() }
}

pub(super) fn package(package: &str) -> Caller {
    Caller { package: Some(FastStr::new(package)), ..nobody() }
}

pub(super) fn version(version: &str) -> Caller {
    Caller { version: Version::parse(version), ..nobody() }
}

pub(super) fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}
