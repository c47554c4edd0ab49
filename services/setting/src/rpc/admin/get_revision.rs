//! `AdminGetRevision`: a document as it was published.

use std::sync::Arc;

use common::context::RequestContext;
use idl::setting_admin::{GetRevisionRequest, Revision};
use pilota::FastStr;

use super::{field, wire};
use crate::{
    domain::AppId,
    error::AdminError,
    operations::carry_out,
    service::Parts,
    store::{Copied, EMPTY_DOCUMENT, Version, Wait},
};

pub(crate) async fn get_revision(parts: &Arc<Parts>, request: GetRevisionRequest) -> Result<Revision, AdminError> {
    let app = field::app_id(request.app_id)?;
    let asked = request.revision.map(|revision| field::version("revision", revision)).transpose()?;
    let patience = RequestContext::current().and_then(|context| context.remaining());
    carry_out(parts, move |parts| async move {
        match asked {
            Some(version) => Ok(answer(&wire::version(&parts, app, version).await?, None)),
            None => current(&parts, app, patience.map(|patience| patience / 2)).await,
        }
    })
    .await
}

/// What players are answered from, after a look into the store; its document has to be read, which takes the other half of
/// the caller's patience.
async fn current(parts: &Parts, app: AppId, patience: Option<std::time::Duration>) -> Result<Revision, AdminError> {
    let wait = Wait { patience, min_revision: 0 };
    let Copied { live, age } = parts.settings.get_after_look(app, wait).await?;
    let age_ms = Some(i64::try_from(age.as_millis()).unwrap_or(i64::MAX));
    if live.revision() == 0 {
        let document_json = FastStr::from_static_str(EMPTY_DOCUMENT);
        return Ok(Revision { revision: 0, document_json, age_ms, ..Revision::default() });
    }
    Ok(answer(&wire::version(parts, app, live.revision()).await?, age_ms))
}

fn answer(version: &Version, age_ms: Option<i64>) -> Revision {
    Revision {
        revision: version.info.version,
        document_json: FastStr::new(&*version.document),
        info: Some(wire::version_info(&version.info)),
        age_ms,
    }
}

#[cfg(test)]
mod tests {
    use common::{error_code::ErrorCode, rpc::Refusal};

    use super::*;
    use crate::testing::Service;

    async fn ask(service: &Service, revision: Option<i64>) -> Result<Revision, AdminError> {
        let request = GetRevisionRequest { app_id: 1, revision };
        get_revision(service.parts(), request).await
    }

    #[tokio::test]
    async fn an_app_that_has_published_nothing_is_at_revision_0_with_an_empty_document() {
        let answer = ask(&Service::start(), None).await.expect("answered");
        assert_eq!((answer.revision, answer.document_json.as_str()), (0, r#"{"settings":{}}"#));
        assert_eq!((answer.info, answer.age_ms.is_some()), (None, true));
    }

    #[tokio::test]
    async fn the_current_and_earlier_documents_are_answered_as_they_were_published() {
        let service = Service::start();
        let documents = [r#"{ "settings": {} }"#, r#"{"settings":{"a":{"type":"bool","value":true}}}"#];
        service.publish(1, 0, documents[0]).await.expect("published");
        // Another replica has heard of the first and not of the second.
        let other = service.replica();
        assert_eq!(ask(&other, None).await.expect("answered").document_json, documents[0]);
        service.publish(1, 1, documents[1]).await.expect("published");
        let current = ask(&other, None).await.expect("answered");
        assert_eq!((current.revision, current.document_json.as_str()), (2, documents[1]));
        let info = current.info.expect("who and why");
        assert_eq!((info.version, info.author.as_str(), info.note.as_str()), (2, "ann", "a note"));
        assert_eq!(info.bytes, i64::try_from(documents[1].len()).expect("small"));
        let earlier = ask(&other, Some(1)).await.expect("answered");
        assert_eq!((earlier.document_json.as_str(), earlier.age_ms), (documents[0], None));
    }

    #[tokio::test]
    async fn a_version_that_does_not_exist_is_not_found() {
        let refusal = ask(&Service::start(), Some(3)).await.expect_err("refused").public();
        assert_eq!(refusal.code, ErrorCode::NO_SUCH_SETTING);
        let refusal = ask(&Service::start(), Some(0)).await.expect_err("refused").public();
        assert_eq!((refusal.code, refusal.details[0].0.as_str()), (ErrorCode::INVALID_ARGUMENT, "revision"));
    }
}
