//! How what the service knows crosses to operators.

use idl::setting_admin as wire;
use pilota::FastStr;
use serde_json::Value;

use crate::{
    domain::{AppId, Change, diff},
    error::AdminError,
    operations::compute,
    service::Parts,
    store::{EMPTY_DOCUMENT, ReadFailure, Version, VersionInfo},
};

/// Changes that are shown at most.
const CHANGES_MAX: usize = 1000;

pub(super) fn published(info: &VersionInfo) -> wire::Published {
    wire::Published { revision: info.version, published_at: info.published_at.as_millis() }
}

pub(super) fn version_info(info: &VersionInfo) -> wire::VersionInfo {
    wire::VersionInfo {
        version: info.version,
        published_at: info.published_at.as_millis(),
        author: info.author.clone(),
        note: info.note.clone(),
        rolled_back_to: info.rolled_back_to,
        bytes: i64::try_from(info.bytes).unwrap_or(i64::MAX),
    }
}

/// The text of an app's current document, and its revision; an empty document, and 0, if it has published none.
pub(super) async fn current_document(parts: &Parts, app: AppId) -> Result<(i64, FastStr), AdminError> {
    let known = parts.settings.known(app).await;
    let current = parts.store.current(app, known).await?.revision;
    if current == 0 {
        return Ok((0, FastStr::from_static_str(EMPTY_DOCUMENT)));
    }
    Ok((current, FastStr::new(&*version(parts, app, current).await?.document)))
}

pub(super) async fn version(parts: &Parts, app: AppId, version: i64) -> Result<Version, AdminError> {
    parts.store.version(app, version).await?.ok_or(AdminError::NoSuchVersion { version })
}

/// The changes from one document to another, and whether there are more.
pub(super) async fn changes(
    before: FastStr,
    after: FastStr,
    path: impl FnOnce() -> String,
) -> Result<(Vec<wire::Change>, bool), AdminError> {
    let compared = compute(move || {
        let (before, after): (Value, Value) = (serde_json::from_str(&before)?, serde_json::from_str(&after)?);
        Ok::<_, serde_json::Error>(diff(&before, &after, CHANGES_MAX))
    });
    let (changes, truncated) =
        compared.await?.map_err(|reason| ReadFailure::Broken { path: path(), reason: reason.to_string() })?;
    Ok((changes.into_iter().map(change).collect(), truncated))
}

fn change(change: Change) -> wire::Change {
    wire::Change {
        path: change.path.into(),
        kind: FastStr::from_static_str(change.kind.name()),
        before_json: change.before_json.map(FastStr::from),
        after_json: change.after_json.map(FastStr::from),
    }
}
