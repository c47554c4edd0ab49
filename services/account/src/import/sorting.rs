//! What becomes of the records of a batch, given what is there.

use super::record::{Record, Refusal};
use crate::{domain::field::FieldError, store::imports::Taken};

/// The records of a batch by what becomes of them.
#[derive(Debug, Default)]
pub(super) struct Sorted<'b> {
    pub(super) new: Vec<&'b Record>,
    pub(super) skipped: u64,
    pub(super) refused: Vec<(u64, Refusal)>,
}

/// What a record shares with accounts that are there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Conflict {
    None,
    /// One account has all it can be signed in to with; the field is the first of that.
    Everything(&'static str),
    /// Others have this and do not have that, or not the same others.
    With(&'static str),
    /// The field names it.
    NoSuchApp(&'static str),
}

impl Sorted<'_> {
    pub(super) fn refused_lines(&self) -> impl Iterator<Item = u64> {
        self.refused.iter().map(|(line, _)| *line)
    }
}

/// Who is new, who is there already, and whose name is somebody else's. What comes first in the file comes first.
pub(super) fn sort(records: &[(u64, Record)], mut taken: Taken) -> Sorted<'_> {
    let mut sorted = Sorted::default();
    for (line, record) in records {
        if record.external_id.as_ref().is_some_and(|id| taken.external_ids.contains(id)) {
            sorted.skipped += 1;
            continue;
        }
        let refused = match conflict(record, &taken) {
            Conflict::None => {
                taken.add(*line, record);
                sorted.new.push(record);
                continue;
            }
            // Without a name that is only theirs, what they sign in with is what tells accounts apart.
            Conflict::Everything(_) if record.external_id.is_none() => {
                sorted.skipped += 1;
                continue;
            }
            Conflict::Everything(field) | Conflict::With(field) => {
                FieldError::new(field, "belongs to another account already")
            }
            Conflict::NoSuchApp(field) => FieldError::new(field, "no such app"),
        };
        sorted.refused.push((*line, refused.into()));
    }
    sorted
}

fn conflict(record: &Record, taken: &Taken) -> Conflict {
    if let Some((field, _)) = record.apps().find(|(_, app_id)| !taken.apps.contains(app_id)) {
        return Conflict::NoSuchApp(field);
    }
    let owners: Vec<_> = record.names().into_iter().map(|(field, name)| (field, taken.owner_of(name))).collect();
    let Some((field, owner)) = owners.iter().find(|(_, owner)| owner.is_some()) else { return Conflict::None };
    let is_one_account = owners.iter().all(|(_, other)| other == owner);
    if is_one_account { Conflict::Everything(field) } else { Conflict::With(field) }
}
