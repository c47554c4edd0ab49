//! `GET /admin/v1/govern`: the rules of traffic that this process is governed by.
//!
//! Works whatever else is broken, as they do. Every role shows the same at `/govern` of its operator listener.

use common::{
    governance::{DocumentReport, RulesReport},
    http::Envelope,
};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::operator::OperatorOfProcess;

/// What is in force, and how it came to be.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = GovernAnswer)]
pub(crate) struct Answer {
    /// Of the effective rules: processes that go by the same rules have the same one.
    #[schema(example = "9f86d081884c7d65")]
    digest: String,
    /// `defaults` while no document has been in force, otherwise where it came from: `file` or `nacos`.
    #[schema(example = "nacos")]
    origin: String,
    /// Since when they are in force.
    in_force_since_at: i64,
    /// What came of the document as it was last read.
    document: RulesDocument,
    /// The rules, every default and every inherited value written out.
    #[schema(value_type = Object)]
    rules: Value,
    /// The same as a document (TOML).
    toml: String,
}

/// What came of a document.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RulesDocument {
    /// Its name: the file's, or the data id.
    #[schema(example = "playgate-govern.toml")]
    name: &'static str,
    /// Where it is looked for: `file` or `nacos`. Absent: nowhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'static str>,
    /// `not-followed`, `unread`, `absent`, `in-force` or `refused`.
    #[schema(example = "in-force")]
    state: &'static str,
    /// Why it is refused, each problem with its path.
    problems: Vec<String>,
}

/// Shows the rules of traffic that this process is governed by.
#[utoipa::path(get, path = "/admin/v1/govern", tag = "Process", security(("operator" = [])), responses((status = 200, body = Answer)))]
pub(crate) async fn show_rules(OperatorOfProcess { admin, .. }: OperatorOfProcess) -> Envelope<Answer> {
    let RulesReport { digest, origin, in_force_since_at, document, rules, toml } = admin.rules().report();
    let DocumentReport { name, source, state, problems } = document;
    let document = RulesDocument { name, source, state, problems };
    Envelope(Answer { digest, origin: origin.to_string(), in_force_since_at, document, rules, toml })
}
