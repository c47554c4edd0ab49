//! What the benchmarks of this crate need of its inside.
//!
//! A benchmark is a crate of its own and sees only what is public. This module is public only with the feature `bench`,
//! which nothing but the crate's own test dependencies turns on: the product does not have it, and the benchmark is
//! compiled and linted with all other targets.

use common::clock::Timestamp;
use pilota::FastStr;

use crate::domain::{
    audience::Channel,
    caller::Caller,
    document::Document,
    evaluate::{Evaluation, evaluate},
    limits::DocumentLimits,
    snapshot::Snapshot,
    version_range::Version,
};

/// A published document and somebody who asks.
#[derive(Debug)]
pub struct Question {
    snapshot: Snapshot,
    caller: Caller,
    now: Timestamp,
}

impl Question {
    /// Publishes `document_json`. The caller is on the official channel, has package `com.example.game`, version 1.12.0
    /// and the given account.
    ///
    /// # Panics
    /// If the document is refused.
    pub fn of(document_json: &str, account: i64) -> Self {
        let document = match Document::parse(document_json.as_bytes(), &DocumentLimits::default()) {
            Ok(document) => document,
            Err(problems) => panic!("{problems}"),
        };
        let Ok(channel) = Channel::parse(None) else { panic!("the official channel is one") };
        let caller = Caller {
            channel,
            package: Some(FastStr::from_static_str("com.example.game")),
            version: Version::parse("1.12.0"),
            account: Some(account),
            device: Some(FastStr::from_static_str("0b7e2c1e-6f0a-4c39-9f57-0c6f5a3f2d11")),
        };
        Self { snapshot: Snapshot::compile(1, document), caller, now: Timestamp::from_millis(1_800_000_000_000) }
    }

    /// What is done for a caller who has the current settings: bytes of the tag.
    pub fn entity_tag(&self) -> usize {
        self.evaluate().entity_tag().len()
    }

    /// What is done for a caller who has not: bytes of everything that is answered.
    pub fn answer(&self) -> usize {
        let evaluation = self.evaluate();
        let switched = usize::from(evaluation.switches().maintenance.is_some());
        let ends = usize::from(evaluation.valid_until().is_some());
        evaluation.entity_tag().len()
            + evaluation.settings_json().len()
            + evaluation.notices_json().len()
            + switched
            + ends
    }

    fn evaluate(&self) -> Evaluation<'_> {
        evaluate(&self.snapshot, &self.caller, self.now)
    }
}

/// Reads a document and makes it ready: bytes of memory it takes.
///
/// # Panics
/// If the document is refused.
pub fn publish(document_json: &str) -> usize {
    Question::of(document_json, 1).snapshot.weight_bytes()
}
