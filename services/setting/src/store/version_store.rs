//! The versions of apps: `apps/{app_id}/versions/{version}.json`, which never change, and `apps/{app_id}/current.json`, which
//! names the newest.
//!
//! Creating version n + 1, which only one caller can, is the compare-and-set: it *is* the publish. The pointer is written
//! afterwards and is a lower bound of what is current. So a publisher that ends between the two loses nothing: whoever
//! next opens the app, publishes, or looks beyond the pointer finds the version and sets the pointer right. Nothing
//! depends on the pointer being written in order, or at all.

use std::sync::Arc;

use common::clock::SharedClock;
use futures_util::{StreamExt, stream};

use crate::{
    domain::{AppId, DocumentLimits},
    store::{
        Draft, Live, Loaded, Look, ReadFailure, Source, Version,
        objects::{Creation, ObjectError, Objects},
        version,
    },
};

/// Versions that are looked for one after the other beyond a pointer; when there are more, all are listed.
const WALK_MAX: usize = 8;

/// Versions that are read at one moment for a list.
const LIST_PARALLEL: usize = 8;

/// Versions that a publish deletes at most. More than one, so that an app that has more than its number comes down to it.
const DELETED_AT_ONCE: usize = 2;

/// All apps' versions. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct VersionStore {
    objects: Objects,
    versions_kept: i64,
    limits: DocumentLimits,
    clock: SharedClock,
}

/// What is the newest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Current {
    /// 0 if there is none.
    pub(crate) revision: i64,
    /// Whether its version lies in the store. Where it does not, the store has lost something.
    pub(crate) is_there: bool,
}

/// Versions, newest first.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) versions: Vec<Version>,
    /// Where to read on; `None` at the end.
    pub(crate) next_before: Option<i64>,
}

/// What came of an attempt to publish.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is this version, made by this attempt or by an earlier one whose answer was lost.
    Published { version: Version, is_new: bool },
    /// The draft was made from a revision that is not the current one.
    Changed { current: i64 },
}

/// Why nothing was published, or why it is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PublishFailure {
    #[error(transparent)]
    Read(#[from] ReadFailure),
    #[error("the settings store failed: {0}")]
    Write(ObjectError),
    #[error("the settings store takes conditional writes and does not keep to them: nothing can be published there")]
    Unconditional,
    #[error("the document is not JSON: {0}")]
    Document(#[from] serde_json::Error),
}

impl VersionStore {
    pub(crate) fn new(objects: Objects, versions_kept: u32, limits: DocumentLimits, clock: SharedClock) -> Self {
        Self { objects, versions_kept: i64::from(versions_kept), limits, clock }
    }

    /// Where a version lies, as the log shows it.
    pub(crate) fn place_of(&self, app: AppId, version: i64) -> String {
        self.objects.shown(&version_path(app, version))
    }

    /// The current revision: at least `at_least`, which was the current one some time before. Repairs the pointer if it
    /// names an earlier one.
    pub(crate) async fn current(&self, app: AppId, at_least: i64) -> Result<Current, ReadFailure> {
        let pointer = self.pointer(app).await?;
        let known = pointer.unwrap_or(0).max(at_least);
        let (mut revision, mut is_there) = (known, true);
        if known == 0 {
            // Nobody has published, or the pointer is lost.
            revision = self.newest_listed(app).await?;
        } else {
            let (known_is_there, is_followed) = tokio::try_join!(self.exists(app, known), self.exists(app, known + 1))?;
            if is_followed {
                revision = self.walk(app, known + 1).await?;
            } else if !known_is_there {
                // The pointer was written very late, or the version is lost.
                let listed = self.newest_listed(app).await?;
                (revision, is_there) = (known.max(listed), listed > known);
            }
        }
        if is_there && revision > pointer.unwrap_or(0) {
            self.repair_pointer(app, revision).await;
        }
        Ok(Current { revision, is_there })
    }

    /// The revision that the pointer names; `None` when there is no pointer, or one that can't be read.
    pub(crate) async fn pointer(&self, app: AppId) -> Result<Option<i64>, ReadFailure> {
        match self.objects.read(&pointer_path(app)).await {
            Ok(Some(bytes)) => Ok(version::parse_pointer(&bytes)),
            Ok(None) | Err(ObjectError::TooLarge { .. }) => Ok(None),
            Err(cause) => Err(ReadFailure::Store(cause)),
        }
    }

    /// Whether there is this version.
    pub(crate) async fn exists(&self, app: AppId, version: i64) -> Result<bool, ReadFailure> {
        self.objects.exists(&version_path(app, version)).await.map_err(ReadFailure::Store)
    }

    /// A version; `None` when there is none, or none any more.
    pub(crate) async fn version(&self, app: AppId, version: i64) -> Result<Option<Version>, ReadFailure> {
        let path = version_path(app, version);
        let broken = |reason: String| ReadFailure::Broken { path: self.objects.shown(&path), reason };
        match self.objects.read(&path).await {
            Ok(Some(bytes)) => Version::parse(version, &bytes).map(Some).map_err(|reason| broken(reason.to_string())),
            Ok(None) => Ok(None),
            Err(too_large @ ObjectError::TooLarge { .. }) => Err(broken(too_large.to_string())),
            Err(cause) => Err(ReadFailure::Store(cause)),
        }
    }

    /// Publishes `draft` as version `base` + 1, if `base` is the current revision. `known` is a revision that was current
    /// some time before. After an error the version may be there or not; a repeat tells.
    pub(crate) async fn publish(
        &self,
        app: AppId,
        base: i64,
        draft: &Draft,
        known: i64,
    ) -> Result<Outcome, PublishFailure> {
        let current = self.current(app, known).await?.revision;
        if current != base {
            return Ok(self.repeat_or_change(app, base, draft, current).await?);
        }
        self.take(app, base, draft).await
    }

    /// Takes the number `base` + 1, if nobody has it.
    async fn take(&self, app: AppId, base: i64, draft: &Draft) -> Result<Outcome, PublishFailure> {
        let version = draft.version(base + 1, self.clock.now());
        let created = self.objects.create(&version_path(app, base + 1), version.to_bytes()?).await;
        match created {
            Ok(Creation::Created) => {}
            // Who was first is decided. After an error it may have been this very attempt.
            Ok(Creation::Exists) => return Ok(self.lost_race(app, base, draft).await?),
            Err(cause) if self.exists(app, base + 1).await.unwrap_or(false) => {
                tracing::debug!(error = %cause, "an attempt to create a version failed, and there is one");
                return Ok(self.lost_race(app, base, draft).await?);
            }
            Err(cause) => return Err(PublishFailure::Write(cause)),
        }
        // Whoever stood still between its look at the current revision and its write, for as long as it took others to
        // publish all the versions that are kept, has taken a number that was free again.
        let newest = self.pointer(app).await?.unwrap_or(0);
        if newest > base + self.versions_kept {
            let _ = self.objects.delete(&version_path(app, base + 1)).await;
            return Ok(Outcome::Changed { current: newest });
        }
        if newest <= base {
            self.repair_pointer(app, base + 1).await;
        }
        Ok(Outcome::Published { version, is_new: true })
    }

    /// Whether the store creates objects only once; see [`Objects::keeps_its_word`].
    pub(crate) async fn check(&self) -> Result<(), PublishFailure> {
        match self.objects.keeps_its_word().await {
            Ok(true) => Ok(()),
            Ok(false) => Err(PublishFailure::Unconditional),
            Err(cause) => Err(PublishFailure::Write(cause)),
        }
    }

    /// The versions from `newest` on downwards, at most `limit`, and no further than the first that is not kept any more.
    /// One that is broken is left out.
    pub(crate) async fn list(&self, app: AppId, newest: i64, limit: usize) -> Result<Page, ReadFailure> {
        let numbers = (1..=newest).rev().take(limit);
        let mut found = stream::iter(numbers)
            .map(|number| async move { (number, self.version(app, number).await) })
            .buffered(LIST_PARALLEL);
        let mut page = Page { versions: Vec::new(), next_before: None };
        while let Some((number, version)) = found.next().await {
            match version {
                Ok(Some(version)) => page.versions.push(version),
                Ok(None) => return Ok(Page { next_before: None, ..page }),
                Err(broken @ ReadFailure::Broken { .. }) => tracing::error!(error = %broken, "left out of a list"),
                Err(cause) => return Err(cause),
            }
            page.next_before = (number > 1).then_some(number);
        }
        Ok(page)
    }

    /// The draft may be what somebody has published on this base already: the same caller, whose answer was lost.
    async fn repeat_or_change(
        &self,
        app: AppId,
        base: i64,
        draft: &Draft,
        current: i64,
    ) -> Result<Outcome, ReadFailure> {
        if current == base + 1 {
            let version = self.version(app, current).await?;
            if let Some(version) = version.filter(|version| version.has_document(&draft.document)) {
                return Ok(Outcome::Published { version, is_new: false });
            }
        }
        Ok(Outcome::Changed { current })
    }

    async fn lost_race(&self, app: AppId, base: i64, draft: &Draft) -> Result<Outcome, ReadFailure> {
        let current = self.current(app, base + 1).await?.revision;
        self.repeat_or_change(app, base, draft, current).await
    }

    /// The newest version from `from` on, which exists.
    async fn walk(&self, app: AppId, from: i64) -> Result<i64, ReadFailure> {
        let mut newest = from;
        for _ in 0..WALK_MAX {
            if !self.exists(app, newest + 1).await? {
                return Ok(newest);
            }
            newest += 1;
        }
        Ok(newest.max(self.newest_listed(app).await?))
    }

    async fn newest_listed(&self, app: AppId) -> Result<i64, ReadFailure> {
        Ok(self.listed(app).await?.into_iter().max().unwrap_or(0))
    }

    async fn listed(&self, app: AppId) -> Result<Vec<i64>, ReadFailure> {
        let names = self.objects.names(&versions_directory(app)).await.map_err(ReadFailure::Store)?;
        Ok(names.iter().filter_map(|name| version_of(name)).collect())
    }

    /// Makes a version ready. Off the runtime, whose threads a large document would hold up.
    async fn live(&self, app: AppId, version: Version) -> Result<Loaded, ReadFailure> {
        let path = self.place_of(app, version.info.version);
        let limits = self.limits.clone();
        match tokio::task::spawn_blocking(move || Live::of(&version, &limits)).await {
            Ok(Ok(live)) => Ok(Loaded::Newer(Arc::new(live))),
            Ok(Err(problems)) => Err(ReadFailure::Broken { path, reason: problems.to_string() }),
            Err(lost) => Err(ReadFailure::Broken { path, reason: lost.to_string() }),
        }
    }

    /// Best effort: that the pointer is behind is seen and repaired by whoever comes next.
    async fn repair_pointer(&self, app: AppId, revision: i64) {
        if let Err(cause) = self.objects.replace(&pointer_path(app), version::pointer_to(revision)).await {
            let app_id = app;
            tracing::warn!(%app_id, revision, error = %cause, "the pointer to an app's settings could not be written; the next look beyond it repairs it");
        }
    }

    /// Deletes versions beyond the number that is kept, at most two: what a publish of `newest` is followed by. Best effort:
    /// what stays is deleted after a later one.
    pub(crate) async fn delete_oldest(&self, app: AppId, newest: i64) {
        if newest <= self.versions_kept {
            return;
        }
        let Ok(mut versions) = self.listed(app).await else { return };
        versions.retain(|version| *version <= newest - self.versions_kept);
        versions.sort_unstable();
        for version in versions.into_iter().take(DELETED_AT_ONCE) {
            if let Err(cause) = self.objects.delete(&version_path(app, version)).await {
                let app_id = app;
                tracing::warn!(%app_id, version, error = %cause, "an old version of an app's settings could not be deleted");
            }
        }
    }
}

impl Source for VersionStore {
    async fn load(&self, app: AppId, known: i64, look: Look) -> Result<Loaded, ReadFailure> {
        if let Some(pointer) = self.pointer(app).await? {
            if known > 0 && look == Look::AtPointer && pointer <= known {
                return Ok(Loaded::Unchanged);
            }
            let looks_beyond = known == 0 || look == Look::Beyond;
            if pointer > known {
                let beyond = async { if looks_beyond { self.exists(app, pointer + 1).await } else { Ok(false) } };
                let (version, is_followed) = tokio::try_join!(self.version(app, pointer), beyond)?;
                if let Some(version) = version.filter(|_| !is_followed) {
                    return self.live(app, version).await;
                }
            }
        }
        let Current { revision, is_there } = self.current(app, known).await?;
        let version = match revision {
            0 => return Ok(Loaded::Absent),
            revision if is_there && revision == known => return Ok(Loaded::Unchanged),
            revision if is_there => self.version(app, revision).await?,
            _ => None,
        };
        match version {
            Some(version) => self.live(app, version).await,
            None => Err(ReadFailure::Broken { path: self.place_of(app, revision), reason: "is gone".to_owned() }),
        }
    }
}

fn pointer_path(app: AppId) -> String {
    format!("apps/{app}/current.json")
}

fn versions_directory(app: AppId) -> String {
    format!("apps/{app}/versions/")
}

fn version_path(app: AppId, version: i64) -> String {
    format!("apps/{app}/versions/{version}.json")
}

fn version_of(name: &str) -> Option<i64> {
    name.strip_suffix(".json")?.parse().ok().filter(|version| *version > 0)
}

#[cfg(test)]
mod tests;
