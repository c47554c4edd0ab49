//! `POST /admin/v1/govern/validate`: what is wrong with rules of traffic, or what would be in force with them.
//!
//! Nothing is put in force: that is done where the document lies, for all processes at once.

use common::{
    governance::{EffectiveRules, Problem},
    http::{Envelope, Json},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::operator::OperatorOfProcess;

/// The most problems that are answered.
const MAX_PROBLEMS: usize = 100;

/// What is to be looked at.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = ValidateGovernRequest)]
pub(crate) struct Request {
    /// The whole document, at most 256 KiB.
    #[schema(example = "[switches]\nshedding = false\n")]
    toml: String,
}

/// What there is to say.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ValidateGovernAnswer)]
pub(crate) struct Answer {
    /// It would be put in force.
    valid: bool,
    /// What keeps it from that, all at once; at most 100.
    problems: Vec<RulesProblem>,
    /// What would be in force: the document with every default written out. Absent if there are problems.
    #[serde(skip_serializing_if = "Option::is_none")]
    effective: Option<Effective>,
}

/// What would be in force.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = EffectiveRules)]
pub(crate) struct Effective {
    /// What `GET /admin/v1/govern` would show.
    #[schema(example = "9f86d081884c7d65")]
    digest: String,
    toml: String,
}

/// Something that keeps a document from being put in force.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RulesProblem {
    /// Empty for the document as a whole.
    #[schema(example = "callees.account.breaker.k")]
    path: String,
    #[schema(example = "0.5 is not within 1.01 and 10")]
    reason: String,
}

/// Looks at rules of traffic without putting them in force.
#[utoipa::path(post, path = "/admin/v1/govern/validate", tag = "Process", security(("operator" = [])), request_body = Request, responses((status = 200, body = Answer)))]
pub(crate) async fn validate_rules(_: OperatorOfProcess, Json(Request { toml }): Json<Request>) -> Envelope<Answer> {
    Envelope(judge(&toml))
}

fn judge(document: &str) -> Answer {
    match EffectiveRules::of_document(document) {
        Ok(EffectiveRules { digest, toml }) => {
            Answer { valid: true, problems: Vec::new(), effective: Some(Effective { digest, toml }) }
        }
        Err(problems) => {
            let problems = problems.into_iter().take(MAX_PROBLEMS);
            let problems = problems.map(|Problem { path, reason }| RulesProblem { path, reason }).collect();
            Answer { valid: false, problems, effective: None }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_wrong_is_answered_with_its_path_and_nothing_that_could_be_taken_for_rules() {
        let answer = judge("callee.breaker.k = 0.5\nnonsense = 1\n[[lanes.rules]]\nlane = 'canary'\n");
        let paths: Vec<_> = answer.problems.iter().map(|problem| problem.path.as_str()).collect();
        assert_eq!(paths, ["callee.breaker.k", "lanes.rules[0]", "nonsense"]);
        assert!(!answer.valid && answer.effective.is_none());
    }

    #[test]
    fn what_would_be_in_force_is_answered_with_every_default() {
        let answer = judge("[switches]\nshedding = false\n");
        assert!(answer.valid && answer.problems.is_empty());
        let effective = answer.effective.expect("valid").toml;
        assert!(effective.contains("shedding = false") && effective.contains("[callee.retry]"), "{effective}");
    }

    #[test]
    fn there_is_an_end_to_what_is_answered() {
        let wrong: String = (0..1000).map(|place| format!("unknown_{place} = 1\n")).collect();
        assert_eq!(judge(&wrong).problems.len(), MAX_PROBLEMS);
    }
}
