//! `AdminPublish`: a document becomes the next revision.

use std::sync::Arc;

use idl::setting_admin::{PublishRequest, Published};

use super::{field, wire};
use crate::{error::AdminError, operations::carry_out, publishing, service::Parts, store::Draft};

pub(crate) async fn publish(parts: &Arc<Parts>, request: PublishRequest) -> Result<Published, AdminError> {
    let app = field::app_id(request.app_id)?;
    let base = field::base_revision(request.base_revision)?;
    let draft = Draft {
        document: (&*request.document_json).into(),
        author: field::author(request.author)?,
        note: field::note(request.note)?,
        rolled_back_to: None,
    };
    let info =
        carry_out(parts, move |parts| async move { publishing::publish(&parts, app, base, draft).await }).await?;
    Ok(wire::published(&info))
}

#[cfg(test)]
mod tests;
