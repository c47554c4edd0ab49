//! The document that puts rules in force, `playgate-govern.toml`.

use govern::{problems::Problem, rules::Rules};
use serde::Serialize;

use crate::config::watch::Document;

/// The name of the document.
pub const RULES_DOCUMENT: &str = "playgate-govern.toml";

/// Where the document comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RulesSource {
    /// A file in `dynamic.directory`.
    File,
    /// Nacos.
    Nacos,
}

impl RulesSource {
    /// As it is written in answers and labels.
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Nacos => "nacos",
        }
    }
}

impl Document for Rules {
    fn read(text: &str) -> Result<Self, Vec<Problem>> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_of_a_document_is_told_and_not_only_the_first() {
        let problems = Rules::read("switches.limts = true\nqueue.target = 'soon'\nnonsense = 1").expect_err("bad");
        assert_eq!(problems.len(), 3, "{problems:?}");
        let problems = Rules::read("a = \nb = 1").expect_err("no TOML");
        assert!(problems.iter().all(|problem| problem.to_string().starts_with("line 1: ")), "{problems:?}");
    }
}
