//! A published document made ready: every value is text, every condition is parsed, every name is an index.

mod compile;

use std::{collections::BTreeMap, mem, ops::Range};

use common::clock::Timestamp;
use pilota::FastStr;

use crate::domain::{
    audience::Channel,
    conditions::Conditions,
    document::Document,
    entity_tag::Digest,
    reserved::{Reserved, ReservedValue},
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
    /// Of what is answered: the name and the value, or of maintenance what is told while it lasts.
    pub(super) digest: Digest,
    /// What the platform takes from it, if it is a reserved setting's.
    pub(super) reserved: Option<Box<ReservedValue>>,
}

impl Snapshot {
    /// What an app has that has published nothing: revision 0 and no settings.
    pub(crate) fn empty() -> Self {
        Self::compile(0, Document::default())
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
