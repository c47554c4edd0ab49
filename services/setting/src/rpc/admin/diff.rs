//! `AdminDiff`: what is different between two versions.

use std::sync::Arc;

use idl::setting_admin::{DiffRequest, DiffResponse};
use pilota::FastStr;

use super::{field, wire};
use crate::{error::AdminError, operations::carry_out, service::Parts};

pub(crate) async fn diff(parts: &Arc<Parts>, request: DiffRequest) -> Result<DiffResponse, AdminError> {
    let app = field::app_id(request.app_id)?;
    let from = field::version("from_version", request.from_version)?;
    let to = field::version("to_version", request.to_version)?;
    carry_out(parts, move |parts| async move {
        let (before, after) = tokio::try_join!(wire::version(&parts, app, from), wire::version(&parts, app, to))?;
        let (before, after) = (FastStr::new(&*before.document), FastStr::new(&*after.document));
        let (changes, truncated) = wire::changes(before, after, || parts.store.place_of(app, to)).await?;
        Ok(DiffResponse { changes, truncated })
    })
    .await
}

#[cfg(test)]
mod tests {
    use common::{error_code::ErrorCode, rpc::Refusal};

    use super::*;
    use crate::testing::Service;

    async fn ask(service: &Service, from_version: i64, to_version: i64) -> Result<DiffResponse, AdminError> {
        diff(service.parts(), DiffRequest { app_id: 1, from_version, to_version }).await
    }

    #[tokio::test]
    async fn two_versions_are_compared_in_either_direction() {
        let service = Service::start();
        service.publish(1, 0, r#"{"settings":{}}"#).await.expect("published");
        service.publish(1, 1, r#"{"settings":{"a":{"type":"bool","value":true}}}"#).await.expect("published");
        for (from, to, kind) in [(1, 2, "added"), (2, 1, "removed")] {
            let answer = ask(&service, from, to).await.expect("compared");
            assert_eq!((answer.changes.len(), answer.truncated), (1, false));
            assert_eq!((answer.changes[0].path.as_str(), answer.changes[0].kind.as_str()), ("settings.a", kind));
        }
        assert_eq!(ask(&service, 2, 2).await.expect("compared").changes, []);
    }

    #[tokio::test]
    async fn a_version_that_does_not_exist_is_not_found() {
        let service = Service::start();
        service.publish(1, 0, r#"{"settings":{}}"#).await.expect("published");
        let refusal = ask(&service, 1, 2).await.expect_err("refused").public();
        assert_eq!(refusal.code, ErrorCode::NO_SUCH_SETTING);
    }
}
