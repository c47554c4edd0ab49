//! `AdminValidate`: what is wrong with a document, and what publishing it would change.

use std::sync::Arc;

use idl::setting_admin::{Problem, ValidateRequest, ValidateResponse};

use super::{field, wire};
use crate::{domain, error::AdminError, operations::carry_out, publishing, service::Parts};

pub(crate) async fn validate(parts: &Arc<Parts>, request: ValidateRequest) -> Result<ValidateResponse, AdminError> {
    let app = field::app_id(request.app_id)?;
    carry_out(parts, move |parts| async move {
        let document = request.document_json;
        let problems = match publishing::parse(&parts, document.clone()).await {
            Ok(_) => Vec::new(),
            Err(AdminError::Document(problems)) => problems.into_vec().into_iter().map(problem).collect(),
            Err(cause) => return Err(cause),
        };
        let (current_revision, current) = wire::current_document(&parts, app).await?;
        let changes = if problems.is_empty() {
            wire::changes(current, document, || parts.store.place_of(app, current_revision)).await?.0
        } else {
            Vec::new()
        };
        Ok(ValidateResponse { problems, changes, current_revision })
    })
    .await
}

fn problem(problem: domain::Problem) -> Problem {
    Problem { path: problem.path.into(), reason: problem.reason.into() }
}

#[cfg(test)]
mod tests {
    use common::{error_code::ErrorCode, rpc::Refusal};
    use pilota::FastStr;

    use super::*;
    use crate::testing::Service;

    async fn ask(service: &Service, document: &str) -> Result<ValidateResponse, AdminError> {
        let request = ValidateRequest { app_id: 1, document_json: FastStr::new(document) };
        validate(service.parts(), request).await
    }

    #[tokio::test]
    async fn a_good_document_is_compared_with_what_is_current() {
        let service = Service::start();
        let one = r#"{"settings":{"a":{"type":"number","value":1}}}"#;
        let first = ask(&service, one).await.expect("answered");
        assert_eq!((first.current_revision, first.problems.len()), (0, 0));
        assert_eq!(first.changes.len(), 1);
        assert_eq!((first.changes[0].path.as_str(), first.changes[0].kind.as_str()), ("settings.a", "added"));
        service.publish(1, 0, one).await.expect("published");
        let two = ask(&service, r#"{"settings":{"a":{"type":"number","value":2}}}"#).await.expect("answered");
        assert_eq!(two.current_revision, 1);
        let change = &two.changes[0];
        assert_eq!((change.path.as_str(), change.kind.as_str()), ("settings.a.value", "changed"));
        assert_eq!((change.before_json.as_deref(), change.after_json.as_deref()), (Some("1"), Some("2")));
        assert_eq!(ask(&service, one).await.expect("answered").changes, []);
    }

    #[tokio::test]
    async fn everything_that_is_wrong_is_told_at_once_and_nothing_is_published() {
        let service = Service::start();
        let bad = r#"{"settings":{"a":{"type":"number","value":"x"},"b":{"type":"nothing","value":1}}}"#;
        let answer = ask(&service, bad).await.expect("answered");
        assert!(answer.problems.len() >= 2, "{:?}", answer.problems);
        assert!(answer.problems.iter().any(|problem| problem.path.starts_with("settings.a")), "{:?}", answer.problems);
        assert_eq!(answer.changes, []);
        assert_eq!(service.revision(1).await, 0);
    }

    #[tokio::test]
    async fn a_document_that_is_too_large_is_not_read() {
        let service = Service::start();
        let refusal = ask(&service, &" ".repeat(1 << 21)).await.expect_err("refused").public();
        assert_eq!(refusal.code, ErrorCode::BODY_TOO_LARGE);
    }
}
