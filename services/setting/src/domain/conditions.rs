//! To whom and when something applies: the `when` of a rule, and what makes a segment.

use std::fmt::Write;

use common::clock::Timestamp;
use pilota::FastStr;

use crate::domain::{
    audience::Channel,
    caller::Caller,
    rollout::{By, Rollout},
    segments::Segment,
    version_range::VersionRange,
    window::Window,
};

/// Conditions that must all hold. One that is absent or an empty list holds always.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Conditions {
    pub(super) window: Window,
    /// Sorted, as all the lists are.
    pub(super) channels: Box<[Channel]>,
    pub(super) packages: Box<[FastStr]>,
    pub(super) version: Option<VersionRange>,
    pub(super) accounts: Box<[i64]>,
    pub(super) rollout: Option<Rollout>,
    /// The caller must be in one of these.
    pub(super) segments: Box<[SegmentIndex]>,
}

/// A segment's place in its document's list.
pub(super) type SegmentIndex = u32;

/// A condition that does not hold.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unmet<'c> {
    NotYet(Timestamp),
    Over(Timestamp),
    Channel,
    Package,
    Version(&'c VersionRange),
    Accounts,
    Rollout(&'c Rollout),
    Segments(&'c [SegmentIndex]),
}

impl Conditions {
    /// The first condition that does not hold, in the order of [`Unmet`]: the cheap ones first.
    pub(super) fn first_unmet(&self, probe: &mut Probe<'_>) -> Option<Unmet<'_>> {
        let caller = probe.caller;
        if !self.window.holds(probe.now) {
            return match self.window {
                Window { from: Some(from), .. } if probe.now < from => Some(Unmet::NotYet(from)),
                Window { until, .. } => until.map(Unmet::Over),
            };
        }
        if !self.channels.is_empty() && self.channels.binary_search(&caller.channel).is_err() {
            return Some(Unmet::Channel);
        }
        if !self.packages.is_empty()
            && caller.package.as_ref().is_none_or(|package| self.packages.binary_search(package).is_err())
        {
            return Some(Unmet::Package);
        }
        if let Some(range) = &self.version
            && !caller.version.as_ref().is_some_and(|version| range.holds(version))
        {
            return Some(Unmet::Version(range));
        }
        if !self.accounts.is_empty()
            && caller.account.is_none_or(|account| self.accounts.binary_search(&account).is_err())
        {
            return Some(Unmet::Accounts);
        }
        if let Some(rollout) = &self.rollout
            && !rollout.holds(caller)
        {
            return Some(Unmet::Rollout(rollout));
        }
        let outside = !self.segments.is_empty() && !self.segments.iter().any(|segment| probe.is_in(*segment));
        outside.then_some(Unmet::Segments(&self.segments))
    }

    /// Heap memory, roughly.
    pub(super) fn weight_bytes(&self) -> usize {
        self.channels.len() * size_of::<Channel>()
            + self.packages.iter().map(|package| size_of::<FastStr>() + package.len()).sum::<usize>()
            + self.accounts.len() * size_of::<i64>()
            + self.segments.len() * size_of::<SegmentIndex>()
            + self.version.as_ref().map_or(0, VersionRange::weight_bytes)
    }
}

/// A caller at a moment, with the segments that were looked at already.
#[derive(Debug)]
pub(super) struct Probe<'s> {
    segments: &'s [Segment],
    caller: &'s Caller,
    now: Timestamp,
    /// By index; nothing until the first segment is asked for.
    known: Vec<Option<bool>>,
}

impl<'s> Probe<'s> {
    pub(super) fn new(segments: &'s [Segment], caller: &'s Caller, now: Timestamp) -> Self {
        Self { segments, caller, now, known: Vec::new() }
    }

    /// Whether the caller is in a segment. Each is evaluated once.
    fn is_in(&mut self, index: SegmentIndex) -> bool {
        let at = index as usize;
        if self.known.is_empty() {
            self.known.resize(self.segments.len(), None);
        }
        let Some(segment) = self.segments.get(at) else { return false };
        if let Some(known) = self.known[at] {
            return known;
        }
        let holds = segment.conditions.first_unmet(self).is_none();
        self.known[at] = Some(holds);
        holds
    }

    /// A condition that does not hold, for an operator: `percent 10: this caller is at 37.204`.
    pub(super) fn describe(&mut self, unmet: Unmet<'_>) -> String {
        let caller = self.caller;
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "none".to_owned());
        match unmet {
            Unmet::NotYet(from) => format!("from {from}: that is not yet"),
            Unmet::Over(until) => format!("until {until}: that is over"),
            Unmet::Channel => format!("channel: this caller's is {}", caller.channel),
            Unmet::Package => {
                format!("package: this caller's is {}", or_none(caller.package.as_ref().map(FastStr::to_string)))
            }
            Unmet::Version(range) => match &caller.version {
                Some(version) => format!("version {range}: this caller's is {version}"),
                None => format!("version {range}: this caller has none that can be read"),
            },
            Unmet::Accounts => match caller.account {
                Some(_) => "accounts: this caller's is not on the list".to_owned(),
                None => "accounts: this caller has none".to_owned(),
            },
            Unmet::Rollout(rollout) => describe_rollout(rollout, caller),
            Unmet::Segments(segments) => self.describe_segments(segments),
        }
    }

    /// With a single segment the reason is the segment's own.
    fn describe_segments(&mut self, indices: &[SegmentIndex]) -> String {
        let segments = self.segments;
        let mut text = "segments".to_owned();
        for (count, index) in indices.iter().enumerate() {
            let name = segments.get(*index as usize).map_or("", |segment| segment.name.as_str());
            let separator = if count == 0 { " " } else { ", " };
            // Writing into a String can't fail.
            let _ = write!(text, "{separator}{name}");
        }
        let only = match indices {
            [only] => segments.get(*only as usize),
            _ => None,
        };
        match only.and_then(|segment| segment.conditions.first_unmet(self)) {
            Some(unmet) => format!("{text}: {}", self.describe(unmet)),
            None => format!("{text}: this caller is in none of them"),
        }
    }
}

fn describe_rollout(rollout: &Rollout, caller: &Caller) -> String {
    let percent = rollout.percent;
    match (rollout.place(caller), rollout.by) {
        (Some(place), _) => format!("percent {percent}: this caller is at {place}"),
        (None, By::Either) => format!("percent {percent}: this caller has no account and no device"),
        (None, By::Account) => format!("percent {percent} by account: this caller has none"),
        (None, By::Device) => format!("percent {percent} by device: this caller has none"),
    }
}
