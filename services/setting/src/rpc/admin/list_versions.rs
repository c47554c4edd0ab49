//! `AdminListVersions`: who published what and why, newest first.

use std::sync::Arc;

use idl::setting_admin::{ListVersionsRequest, ListVersionsResponse};

use super::{field, wire};
use crate::{
    error::{AdminError, ArgumentError},
    operations::carry_out,
    service::Parts,
};

const LIMIT_MAX: i32 = 100;

pub(crate) async fn list_versions(
    parts: &Arc<Parts>,
    request: ListVersionsRequest,
) -> Result<ListVersionsResponse, AdminError> {
    let app = field::app_id(request.app_id)?;
    let before = request.before.map(|before| field::version("before", before)).transpose()?;
    let limit = match usize::try_from(request.limit) {
        Ok(limit) if (1..=LIMIT_MAX).contains(&request.limit) => limit,
        _ => return Err(ArgumentError::new("limit", format!("must be 1-{LIMIT_MAX}")).into()),
    };
    carry_out(parts, move |parts| async move {
        let known = parts.settings.known(app).await;
        let current = parts.store.current(app, known).await?.revision;
        let newest = before.map_or(current, |before| current.min(before - 1));
        let page = parts.store.list(app, newest, limit).await?;
        Ok(ListVersionsResponse {
            versions: page.versions.iter().map(|version| wire::version_info(&version.info)).collect(),
            next_before: page.next_before,
        })
    })
    .await
}

#[cfg(test)]
mod tests {
    use common::{error_code::ErrorCode, rpc::Refusal};

    use super::*;
    use crate::testing::Service;

    async fn ask(service: &Service, before: Option<i64>, limit: i32) -> Result<(Vec<i64>, Option<i64>), AdminError> {
        let request = ListVersionsRequest { app_id: 1, before, limit };
        let answer = list_versions(service.parts(), request).await?;
        Ok((answer.versions.iter().map(|info| info.version).collect(), answer.next_before))
    }

    #[tokio::test]
    async fn versions_are_listed_from_the_newest_on_and_read_on_to_the_first() {
        let service = Service::start();
        assert_eq!(ask(&service, None, 10).await.expect("listed"), (vec![], None));
        for base in 0..7 {
            service
                .publish(1, base, &format!(r#"{{"settings":{{"n":{{"type":"number","value":{base}}}}}}}"#))
                .await
                .expect("published");
        }
        assert_eq!(ask(&service, None, 3).await.expect("listed"), (vec![7, 6, 5], Some(5)));
        assert_eq!(ask(&service, Some(5), 3).await.expect("listed"), (vec![4, 3, 2], Some(2)));
        assert_eq!(ask(&service, Some(2), 3).await.expect("listed"), (vec![1], None));
        assert_eq!(ask(&service, Some(1), 3).await.expect("listed"), (vec![], None));
        assert_eq!(ask(&service, Some(1000), 7).await.expect("listed"), (vec![7, 6, 5, 4, 3, 2, 1], None));
    }

    #[tokio::test]
    async fn a_page_that_can_not_be_is_refused_by_field() {
        let service = Service::start();
        for (before, limit, field) in
            [(None, 0, "limit"), (None, 101, "limit"), (None, -1, "limit"), (Some(0), 1, "before")]
        {
            let refusal = ask(&service, before, limit).await.expect_err("refused").public();
            assert_eq!((refusal.code, refusal.details[0].0.as_str()), (ErrorCode::INVALID_ARGUMENT, field));
        }
    }
}
