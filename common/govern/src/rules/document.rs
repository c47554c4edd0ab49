//! From the text of a document to [`Rules`], and back.

use std::collections::BTreeMap;

use serde::{Deserialize as _, de::DeserializeOwned};

use super::{CalleeRules, MAX_DOCUMENT_BYTES, RouteRules, Rules};
use crate::{
    priority::Class,
    problems::{Check, Problem, Problems},
};

/// The most callees that can be named.
const MAX_CALLEES: usize = 64;

impl Rules {
    /// Reads a document.
    ///
    /// # Errors
    /// Everything that is wrong with it. Of a part whose values have the wrong type or an unknown key the first such
    /// value is told, of all other parts every value.
    pub fn parse(document: &str) -> Result<Self, Vec<Problem>> {
        let mut problems = Problems::default();
        if document.len() > MAX_DOCUMENT_BYTES {
            problems.add("", format!("it has {} bytes, more than {MAX_DOCUMENT_BYTES}", document.len()));
            return Err(problems.into_found());
        }
        let mut table = match document.parse::<toml::Table>() {
            Ok(table) => table,
            Err(error) => {
                // Only the message: the error's own text quotes the document, on several lines.
                let offset = error.span().map_or(0, |span| span.start).min(document.len());
                let line = document.as_bytes()[..offset].iter().filter(|byte| **byte == b'\n').count() + 1;
                problems.add("", format!("line {line}: {}", error.message().replace('\n', ", ")));
                return Err(problems.into_found());
            }
        };
        let rules = Self::from_table(&mut table, &mut problems);
        for unknown in table.keys() {
            problems.add(unknown, "is not a part of the document");
        }
        let found = problems.into_found();
        if found.is_empty() { Ok(rules) } else { Err(found) }
    }

    /// How `callee` is called.
    pub fn callee(&self, callee: &str) -> &CalleeRules {
        self.callees.get(callee).unwrap_or(&self.callee)
    }

    /// The document as it applies, every default and every inherited value written out. Parsing it gives the same rules.
    ///
    /// # Errors
    /// None for rules that came from [`Self::parse`] or are the defaults; what TOML can't hold, for those built by hand.
    pub fn effective(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }

    /// Takes the parts it knows out of the table.
    fn from_table(table: &mut toml::Table, problems: &mut Problems) -> Self {
        let callee_table = table.get("callee").cloned();
        Self {
            switches: read(table, "switches", problems),
            concurrency: part(table, "concurrency", problems),
            priority: part(table, "priority", problems),
            queue: part(table, "queue", problems),
            cpu: part(table, "cpu", problems),
            retry_after: part(table, "retry_after", problems),
            routes: routes(table, problems),
            keys: part(table, "keys", problems),
            lease: part(table, "lease", problems),
            callee: part(table, "callee", problems),
            callees: callees(table, callee_table.as_ref(), problems),
            lanes: part(table, "lanes", problems),
        }
    }
}

/// Takes a part out of the table, with its types; the default if it is absent or wrong.
fn read<T: DeserializeOwned + Default>(table: &mut toml::Table, key: &str, problems: &mut Problems) -> T {
    table.remove(key).and_then(|value| typed(value, key, problems)).unwrap_or_default()
}

/// As [`read`], and with its values.
fn part<T: DeserializeOwned + Default + Check>(table: &mut toml::Table, key: &str, problems: &mut Problems) -> T {
    let part: T = read(table, key, problems);
    problems.within(key, |problems| part.check(problems));
    part
}

fn typed<T: DeserializeOwned>(value: toml::Value, key: &str, problems: &mut Problems) -> Option<T> {
    match serde_path_to_error::deserialize(value) {
        Ok(typed) => Some(typed),
        Err(error) => {
            let path = error.path().to_string();
            let reason = error.into_inner().to_string();
            // What follows on further lines says the path again.
            let reason = reason.lines().next().unwrap_or_default();
            problems.within(key, |problems| problems.add(if path == "." { "" } else { &path }, reason));
            None
        }
    }
}

fn routes(table: &mut toml::Table, problems: &mut Problems) -> BTreeMap<Class, RouteRules> {
    let named: toml::Table = read(table, "routes", problems);
    let mut routes = BTreeMap::new();
    problems.within("routes", |problems| {
        for (name, value) in named {
            let Some(class) = Class::SHED_ORDER.into_iter().find(|class| class.name() == name) else {
                let known = Class::SHED_ORDER.map(Class::name).join(", ");
                problems.add(&name, format!("is none of {known}"));
                continue;
            };
            let Some(route) = typed::<RouteRules>(value, &name, problems) else { continue };
            problems.within(name, |problems| route.check(problems));
            routes.insert(class, route);
        }
    });
    routes
}

/// The rules of single callees, laid over those of all.
fn callees(
    table: &mut toml::Table,
    all: Option<&toml::Value>,
    problems: &mut Problems,
) -> BTreeMap<String, CalleeRules> {
    let named: toml::Table = read(table, "callees", problems);
    let mut callees = BTreeMap::new();
    problems.within("callees", |problems| {
        problems.number("", named.len(), 0..=MAX_CALLEES);
        for (name, own) in named.into_iter().take(MAX_CALLEES) {
            // What is wrong with the rules for all has been told; here only what is this callee's own.
            let Some(_) = typed::<CalleeRules>(own.clone(), &name, problems) else { continue };
            let merged = laid_over(all.cloned(), own);
            let Ok(callee) = CalleeRules::deserialize(merged) else { continue };
            problems.within(name.as_str(), |problems| callee.check(problems));
            callees.insert(name, callee);
        }
    });
    callees
}

/// `own` where it says something, `all` elsewhere; tables are merged, values are replaced.
fn laid_over(all: Option<toml::Value>, own: toml::Value) -> toml::Value {
    match (all, own) {
        (Some(toml::Value::Table(mut all)), toml::Value::Table(own)) => {
            for (key, value) in own {
                let merged = laid_over(all.remove(&key), value);
                all.insert(key, merged);
            }
            toml::Value::Table(all)
        }
        (_, own) => own,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{MAX_OVERRIDES, MAX_SPARED};

    fn problems(document: &str) -> Vec<String> {
        Rules::parse(document).expect_err("something is wrong").iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_empty_document_is_the_defaults_and_they_are_valid() {
        let rules = Rules::parse("").expect("valid");
        assert_eq!(rules, Rules::default());
        assert_eq!(rules.callee("anybody"), &CalleeRules::default());
    }

    #[test]
    fn what_is_effective_reads_as_the_same_rules() {
        let document = r#"
            switches.backup = false
            concurrency = { initial = 50, queue = { fixed = 4 } }
            routes.login.rate = { limit = 2000, per = "1s" }
            routes.pay_callback.in_flight = 100
            keys.spared = ["192.0.2.0/24", "2001:db8::/32"]
            keys.address = { rate = { limit = 60, per = "1m", burst = 20 }, capacity = 1000 }
            keys.app.rate = { limit = 100, per = "1s" }
            keys.app.overrides.1001 = { limit = 5000, per = "1s", burst = 500 }
            keys.partner.overrides.ads = { limit = 50, per = "1s" }
            callee.retry.attempts = 2
            callees.pay.retry.ratio = 0.2
            [[lanes.rules]]
            lane = "canary"
            header = { name = "X-Canary", equals = "1" }
            accounts = [1, 2]
            percent = 1.5
        "#;
        let rules = Rules::parse(document).expect("valid");
        let effective = rules.effective().expect("it can be written");
        assert_eq!(Rules::parse(&effective), Ok(rules));
        for part in ["probe_interval = \"250ms\"", "[callees.pay.breaker]", "[keys.partner]", "target = \"5ms\""] {
            assert!(effective.contains(part), "{part} in\n{effective}");
        }
        let defaults = Rules::default().effective().expect("they can be written");
        assert_eq!(Rules::parse(&defaults), Ok(Rules::default()));
    }

    #[test]
    fn a_callee_has_the_rules_of_all_where_it_has_none_of_its_own() {
        let rules = Rules::parse(
            "callee.retry = { attempts = 2, ratio = 0.2 }\ncallee.in_flight = 9\ncallees.pay.retry.attempts = 0",
        )
        .expect("valid");
        let pay = rules.callee("pay");
        assert_eq!((pay.retry.attempts, pay.in_flight), (0, 9));
        assert!((pay.retry.ratio - 0.2).abs() < 1e-9);
        assert_eq!(rules.callee("setting").retry.attempts, 2);
    }

    #[test]
    fn every_problem_is_told_by_its_path_and_not_only_the_first() {
        let found = problems(
            r#"
            switches.limts = true
            concurrency = { min = 50, max = 10 }
            priority = { login = 0.1 }
            queue.target = "soon"
            keys.address.rate = { limit = 1, per = "0s" }
            keys.device.capacity = 100000000
            callees.pay.breaker.k = 0.5
            callees.account.breker = {}
            routes.logn = {}
            nonsense = 1
            [[lanes.rules]]
            lane = "canary"
            [[lanes.rules]]
            lane = "blue"
            percent = 101
            "#,
        );
        let expected = [
            "switches.limts: unknown field",
            "concurrency.min: 50 is above `max` (10)",
            "priority.login: is below",
            "queue.target: invalid value: string \"soon\", expected a duration",
            "routes.logn: is none of ingest, settings, login",
            "keys.address.rate.per: 0ns is not within 1ms and",
            "keys.device.capacity: 100000000 is not within",
            "callees.account.breker: unknown field",
            "callees.pay.breaker.k: 0.5 is not within 1.01 and 10",
            "lanes.rules[0]: has no condition",
            "lanes.rules[1].percent: 101 is not within 0 and 100",
            "nonsense: is not a part",
        ];
        for expected in expected {
            assert!(found.iter().any(|problem| problem.starts_with(expected)), "{expected} in {found:#?}");
        }
        assert_eq!(found.len(), expected.len(), "{found:#?}");
    }

    #[test]
    fn what_is_no_toml_or_too_large_is_refused_as_a_whole() {
        assert!(problems("a = ").first().is_some_and(|problem| problem.contains("line 1")));
        assert!(problems(&" ".repeat(MAX_DOCUMENT_BYTES + 1)).first().is_some_and(|problem| problem.contains("bytes")));
    }

    #[test]
    fn rates_of_single_apps_are_checked_like_those_of_all() {
        let found = problems(
            r#"
            keys.spared = ["here"]
            "#,
        );
        assert!(found.first().is_some_and(|problem| problem.starts_with("keys.spared")), "{found:?}");
        let found = problems(
            r#"
            keys.app.overrides.01 = { limit = 1, per = "1s" }
            keys.app.overrides.7 = { limit = 1, per = "0s" }
            keys.partner.overrides.ads = { limit = 1, per = "0s" }
            "#,
        );
        let expected = [
            "keys.app.overrides.7.per: 0ns is not within",
            "keys.app.overrides.01: is not the id of an app",
            "keys.partner.overrides.ads.per: 0ns is not within",
        ];
        for expected in expected {
            assert!(found.iter().any(|problem| problem.starts_with(expected)), "{expected} in {found:#?}");
        }
        assert_eq!(found.len(), expected.len(), "{found:#?}");
    }

    #[test]
    fn more_overrides_or_networks_than_there_is_room_for_are_refused() {
        let overrides: String = (1..=MAX_OVERRIDES + 1)
            .map(|app| format!("keys.app.overrides.{app} = {{ limit = 1, per = \"1s\" }}\n"))
            .collect();
        let networks = vec!["\"10.0.0.0/8\""; MAX_SPARED + 1].join(",");
        let found = problems(&format!("keys.spared = [{networks}]\n{overrides}"));
        assert_eq!(found.len(), 2, "{found:?}");
    }

    #[test]
    fn a_problem_of_all_callees_is_told_once() {
        let found = problems("callee.breaker.k = 'x'\ncallees.pay.in_flight = 1\ncallees.account.in_flight = 1");
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn numbers_that_are_none_are_outside_every_range() {
        for document in ["priority.login = nan", "callee.retry.ratio = inf", "cpu.threshold = nan"] {
            assert!(!problems(document).is_empty(), "{document}");
        }
    }
}
