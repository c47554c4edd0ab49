//! From a text to a version that this replica answers with.

use std::sync::Arc;

use pilota::FastStr;

use crate::{
    domain::{AppId, Document, Snapshot},
    error::AdminError,
    operations::{self, compute},
    service::Parts,
    store::{Draft, Live, Outcome, PublishFailure, VersionInfo},
};

/// What somebody wants to publish; the fields have been looked at, the document has not.
pub(crate) type Prepared = Draft;

/// Publishes a document as version `base` + 1, answers with it here at once, and tells the other replicas.
pub(crate) async fn publish(
    parts: &Arc<Parts>,
    app: AppId,
    base: i64,
    draft: Draft,
) -> Result<VersionInfo, AdminError> {
    let count = &parts.metrics.publishes;
    let result = try_publish(parts, app, base, draft).await;
    match &result {
        Ok((_, true)) => count.published.inc(),
        Ok((_, false)) => count.repeated.inc(),
        Err(AdminError::Changed { .. }) => count.changed.inc(),
        Err(AdminError::Document(_) | AdminError::TooLarge { .. }) => count.refused.inc(),
        Err(_) => count.failed.inc(),
    }
    result.map(|(info, _)| info)
}

/// Reads a document that is to be published, or is looked at as if it were.
pub(crate) async fn parse(parts: &Parts, document: FastStr) -> Result<Document, AdminError> {
    let bytes_max = parts.limits.document_bytes_max;
    if document.len() > bytes_max {
        return Err(AdminError::TooLarge { bytes_max });
    }
    let limits = parts.limits.clone();
    compute(move || Document::parse(document.as_bytes(), &limits)).await?.map_err(AdminError::Document)
}

async fn try_publish(
    parts: &Arc<Parts>,
    app: AppId,
    base: i64,
    draft: Draft,
) -> Result<(VersionInfo, bool), AdminError> {
    let document = parse(parts, FastStr::new(&*draft.document)).await?;
    check_store(parts).await?;
    let known = parts.settings.known(app).await;
    let (version, is_new) = match parts.store.publish(app, base, &draft, known).await? {
        Outcome::Published { version, is_new } => (version, is_new),
        Outcome::Changed { current } => return Err(AdminError::Changed { current }),
    };
    let info = version.info;
    tracing::info!(app_id = %app, revision = info.version, author = %info.author, is_new, "settings are published");
    // It is published whatever happens from here on.
    let of_version = info.clone();
    let live = compute(move || Live { snapshot: Snapshot::compile(of_version.version, document), info: of_version });
    if let Ok(live) = live.await {
        parts.settings.show(app, Arc::new(live)).await;
    }
    if let Some(hints) = &parts.hints {
        hints.add(app, info.version);
    }
    // Whoever has published does not wait for what others have published long ago.
    let (store, newest) = (parts.store.clone(), info.version);
    operations::afterwards(async move { store.delete_oldest(app, newest).await });
    Ok((info, is_new))
}

/// Once per process, before the first publish: a store that does not do what publishing rests on is found out before it does
/// harm, and one that is away then keeps nobody from starting or reading.
async fn check_store(parts: &Parts) -> Result<(), PublishFailure> {
    parts.store_is_checked.get_or_try_init(|| parts.store.check()).await.copied()
}
