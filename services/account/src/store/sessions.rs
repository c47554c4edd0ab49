//! Sign-ins, the rotation of their refresh tokens, and their end.
//!
//! In reading order:
//! - `begin`: a session that begins, within what the app allows.
//! - `rotate`: what a refresh reads and writes.
//! - `list`: what owners, operators and the risk rules read of sessions.
//! - `end`: sessions that end, and how that is told.

mod begin;
mod end;
mod list;
mod rotate;

use common::{
    clock::Timestamp,
    events::EventOutbox,
    sql::{Database, GroupCommit, Text},
};

pub(super) use self::begin::insert;
pub(crate) use self::{
    begin::NewSession,
    list::ListedSession,
    rotate::{NextToken, StoredSession},
};
use crate::domain::{device_class::DeviceClass, revocation::Revocation};

/// Sign-ins.
#[derive(Clone, Debug)]
pub(crate) struct Sessions {
    database: Database,
    /// Sign-ins that come at once are committed together.
    writer: GroupCommit<NewSession>,
}

/// Why and when sessions end, and for how long that has to be remembered. Bans and deletions, too, come with one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ending<'a> {
    pub(crate) reason: &'a str,
    pub(crate) now: Timestamp,
    /// No access token issued until now lives longer.
    pub(crate) remembered_until: Timestamp,
    /// Where a data warehouse is told of it.
    pub(crate) events: &'a EventOutbox,
}

/// The sessions that were ended: how many, and what to tell the index of this instance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ended {
    pub(crate) count: u64,
    pub(crate) revocations: Vec<Revocation>,
}

impl Sessions {
    pub(crate) fn new(database: Database, writer: GroupCommit<NewSession>) -> Self {
        Self { database, writer }
    }
}

/// The class of a row; what a later version wrote there counts as the default.
fn device_class(stored: Option<Text>) -> DeviceClass {
    stored.and_then(|class| DeviceClass::parse(&class).ok()).unwrap_or_default()
}
