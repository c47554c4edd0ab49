//! Which layer or rule gives a caller each value, and why the others do not.

use common::clock::Timestamp;
use pilota::FastStr;

use crate::domain::{
    caller::Caller,
    conditions::Probe,
    evaluate::evaluate,
    snapshot::{Overlay, SlotIndex, Snapshot, ValueIndex},
};

/// A setting as one caller gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExplainedSetting {
    pub(crate) name: FastStr,
    pub(crate) value_json: FastStr,
    /// The candidate whose value it is.
    pub(crate) source: FastStr,
    /// Lowest layer first; the last one that applies has won.
    pub(crate) candidates: Vec<Candidate>,
}

/// One layer or rule that has a value for a setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// `default`, `channels.official`, `packages.com.example`, `rules[3]`.
    pub(crate) source: FastStr,
    pub(crate) value_json: FastStr,
    /// Whether its conditions hold for this caller.
    pub(crate) applies: bool,
    /// The first condition that does not hold.
    pub(crate) why_not: Option<String>,
}

/// Explains every setting of `snapshot`, those the platform reads too. Sorted by name.
pub(crate) fn explain(snapshot: &Snapshot, caller: &Caller, now: Timestamp) -> Vec<ExplainedSetting> {
    let candidates = candidates(snapshot, caller, now);
    let evaluation = evaluate(snapshot, caller, now);
    let slots = snapshot.slots.iter().zip(0..).zip(candidates);
    slots
        .map(|((slot, index), candidates)| {
            let winner = candidates.iter().rfind(|candidate| candidate.applies);
            ExplainedSetting {
                name: slot.name.clone(),
                value_json: evaluation.value_of(index).json.clone(),
                source: winner.map_or(DEFAULT, |winner| winner.source.clone()),
                candidates,
            }
        })
        .collect()
}

const DEFAULT: FastStr = FastStr::from_static_str("default");

/// By slot.
fn candidates(snapshot: &Snapshot, caller: &Caller, now: Timestamp) -> Vec<Vec<Candidate>> {
    let candidate = |source: FastStr, value: ValueIndex, why_not: Option<String>| Candidate {
        source,
        value_json: snapshot.value(value).json.clone(),
        applies: why_not.is_none(),
        why_not,
    };
    let mut by_slot: Vec<Vec<Candidate>> =
        snapshot.slots.iter().map(|slot| vec![candidate(DEFAULT, slot.default, None)]).collect();
    let mut add = |slot: SlotIndex, candidate: Candidate| by_slot[slot as usize].push(candidate);

    let mut add_layer = |source: String, layer: &Overlay, why_not: Option<String>| {
        let source = FastStr::from(source);
        for pick in layer {
            add(pick.slot, candidate(source.clone(), pick.value, why_not.clone()));
        }
    };
    for (channel, layer) in &snapshot.channels {
        let why_not = (*channel != caller.channel).then(|| format!("channel: this caller's is {}", caller.channel));
        add_layer(format!("channels.{channel}"), layer, why_not);
    }
    for (package, layer) in &snapshot.packages {
        let why_not = (caller.package.as_ref() != Some(package)).then(|| match &caller.package {
            Some(own) => format!("package: this caller's is {own}"),
            None => "package: this caller's is none".to_owned(),
        });
        add_layer(format!("packages.{package}"), layer, why_not);
    }
    let mut probe = Probe::new(&snapshot.segments, caller, now);
    for ruled in &snapshot.ruled {
        for rule in ruled.rules.iter().rev() {
            let why_not = rule.when.first_unmet(&mut probe).map(|unmet| probe.describe(unmet));
            let source = FastStr::from(format!("rules[{}]", rule.index));
            add(ruled.slot, candidate(source, rule.value, why_not));
        }
    }
    by_slot
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::testing::{account, at, device, nobody, on, snapshot, version};

    /// `source` of each candidate of the first setting, with the reason why it does not apply.
    fn explained(snapshot: &Snapshot, caller: &Caller, now: i64) -> Vec<(String, Option<String>)> {
        let setting = explain(snapshot, caller, at(now)).into_iter().next().expect("a setting");
        setting.candidates.into_iter().map(|candidate| (candidate.source.to_string(), candidate.why_not)).collect()
    }

    #[test]
    fn every_layer_and_rule_that_has_a_value_is_told_lowest_first() {
        let snapshot = snapshot(&json!({
            "settings": {
                "rate": {"type": "number", "value": 0},
                "other": {"type": "number", "value": 0},
                "platform.registration_open": {"type": "bool", "value": true},
            },
            "channels": {"store": {"rate": 1}, "web": {"other": 1}},
            "packages": {"com.example": {"rate": 2}},
            "rules": [
                {"setting": "rate", "value": 3},
                {"setting": "other", "value": 3},
                {"setting": "rate", "value": 4, "when": {"accounts": [1]}},
            ],
        }));
        let settings = explain(&snapshot, &on("store"), at(0));
        let names: Vec<_> = settings.iter().map(|setting| setting.name.as_str()).collect();
        assert_eq!(names, ["other", "platform.registration_open", "rate"]);
        let rate = &settings[2];
        assert_eq!((rate.source.as_str(), rate.value_json.as_str()), ("rules[0]", "3"));
        let candidates: Vec<_> =
            rate.candidates.iter().map(|c| (c.source.as_str(), c.value_json.as_str(), c.applies)).collect();
        assert_eq!(
            candidates,
            [
                ("default", "0", true),
                ("channels.store", "1", true),
                ("packages.com.example", "2", false),
                ("rules[0]", "3", true),
                ("rules[2]", "4", false),
            ]
        );
        assert_eq!(rate.candidates[2].why_not.as_deref(), Some("package: this caller's is none"));
        assert_eq!(settings[1].source, "default");
    }

    #[test]
    fn the_first_condition_that_does_not_hold_is_told() {
        let why_not = |when: serde_json::Value, caller: &Caller, now: i64| {
            let snapshot = snapshot(&json!({
                "settings": {"on": {"type": "bool", "value": false}},
                "segments": {"testers": {"accounts": [1]}, "wide": {"any": ["testers"]}},
                "rules": [{"setting": "on", "value": true, "when": when}],
            }));
            let why_not = explained(&snapshot, caller, now).remove(1).1;
            why_not.expect("does not apply")
        };
        let nobody = nobody();
        assert_eq!(why_not(json!({"from": 5}), &nobody, 4), "from 5: that is not yet");
        assert_eq!(why_not(json!({"until": 5}), &nobody, 5), "until 5: that is over");
        assert_eq!(why_not(json!({"channel": ["store"]}), &nobody, 0), "channel: this caller's is official");
        assert_eq!(why_not(json!({"package": ["a"]}), &nobody, 0), "package: this caller's is none");
        assert_eq!(
            why_not(json!({"version": ">=2"}), &nobody, 0),
            "version >=2: this caller has none that can be read"
        );
        assert_eq!(why_not(json!({"version": ">=2"}), &version("1.9"), 0), "version >=2: this caller's is 1.9");
        assert_eq!(why_not(json!({"accounts": [1]}), &nobody, 0), "accounts: this caller has none");
        assert_eq!(why_not(json!({"accounts": [1]}), &account(2), 0), "accounts: this caller's is not on the list");
        assert_eq!(why_not(json!({"percent": 10}), &nobody, 0), "percent 10: this caller has no account and no device");
        let by = |by: &str| json!({"percent": 10.5, "by": by});
        assert_eq!(why_not(by("account"), &device("d"), 0), "percent 10.5 by account: this caller has none");
        assert_eq!(why_not(by("device"), &account(1), 0), "percent 10.5 by device: this caller has none");
        assert_eq!(why_not(json!({"percent": 0}), &account(100_001), 0), "percent 0: this caller is at 39.728");
        let testers = "segments testers: accounts: this caller's is not on the list";
        assert_eq!(why_not(json!({"segments": ["testers"]}), &account(2), 0), testers);
        assert_eq!(why_not(json!({"segments": ["wide"]}), &account(2), 0), format!("segments wide: {testers}"));
        assert_eq!(
            why_not(json!({"segments": ["wide", "testers"]}), &account(2), 0),
            "segments testers, wide: this caller is in none of them"
        );
        let two = json!({"channel": ["store"], "accounts": [1]});
        assert_eq!(why_not(two, &nobody, 0), "channel: this caller's is official");
    }
}
