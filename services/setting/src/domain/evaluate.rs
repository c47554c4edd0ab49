//! Which value of each setting a caller gets.
//!
//! The app's own value, then the channel's, then the package's, then the rules in their order: whoever comes last and
//! applies has won. Only settings about which a layer or a rule says something are looked at; the rest is one text that
//! was made when the document was published.

use std::borrow::Cow;

use common::clock::Timestamp;
use pilota::FastStr;

use crate::domain::{
    caller::Caller,
    conditions::Probe,
    entity_tag::Digest,
    reserved::{Notice, Reserved, ReservedValue, Switches},
    snapshot::{Pick, Ready, Ruled, Shown, SlotIndex, Snapshot},
};

/// What one caller gets at one moment.
#[derive(Clone, Debug)]
pub(crate) struct Evaluation<'s> {
    snapshot: &'s Snapshot,
    /// What is not the app's own value, sorted by slot.
    picks: Cow<'s, [Pick]>,
    now: Timestamp,
}

/// Evaluates `snapshot` for `caller`. Takes no lock; allocates the list of what is not the app's own value.
pub(crate) fn evaluate<'s>(snapshot: &'s Snapshot, caller: &Caller, now: Timestamp) -> Evaluation<'s> {
    let channel: &[Pick] = snapshot.channels.get(&caller.channel).map_or(&[], |layer| layer);
    let package = caller.package.as_ref().and_then(|package| snapshot.packages.get(package));
    let layers = overlay(Cow::Borrowed(channel), package.map_or(&[], |layer| layer));
    let mut probe = Probe::new(&snapshot.segments, caller, now);
    let rules: Vec<Pick> = snapshot.ruled.iter().filter_map(|ruled| strongest(ruled, &mut probe)).collect();
    Evaluation { snapshot, picks: overlay(layers, &rules), now }
}

/// The last rule of a setting that applies.
fn strongest(ruled: &Ruled, probe: &mut Probe<'_>) -> Option<Pick> {
    let rule = ruled.rules.iter().find(|rule| rule.when.first_unmet(probe).is_none())?;
    Some(Pick { slot: ruled.slot, value: rule.value })
}

/// `lower` with `upper` laid over it. Both are sorted by slot and have each slot once, and so has the result.
pub(super) fn overlay<'p>(lower: Cow<'p, [Pick]>, upper: &[Pick]) -> Cow<'p, [Pick]> {
    if upper.is_empty() {
        return lower;
    }
    let mut laid = Vec::with_capacity(lower.len() + upper.len());
    let mut below = lower.iter().copied().peekable();
    for above in upper.iter().copied() {
        while let Some(pick) = below.next_if(|pick| pick.slot < above.slot) {
            laid.push(pick);
        }
        below.next_if(|pick| pick.slot == above.slot);
        laid.push(above);
    }
    laid.extend(below);
    Cow::Owned(laid)
}

impl<'s> Evaluation<'s> {
    /// A strong entity tag, quotes included: the revision, and a digest of what this caller gets, switches and notices
    /// included. Callers that get the same share it.
    pub(crate) fn entity_tag(&self) -> FastStr {
        let snapshot = self.snapshot;
        let mut digest = snapshot.default_digest;
        for pick in &*self.picks {
            let slot = snapshot.slot(pick.slot);
            if !matches!(slot.shown, Shown::Reserved(Reserved::Maintenance | Reserved::Notices)) {
                let default = snapshot.value(slot.default);
                digest = digest.minus(default.digest).plus(snapshot.value(pick.value).digest);
            }
        }
        if let (Some(_), Some(value)) = (self.switches().maintenance, self.reserved(Reserved::Maintenance)) {
            digest = digest.plus(value.digest);
        }
        for (place, notice) in self.notices().enumerate() {
            digest = digest.plus(Digest::of_notice(place, &notice.json));
        }
        digest.entity_tag(snapshot.revision)
    }

    /// A JSON object, name to value, in canonical form. Without the settings the platform reads.
    pub(crate) fn settings_json(&self) -> FastStr {
        let snapshot = self.snapshot;
        let mut changes = self.picks.iter().filter_map(|pick| match &snapshot.slot(pick.slot).shown {
            Shown::Member(place) => Some((place, &snapshot.value(pick.value).json)),
            Shown::Reserved(_) => None,
        });
        let Some(mut change) = changes.next() else { return snapshot.default_json.clone() };
        let defaults = snapshot.default_json.as_str();
        let mut json = String::with_capacity(defaults.len() + CHANGES_BYTES);
        let mut copied = 0;
        loop {
            let (place, value) = change;
            json.push_str(&defaults[copied..place.start]);
            json.push_str(value);
            copied = place.end;
            let Some(next) = changes.next() else { break };
            change = next;
        }
        json.push_str(&defaults[copied..]);
        FastStr::from(json)
    }

    /// A JSON array of the notices that are to be shown now, as they were published; `[]` if there are none.
    pub(crate) fn notices_json(&self) -> FastStr {
        let mut json = String::from("[");
        for notice in self.notices() {
            if json.len() > 1 {
                json.push(',');
            }
            json.push_str(&notice.json);
        }
        if json.len() == 1 {
            return FastStr::from_static_str("[]");
        }
        json.push(']');
        FastStr::from(json)
    }

    /// What is switched for this caller's sign-ins now.
    pub(crate) fn switches(&self) -> Switches<'s> {
        let mut switches = Switches::default();
        if let Some(ReservedValue::Maintenance(Some(planned))) = self.reserved_value(Reserved::Maintenance)
            && planned.window.holds(self.now)
        {
            switches.maintenance = Some(&planned.maintenance);
        }
        if let Some(ReservedValue::RegistrationOpen(open)) = self.reserved_value(Reserved::RegistrationOpen) {
            switches.registration_open = *open;
        }
        if let Some(ReservedValue::LoginKinds(kinds)) = self.reserved_value(Reserved::LoginKinds) {
            switches.login_kinds = Some(kinds);
        }
        switches
    }

    /// When the answer may change without a new revision: nothing of it does earlier. `None` if no window lies ahead.
    pub(crate) fn valid_until(&self) -> Option<Timestamp> {
        let boundaries = &self.snapshot.boundaries;
        boundaries.get(boundaries.partition_point(|boundary| *boundary <= self.now)).copied()
    }

    /// The value in effect of a slot.
    pub(super) fn value_of(&self, slot: SlotIndex) -> &'s Ready {
        let picked = self.picks.binary_search_by_key(&slot, |pick| pick.slot);
        let value = picked.map_or(self.snapshot.slot(slot).default, |at| self.picks[at].value);
        self.snapshot.value(value)
    }

    fn notices(&self) -> impl Iterator<Item = &'s Notice> {
        let notices: &'s [Notice] = match self.reserved_value(Reserved::Notices) {
            Some(ReservedValue::Notices(notices)) => notices,
            _ => &[],
        };
        let now = self.now;
        notices.iter().filter(move |notice| notice.window.holds(now))
    }

    fn reserved_value(&self, reserved: Reserved) -> Option<&'s ReservedValue> {
        self.reserved(reserved)?.reserved.as_deref()
    }

    fn reserved(&self, reserved: Reserved) -> Option<&'s Ready> {
        let slot = self.snapshot.reserved_slot(reserved)?;
        Some(self.value_of(slot))
    }
}

/// Room for values that are longer than the defaults they stand for: a guess that saves a copy of the text.
const CHANGES_BYTES: usize = 256;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
