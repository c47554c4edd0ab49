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
