//! How a document becomes a snapshot.

use std::{collections::BTreeMap, ops::Range};

use common::clock::Timestamp;
use pilota::FastStr;
use serde_json::Value;

use super::{DependsOn, Overlay, Pick, Ready, ReadyRule, Ruled, Shown, Slot, SlotIndex, Snapshot, ValueIndex};
use crate::domain::{
    canonical,
    conditions::Conditions,
    document::{Document, Layer, Rule},
    entity_tag::Digest,
    problem::{Collector, Path},
    reserved::{Reserved, ReservedValue},
    rollout::By,
    segments::Segment,
};

impl Snapshot {
    /// Makes a document ready. Takes about as long as reading it did.
    pub(crate) fn compile(revision: i64, document: Document) -> Self {
        let Document { settings, channels, packages, segments, rules } = document;
        let mut compiler = Compiler::default();
        let slots = compiler.slots(&settings);
        let channels = compiler.overlays(channels);
        let packages = compiler.overlays(packages);
        let depends_on = depends_on(&packages, &segments, &rules);
        let mut boundaries = boundaries(&segments, &rules);
        let ruled = compiler.ruled(rules);
        let Compiler { values, default_json, .. } = compiler;
        // Only now are the values of all layers and rules there.
        boundaries
            .extend(values.iter().filter_map(|value| value.reserved.as_deref()).flat_map(ReservedValue::boundaries));
        boundaries.sort_unstable();
        boundaries.dedup();
        let mut snapshot = Self {
            revision,
            default_digest: default_digest(revision, &slots, &values),
            reserved_slots: reserved_slots(&slots),
            slots: slots.into(),
            channels,
            packages,
            ruled,
            segments: segments.into(),
            values: values.into(),
            default_json: FastStr::from(default_json),
            boundaries: boundaries.into(),
            depends_on,
            weight_bytes: 0,
        };
        snapshot.weight_bytes = snapshot.weigh();
        snapshot
    }
}

fn default_digest(revision: i64, slots: &[Slot], values: &[Ready]) -> Digest {
    let defaults = slots.iter().map(|slot| (slot, &values[slot.default as usize]));
    defaults.fold(Digest::of_revision(revision), |sum, (slot, value)| match slot.shown {
        Shown::Reserved(Reserved::Maintenance | Reserved::Notices) => sum,
        Shown::Member(_) | Shown::Reserved(Reserved::RegistrationOpen | Reserved::LoginKinds) => sum.plus(value.digest),
    })
}

fn reserved_slots(slots: &[Slot]) -> [Option<SlotIndex>; Reserved::ALL.len()] {
    let mut reserved_slots = [None; Reserved::ALL.len()];
    for (slot, index) in slots.iter().zip(0..) {
        if let Shown::Reserved(reserved) = slot.shown {
            reserved_slots[reserved as usize] = Some(index);
        }
    }
    reserved_slots
}

/// Gathers values while a document is made ready.
#[derive(Debug, Default)]
struct Compiler {
    names: BTreeMap<FastStr, SlotIndex>,
    values: Vec<Ready>,
    default_json: String,
}

impl Compiler {
    fn slots(&mut self, settings: &Layer) -> Vec<Slot> {
        self.default_json.push('{');
        let mut slots = Vec::with_capacity(settings.len());
        for ((name, value), index) in settings.iter().zip(0..) {
            let default = self.value(name, value);
            let shown = match Reserved::of(name) {
                Some(reserved) => Shown::Reserved(reserved),
                None => Shown::Member(self.member(name, default)),
            };
            self.names.insert(name.clone(), index);
            slots.push(Slot { name: name.clone(), default, shown });
        }
        self.default_json.push('}');
        slots
    }

    /// Writes a member of the text of all defaults; where its value lies.
    fn member(&mut self, name: &str, default: ValueIndex) -> Range<usize> {
        if self.default_json.len() > 1 {
            self.default_json.push(',');
        }
        canonical::write_string(name, &mut self.default_json);
        self.default_json.push(':');
        let start = self.default_json.len();
        self.default_json.push_str(&self.values[default as usize].json);
        start..self.default_json.len()
    }

    fn value(&mut self, name: &str, value: &Value) -> ValueIndex {
        let json = canonical::to_string(value);
        // A document has checked its values: nothing can be wrong with this one.
        let reserved =
            Reserved::of(name).map(|reserved| Box::new(reserved.read(value, &Path::Root, &mut Collector::default())));
        let digest = match reserved.as_deref() {
            // When it begins is not answered: it has by then.
            Some(ReservedValue::Maintenance(Some(planned))) => Digest::of_maintenance(&planned.maintenance),
            _ => Digest::of_value(name, &json),
        };
        self.values.push(Ready { json: FastStr::from(json), digest, reserved });
        // Each value takes bytes of a document, and documents are far below 4 GiB.
        ValueIndex::try_from(self.values.len() - 1).unwrap_or(ValueIndex::MAX)
    }

    fn overlays<K: Ord>(&mut self, layers: BTreeMap<K, Layer>) -> BTreeMap<K, Overlay> {
        layers.into_iter().map(|(key, layer)| (key, self.overlay(&layer))).collect()
    }

    fn overlay(&mut self, layer: &Layer) -> Overlay {
        let mut picks = Vec::with_capacity(layer.len());
        for (name, value) in layer {
            if let Some(slot) = self.names.get(name).copied() {
                picks.push(Pick { slot, value: self.value(name, value) });
            }
        }
        picks.into()
    }

    fn ruled(&mut self, rules: Vec<Rule>) -> Box<[Ruled]> {
        let mut by_slot: BTreeMap<SlotIndex, Vec<ReadyRule>> = BTreeMap::new();
        for (index, Rule { setting, value, when }) in rules.into_iter().enumerate().rev() {
            if let Some(slot) = self.names.get(&setting).copied() {
                let value = self.value(&setting, &value);
                by_slot.entry(slot).or_default().push(ReadyRule { index, value, when });
            }
        }
        by_slot.into_iter().map(|(slot, rules)| Ruled { slot, rules: rules.into() }).collect()
    }
}

fn depends_on(packages: &BTreeMap<FastStr, Overlay>, segments: &[Segment], rules: &[Rule]) -> DependsOn {
    let mut depends_on =
        DependsOn { package: packages.values().any(|layer| !layer.is_empty()), ..DependsOn::default() };
    for conditions in all_conditions(segments, rules) {
        depends_on.package |= !conditions.packages.is_empty();
        depends_on.version |= conditions.version.is_some();
        depends_on.account |= !conditions.accounts.is_empty();
        if let Some(rollout) = conditions.rollout.filter(|rollout| rollout.draws()) {
            depends_on.account |= matches!(rollout.by, By::Either | By::Account);
            depends_on.device |= matches!(rollout.by, By::Either | By::Device);
        }
    }
    depends_on
}

fn boundaries(segments: &[Segment], rules: &[Rule]) -> Vec<Timestamp> {
    all_conditions(segments, rules).flat_map(|conditions| conditions.window.boundaries()).collect()
}

/// Those of segments that no rule names too: a document that has such is rare, and its callers are only told less than
/// could be.
fn all_conditions<'d>(segments: &'d [Segment], rules: &'d [Rule]) -> impl Iterator<Item = &'d Conditions> {
    segments.iter().map(|segment| &segment.conditions).chain(rules.iter().map(|rule| &rule.when))
}
