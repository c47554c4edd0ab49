//! `GetRevisions`: which revision each app is at, from memory. For gateways, which keep copies of their own.

use idl::setting::{GetRevisionsRequest, GetRevisionsResponse};
use pilota::AHashMap;

use crate::{domain::AppId, error::ArgumentError, service::Parts};

/// Protects the answer's size, and the store from a request that names apps at random.
const APPS_MAX: usize = 1000;

pub(crate) async fn get_revisions(
    parts: &Parts,
    request: GetRevisionsRequest,
) -> Result<GetRevisionsResponse, ArgumentError> {
    if request.app_ids.len() > APPS_MAX {
        return Err(ArgumentError::new("app_ids", format!("must be at most {APPS_MAX}")));
    }
    let apps = request.app_ids.into_iter().map(|app_id| AppId::parse(app_id).map(|app| (app_id, app)));
    let apps: Vec<_> = apps.collect::<Result<_, _>>().map_err(ArgumentError::of("app_ids"))?;
    let mut revisions = AHashMap::with_capacity(apps.len());
    for (app_id, app) in apps {
        if let Some(revision) = parts.settings.revision(app).await {
            revisions.insert(app_id, revision);
        }
    }
    Ok(GetRevisionsResponse { revisions })
}

#[cfg(test)]
mod tests {
    use common::{error_code::ErrorCode, rpc::Refusal};

    use super::*;
    use crate::testing::Service;

    async fn ask(service: &Service, app_ids: Vec<i64>) -> Result<Vec<(i64, i64)>, ArgumentError> {
        let request = GetRevisionsRequest { app_ids };
        let answer = get_revisions(service.parts(), request).await?;
        let mut revisions: Vec<(i64, i64)> = answer.revisions.into_iter().collect();
        revisions.sort_unstable();
        Ok(revisions)
    }

    #[tokio::test]
    async fn apps_there_is_a_copy_of_are_answered_and_the_others_are_read_for_the_next_time() {
        let service = Service::start();
        service.publish(1, 0, r#"{"settings":{}}"#).await.expect("published");
        assert_eq!(ask(&service, vec![1, 2]).await.expect("answered"), [(1, 1)]);
        service.eventually(async || ask(&service, vec![1, 2]).await.expect("answered") == [(1, 1), (2, 0)]).await;
    }

    #[tokio::test]
    async fn too_many_apps_and_one_that_can_not_be_are_refused() {
        let service = Service::start();
        for bad in [vec![0], (1..=1001).collect()] {
            let refusal = ask(&service, bad).await.expect_err("refused").public();
            assert_eq!((refusal.code, refusal.details[0].0.as_str()), (ErrorCode::INVALID_ARGUMENT, "app_ids"));
        }
        assert_eq!(ask(&service, vec![]).await.expect("answered"), []);
    }
}
