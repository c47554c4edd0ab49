//! `AdminRollback`: an earlier version is published again, as the next revision.

use std::sync::Arc;

use idl::setting_admin::{Published, RollbackRequest};

use super::{field, wire};
use crate::{
    domain::AppId,
    error::AdminError,
    operations::carry_out,
    publishing,
    service::Parts,
    store::{Draft, VersionInfo},
};

/// Others may publish meanwhile. Who names no revision wants the earlier version back whatever they have published; but
/// where they do so all the time, somebody should look first.
const ATTEMPTS: usize = 3;

pub(crate) async fn rollback(parts: &Arc<Parts>, request: RollbackRequest) -> Result<Published, AdminError> {
    let app = field::app_id(request.app_id)?;
    let to_version = field::version("to_version", request.to_version)?;
    let base = request.base_revision.map(field::base_revision).transpose()?;
    let (author, note) = (field::author(request.author)?, field::note(request.note)?);
    let info = carry_out(parts, move |parts| async move {
        let document = wire::version(&parts, app, to_version).await?.document;
        let draft = Draft { document, author, note, rolled_back_to: Some(to_version) };
        match base {
            Some(base) => publishing::publish(&parts, app, base, draft).await,
            None => over_whatever_is_current(&parts, app, draft).await,
        }
    })
    .await?;
    Ok(wire::published(&info))
}

async fn over_whatever_is_current(parts: &Arc<Parts>, app: AppId, draft: Draft) -> Result<VersionInfo, AdminError> {
    let known = parts.settings.known(app).await;
    let mut base = parts.store.current(app, known).await?.revision;
    for _ in 1..ATTEMPTS {
        match publishing::publish(parts, app, base, draft.clone()).await {
            Err(AdminError::Changed { current }) => base = current,
            ended => return ended,
        }
    }
    publishing::publish(parts, app, base, draft).await
}

#[cfg(test)]
mod tests;
