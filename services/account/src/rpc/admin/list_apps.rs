//! `AdminListApps`: every app, by id, in pages.

use idl::account_admin::{ListAppsRequest, ListAppsResponse};

use super::wire::{app_details, cut_to_page, page_and_one};
use crate::{error::AccountError, service::Parts, store::apps::Apps};

pub(crate) async fn list_apps(parts: &Parts, request: ListAppsRequest) -> Result<ListAppsResponse, AccountError> {
    let limit = page_and_one(request.limit)?;
    let apps = Apps::new(parts.app_editor.database.clone());
    let mut found = apps.page(request.after.unwrap_or_default(), limit).await?;
    let more = cut_to_page(&mut found, limit);
    Ok(ListAppsResponse { apps: found.into_iter().map(app_details).collect(), more })
}

#[cfg(test)]
mod tests {
    use common::error_code::ErrorCode;
    use idl::{account::AccountService, account_admin::ListAppsRequest};

    use crate::testing::{Service, field, public};

    common::on_each_database! {
        async fn pages_hold_every_app_once(database: TestDatabase) {
            let service = Service::start(database).await;
            for name in ["Two", "Three"] {
                service.admin().create_app(name, None).await.expect("made");
            }
            let page = async |after, limit| public(service.account.admin_list_apps(ListAppsRequest { after, limit }).await);
            let first = page(None, 2).await.expect("a page");
            assert!(first.more && first.apps.len() == 2);
            let last = page(Some(first.apps[1].app_id), 2).await.expect("a page");
            assert_eq!((last.more, &*last.apps[0].name, last.apps.len()), (false, "Three", 1));
            for limit in [0, 201] {
                assert_eq!(field(page(None, limit).await), (ErrorCode::INVALID_ARGUMENT, "limit".to_owned()));
            }
        }
    }
}
