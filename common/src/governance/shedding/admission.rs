//! The room that one request has.

use govern::{
    Moment,
    bulkhead::Berth,
    gradient::Ending,
    priority::{Area, Class},
};
use tokio::time::Instant;

use super::gate::Gate;

/// A request that was let in. Its room is given back when this is dropped, however the request ends.
#[derive(Debug)]
#[must_use = "dropping it gives the room back"]
pub struct Admission<'g> {
    pub(super) gate: &'g Gate,
    pub(super) class: Class,
    /// None: it was let in while shedding was off, and neither has room nor teaches anything.
    pub(super) area: Option<Area>,
    /// Its place under the cap of its class, if that has one.
    pub(super) _berth: Option<Berth>,
    pub(super) began: Moment,
    pub(super) deadline: Option<Instant>,
    pub(super) ending: Option<Ending>,
}

impl Admission<'_> {
    /// The request ended, and the limit learns from it. Not told, it was cut off: by its deadline, which counts as
    /// overload, or by its caller, which says nothing.
    pub fn ended(mut self, ending: Ending) {
        self.ending = Some(ending);
    }
}

impl Drop for Admission<'_> {
    fn drop(&mut self) {
        let Some(area) = self.area else { return };
        let cut_off = || {
            let late = self.deadline.is_some_and(|deadline| deadline <= Instant::now());
            if late { Ending::Dropped } else { Ending::Ignored }
        };
        let ending = self.ending.unwrap_or_else(cut_off);
        self.gate.left(self.class, area, self.began, ending);
    }
}
