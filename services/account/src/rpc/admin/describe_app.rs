//! `AdminDescribeApp`: an app as it is in the database.

use idl::account_admin::{DescribeAppRequest, DescribeAppResponse};

use super::wire::app_details;
use crate::{domain::ids::AppId, error::AccountError, service::Parts, store::apps::Apps};

pub(crate) async fn describe_app(
    parts: &Parts,
    request: DescribeAppRequest,
) -> Result<DescribeAppResponse, AccountError> {
    let app_id = AppId::parse(request.app_id).map_err(|_| AccountError::NoSuchApp)?;
    let app = Apps::new(parts.app_editor.database.clone()).find(app_id).await?;
    Ok(DescribeAppResponse { app: app_details(app.ok_or(AccountError::NoSuchApp)?) })
}

#[cfg(test)]
mod tests {
    use common::error_code::ErrorCode;
    use idl::{account::AccountService, account_admin::DescribeAppRequest};

    use crate::testing::{Service, code, public};

    common::on_each_database! {
        async fn an_app_is_described_and_an_unknown_one_is_not_there(database: TestDatabase) {
            let service = Service::start(database).await;
            let describe = |app_id| service.account.admin_describe_app(DescribeAppRequest { app_id });
            let app = public(describe(service.app_id()).await).expect("there").app;
            assert_eq!((&*app.name, app.policy.registration_open), ("Test Game", true));
            for nobody in [-1, 0, 4242] {
                assert_eq!(code(public(describe(nobody).await)), ErrorCode::NO_SUCH_APP);
            }
        }
    }
}
