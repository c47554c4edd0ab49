//! A version made ready: answers are evaluated from it.

use common::clock::Timestamp;
use pilota::FastStr;

use crate::{
    domain::{Document, DocumentLimits, Problems, Snapshot},
    store::{Version, VersionInfo},
};

/// What an app has before it publishes.
pub(crate) const EMPTY_DOCUMENT: &str = r#"{"settings":{}}"#;

/// A version, ready to be answered from.
#[derive(Debug)]
pub(crate) struct Live {
    /// Of an app that has published nothing: version 0, by nobody.
    pub(crate) info: VersionInfo,
    pub(crate) snapshot: Snapshot,
}

impl Live {
    /// Makes a version ready. Refuses a document that could not be published today.
    pub(crate) fn of(version: &Version, limits: &DocumentLimits) -> Result<Self, Problems> {
        let document = Document::parse(version.document.as_bytes(), limits)?;
        Ok(Self { snapshot: Snapshot::compile(version.info.version, document), info: version.info.clone() })
    }

    /// What an app has before it publishes: nothing.
    pub(crate) fn empty() -> Self {
        let nobody = VersionInfo {
            version: 0,
            published_at: Timestamp::from_millis(0),
            author: FastStr::empty(),
            note: FastStr::empty(),
            rolled_back_to: None,
            bytes: EMPTY_DOCUMENT.len(),
        };
        Self { info: nobody, snapshot: Snapshot::empty() }
    }

    pub(crate) fn revision(&self) -> i64 {
        self.info.version
    }

    /// Bytes of memory, roughly.
    pub(crate) fn weight(&self) -> usize {
        self.snapshot.weight_bytes()
    }
}
