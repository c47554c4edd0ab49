//! A published document made ready: every value is text, every condition is parsed, every name is an index.

use std::{collections::BTreeMap, mem, ops::Range};

use common::clock::Timestamp;
use pilota::FastStr;
use serde_json::Value;

use crate::domain::{
    audience::Channel,
    canonical,
    conditions::Conditions,
    document::{Document, Layer, Rule},
    entity_tag::Digest,
    problem::{Collector, Path},
    reserved::{Reserved, ReservedValue},
    rollout::By,
    segments::Segment,
};

/// One revision of an app's settings. Immutable; readers share it and take no lock.
#[derive(Clone, Debug)]
pub(crate) struct Snapshot {
    pub(super) revision: i64,
    /// Sorted by name.
    pub(super) slots: Box<[Slot]>,
    pub(super) channels: BTreeMap<Channel, Overlay>,
    pub(super) packages: BTreeMap<FastStr, Overlay>,
    /// The settings that have rules, by slot.
    pub(super) ruled: Box<[Ruled]>,
    pub(super) segments: Box<[Segment]>,
    /// Every value of every layer and rule.
    pub(super) values: Box<[Ready]>,
    /// What a caller sees for whom no layer and no rule says anything: a JSON object.
    pub(super) default_json: FastStr,
    /// Of the revision and every default, save what depends on the time.
    pub(super) default_digest: Digest,
    /// By [`Reserved`].
    reserved_slots: [Option<SlotIndex>; Reserved::ALL.len()],
    /// When any window begins or ends: sorted, each once.
    pub(super) boundaries: Box<[Timestamp]>,
    depends_on: DependsOn,
    weight_bytes: usize,
}

/// Which of a caller's fields choose among a revision's settings, beside the channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DependsOn {
    pub(crate) package: bool,
    pub(crate) version: bool,
    pub(crate) account: bool,
    pub(crate) device: bool,
}

/// A declared setting.
#[derive(Clone, Debug)]
pub(super) struct Slot {
    pub(super) name: FastStr,
    pub(super) default: ValueIndex,
    pub(super) shown: Shown,
}

/// How players see a setting.
#[derive(Clone, Debug)]
pub(super) enum Shown {
    /// As a member of the answer; its default lies here in the text of all defaults.
    Member(Range<usize>),
    /// Not at all: the platform reads it.
    Reserved(Reserved),
}

/// Values for some slots, sorted by slot, each slot once.
pub(super) type Overlay = Box<[Pick]>;

pub(super) type SlotIndex = u32;

pub(super) type ValueIndex = u32;

/// A value for a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pick {
    pub(super) slot: SlotIndex,
    pub(super) value: ValueIndex,
}

/// The rules of one setting.
#[derive(Clone, Debug)]
pub(super) struct Ruled {
    pub(super) slot: SlotIndex,
    /// The strongest first: the document's last.
    pub(super) rules: Box<[ReadyRule]>,
}

#[derive(Clone, Debug)]
pub(super) struct ReadyRule {
    /// Its place in the document.
    pub(super) index: usize,
    pub(super) value: ValueIndex,
    pub(super) when: Conditions,
}

/// A value that only has to be copied into an answer.
#[derive(Clone, Debug)]
pub(super) struct Ready {
    /// In canonical form.
    pub(super) json: FastStr,
    /// Of the setting's name and the value.
    pub(super) digest: Digest,
    /// What the platform takes from it, if it is a reserved setting's.
    pub(super) reserved: Option<Box<ReservedValue>>,
}

impl Snapshot {
    /// What an app has that has published nothing: revision 0 and no settings.
    pub(crate) fn empty() -> Self {
        Self::compile(0, Document::default())
    }

    /// Makes a document ready. Takes about as long as reading it did.
    pub(crate) fn compile(revision: i64, document: Document) -> Self {
        let Document { settings, channels, packages, segments, rules } = document;
        let mut compiler = Compiler::default();
        let slots = compiler.slots(&settings);
        let channels: BTreeMap<_, _> =
            channels.into_iter().map(|(channel, layer)| (channel, compiler.overlay(&layer))).collect();
        let packages: BTreeMap<_, _> =
            packages.into_iter().map(|(package, layer)| (package, compiler.overlay(&layer))).collect();
        let depends_on = depends_on(&packages, &segments, &rules);
        let mut boundaries = boundaries(&segments, &rules);
        let ruled = compiler.ruled(rules);
        // Only now are the values of all layers and rules there.
        boundaries.extend(
            compiler.values.iter().filter_map(|value| value.reserved.as_deref()).flat_map(ReservedValue::boundaries),
        );
        boundaries.sort_unstable();
        boundaries.dedup();
        let defaults = slots.iter().map(|slot| (slot, &compiler.values[slot.default as usize]));
        let default_digest = defaults.fold(Digest::of_revision(revision), |sum, (slot, value)| match slot.shown {
            Shown::Reserved(Reserved::Maintenance | Reserved::Notices) => sum,
            Shown::Member(_) | Shown::Reserved(Reserved::RegistrationOpen | Reserved::LoginKinds) => {
                sum.plus(value.digest)
            }
        });
        let mut reserved_slots = [None; Reserved::ALL.len()];
        for (slot, index) in slots.iter().zip(0..) {
            if let Shown::Reserved(reserved) = slot.shown {
                reserved_slots[reserved as usize] = Some(index);
            }
        }
        let mut snapshot = Self {
            revision,
            slots: slots.into(),
            channels,
            packages,
            ruled,
            segments: segments.into(),
            values: compiler.values.into(),
            default_json: FastStr::from(compiler.default_json),
            default_digest,
            reserved_slots,
            boundaries: boundaries.into(),
            depends_on,
            weight_bytes: 0,
        };
        snapshot.weight_bytes = snapshot.weigh();
        snapshot
    }

    /// Counted per app from 1; 0 when it has published nothing.
    pub(crate) fn revision(&self) -> i64 {
        self.revision
    }

    /// Which fields of a caller matter: callers that differ in no other are answered the same.
    pub(crate) fn depends_on(&self) -> DependsOn {
        self.depends_on
    }

    /// Memory it takes, roughly.
    pub(crate) fn weight_bytes(&self) -> usize {
        self.weight_bytes
    }

    pub(super) fn value(&self, index: ValueIndex) -> &Ready {
        &self.values[index as usize]
    }

    /// The slot of a reserved setting, if the app declares it.
    pub(super) fn reserved_slot(&self, reserved: Reserved) -> Option<SlotIndex> {
        self.reserved_slots[reserved as usize]
    }

    pub(super) fn slot(&self, index: SlotIndex) -> &Slot {
        &self.slots[index as usize]
    }

    fn weigh(&self) -> usize {
        let overlays = self.channels.values().chain(self.packages.values());
        let rules = self.ruled.iter().flat_map(|ruled| &ruled.rules);
        size_of::<Self>()
            + self.default_json.len()
            + self.boundaries.len() * size_of::<Timestamp>()
            + self.slots.iter().map(|slot| size_of::<Slot>() + slot.name.len()).sum::<usize>()
            // What the platform takes from a value is about as long as its text.
            + self.values.iter().map(|value| {
                size_of::<Ready>() + value.json.len() * if value.reserved.is_some() { 2 } else { 1 }
            }).sum::<usize>()
            + overlays.map(|overlay| NODE_BYTES + mem::size_of_val(&**overlay)).sum::<usize>()
            + self.segments.iter().map(|segment| size_of::<Segment>() + segment.conditions.weight_bytes()).sum::<usize>()
            + rules.map(|rule| size_of::<ReadyRule>() + size_of::<Ruled>() + rule.when.weight_bytes()).sum::<usize>()
    }
}

/// An entry of a tree with its name, roughly.
const NODE_BYTES: usize = 128;

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
        let digest = Digest::of_value(name, &json);
        // A document has checked its values: nothing can be wrong with this one.
        let reserved =
            Reserved::of(name).map(|reserved| Box::new(reserved.read(value, &Path::Root, &mut Collector::default())));
        self.values.push(Ready { json: FastStr::from(json), digest, reserved });
        // Each value takes bytes of a document, and documents are far below 4 GiB.
        ValueIndex::try_from(self.values.len() - 1).unwrap_or(ValueIndex::MAX)
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
