//! Evaluation held against an evaluator that goes the long way, over random documents and callers.

mod naive;
mod random;

use std::collections::BTreeMap;

use proptest::{collection::vec, prelude::*};
use serde_json::{Map, Value};

use self::random::{MOMENTS, Raw, any_caller, any_document, any_oddity, pointers_below};
use super::*;
use crate::domain::{
    document::Document,
    explain::explain,
    limits::DocumentLimits,
    testing::{at, snapshot},
};

/// Everything an answer says.
fn answer(evaluation: &Evaluation<'_>) -> (FastStr, FastStr, String) {
    (evaluation.settings_json(), evaluation.notices_json(), format!("{:?}", evaluation.switches()))
}

fn any_overlay() -> impl Strategy<Value = Vec<Pick>> {
    prop::collection::btree_map(0..8_u32, 0..100_u32, 0..6)
        .prop_map(|picks| picks.into_iter().map(|(slot, value)| Pick { slot, value }).collect())
}

proptest! {
    #[test]
    fn laying_layers_over_each_other_is_associative_and_the_upper_one_wins(
        a in any_overlay(), b in any_overlay(), c in any_overlay(),
    ) {
        let lay = |lower: &[Pick], upper: &[Pick]| overlay(Cow::Owned(lower.to_vec()), upper).into_owned();
        let laid = lay(&lay(&a, &b), &c);
        prop_assert_eq!(&laid, &lay(&a, &lay(&b, &c)));
        let expected: BTreeMap<_, _> = [a, b, c].concat().into_iter().map(|pick| (pick.slot, pick.value)).collect();
        let laid: Vec<_> = laid.into_iter().map(|pick| (pick.slot, pick.value)).collect();
        prop_assert_eq!(laid, expected.into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn evaluation_agrees_with_the_long_way_and_explanation_with_both(
        document in any_document(), caller in any_caller(), now in MOMENTS,
    ) {
        let snapshot = snapshot(&document);
        let expected = naive::settings(&document, &caller, now);
        let evaluation = evaluate(&snapshot, &caller.caller(), at(now));
        let settings: BTreeMap<String, Value> = serde_json::from_str(&evaluation.settings_json()).expect("an object");
        let shown = |(name, _): &(&String, &Value)| !name.starts_with("platform.");
        prop_assert_eq!(settings, expected.iter().filter(shown).map(|(n, v)| (n.clone(), v.clone())).collect());
        for setting in explain(&snapshot, &caller.caller(), at(now)) {
            let value: Value = serde_json::from_str(&setting.value_json).expect("JSON");
            prop_assert_eq!(&value, &expected[setting.name.as_str()]);
            let winner = setting.candidates.iter().rfind(|candidate| candidate.applies).expect("the default applies");
            prop_assert_eq!(&winner.value_json, &setting.value_json);
            prop_assert_eq!(&winner.source, &setting.source);
            prop_assert!(setting.candidates.iter().all(|candidate| candidate.applies == candidate.why_not.is_none()));
        }
    }

    #[test]
    fn equal_tags_are_equal_answers_and_the_other_way_round(
        document in any_document(), callers in vec((any_caller(), MOMENTS), 8),
    ) {
        let snapshot = snapshot(&document);
        let mut by_tag = BTreeMap::new();
        let mut by_answer = BTreeMap::new();
        for (caller, now) in callers {
            let evaluation = evaluate(&snapshot, &caller.caller(), at(now));
            let (tag, answer) = (evaluation.entity_tag().to_string(), answer(&evaluation));
            prop_assert_eq!(by_tag.entry(tag.clone()).or_insert_with(|| answer.clone()), &answer);
            prop_assert_eq!(by_answer.entry(answer).or_insert_with(|| tag.clone()), &tag);
        }
    }

    #[test]
    fn nothing_changes_before_the_moment_an_answer_is_valid_until(
        document in any_document(), caller in any_caller(), now in MOMENTS,
    ) {
        let snapshot = snapshot(&document);
        let caller = caller.caller();
        let evaluation = evaluate(&snapshot, &caller, at(now));
        let end = evaluation.valid_until().map_or(40, |until| until.as_millis());
        prop_assert!(end > now);
        for later in now..end {
            let later = evaluate(&snapshot, &caller, at(later));
            prop_assert_eq!(answer(&later), answer(&evaluation));
            prop_assert_eq!(later.entity_tag(), evaluation.entity_tag());
            prop_assert_eq!(later.valid_until(), evaluation.valid_until());
        }
    }

    #[test]
    fn a_document_with_anything_anywhere_is_read_or_refused_and_never_panics(
        mut document in any_document(), places in vec((any::<prop::sample::Index>(), any_oddity()), 1..4),
        caller in any_caller(), now in MOMENTS,
    ) {
        for (place, oddity) in places {
            let mut pointers = Vec::new();
            pointers_below("", &document, &mut pointers);
            *document.pointer_mut(&pointers[place.index(pointers.len())]).expect("is there") = oddity;
        }
        match Document::parse(document.to_string().as_bytes(), &DocumentLimits::default()) {
            Ok(document) => {
                let snapshot = Snapshot::compile(1, document);
                let evaluation = evaluate(&snapshot, &caller.caller(), at(now));
                let settings = serde_json::from_str::<Map<String, Value>>(&evaluation.settings_json());
                prop_assert!(settings.is_ok() && serde_json::from_str::<Vec<Value>>(&evaluation.notices_json()).is_ok());
                explain(&snapshot, &caller.caller(), at(now));
            }
            Err(problems) => prop_assert!((1..=100).contains(&problems.into_vec().len())),
        }
    }

    #[test]
    fn callers_that_differ_only_in_what_does_not_matter_are_answered_the_same(
        document in any_document(), caller in any_caller(), other in any_caller(), now in MOMENTS,
    ) {
        let snapshot = snapshot(&document);
        let matters = snapshot.depends_on();
        let mixed = Raw {
            channel: caller.channel,
            package: if matters.package { caller.package } else { other.package },
            version: if matters.version { caller.version } else { other.version },
            account: if matters.account { caller.account } else { other.account },
            device: if matters.device { caller.device } else { other.device },
        };
        let (caller, mixed) = (caller.caller(), mixed.caller());
        let ask = |caller: &Caller| evaluate(&snapshot, caller, at(now)).entity_tag();
        prop_assert_eq!(ask(&caller), ask(&mixed));
    }
}
