//! [`Problems`]: everything that is wrong with a document, each named by its path.

use std::{
    fmt::{self, Display},
    ops::RangeInclusive,
    time::Duration,
};

/// One value that can't be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The way to the value, as in `callees.account.breaker.k` or `lanes.rules[2].percent`.
    pub path: String,
    /// What is wrong with it, and what would be right.
    pub reason: String,
}

impl Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.path.is_empty() { f.write_str(&self.reason) } else { write!(f, "{}: {}", self.path, self.reason) }
    }
}

/// What was found so far, and where the search stands.
#[derive(Debug, Default)]
pub struct Problems {
    path: Vec<String>,
    found: Vec<Problem>,
}

impl Problems {
    /// Searches below `key`. A key that begins with `[` is a place in a list.
    pub fn within(&mut self, key: impl Into<String>, search: impl FnOnce(&mut Self)) {
        self.path.push(key.into());
        search(self);
        self.path.pop();
    }

    /// Notes that the value at `key` is wrong; at the place where the search stands if `key` is empty.
    pub fn add(&mut self, key: &str, reason: impl Into<String>) {
        let mut path = String::new();
        for name in self.path.iter().map(String::as_str).chain([key]).filter(|name| !name.is_empty()) {
            if !path.is_empty() && !name.starts_with('[') {
                path.push('.');
            }
            path.push_str(name);
        }
        self.found.push(Problem { path, reason: reason.into() });
    }

    /// Notes a number that is outside `range`, or no number.
    pub fn number<T: PartialOrd + Display + Copy>(&mut self, key: &str, value: T, range: RangeInclusive<T>) {
        if !range.contains(&value) {
            self.add(key, format!("{value} is not within {} and {}", range.start(), range.end()));
        }
    }

    /// Notes a time that is outside `range`.
    pub fn duration(&mut self, key: &str, value: Duration, range: RangeInclusive<Duration>) {
        if !range.contains(&value) {
            self.add(key, format!("{value:?} is not within {:?} and {:?}", range.start(), range.end()));
        }
    }

    /// All that was found, in the order of the search.
    pub fn into_found(self) -> Vec<Problem> {
        self.found
    }
}

/// A part of the document that knows what its values must be.
pub trait Check {
    /// Notes everything that types cannot hold: ranges, and relations between values.
    fn check(&self, problems: &mut Problems);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_named_by_its_whole_path() {
        let mut problems = Problems::default();
        problems.within("lanes", |problems| {
            problems.within("rules", |problems| {
                problems.within("[2]", |problems| {
                    problems.number("percent", f64::NAN, 0.0..=100.0);
                    problems.number("weight", 3, 1..=3);
                });
            });
        });
        problems.add("", "it is empty");
        let found: Vec<_> = problems.into_found().iter().map(ToString::to_string).collect();
        assert_eq!(found, ["lanes.rules[2].percent: NaN is not within 0 and 100", "it is empty"]);
    }
}
