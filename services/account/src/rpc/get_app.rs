//! `GetApp`: an app and its live secrets, for the gateway that checks its signatures and for pay, which delivers
//! to it.

use idl::account::{AppInfo, GetAppRequest, GetAppResponse};

use crate::{
    domain::{app::App, ids::AppId},
    error::AccountError,
    service::Parts,
};

pub(crate) async fn get_app(parts: &Parts, request: GetAppRequest) -> Result<GetAppResponse, AccountError> {
    let Ok(app_id) = AppId::parse(request.app_id) else {
        return Ok(GetAppResponse { app: None });
    };
    if request.read_again.unwrap_or_default() {
        parts.apps.refresh().await?;
    }
    let app = parts.apps.find(app_id).await?;
    Ok(GetAppResponse { app: app.map(|app| app_info(&app)) })
}

/// As callers see it.
pub(crate) fn app_info(app: &App) -> AppInfo {
    AppInfo {
        app_id: app.app_id.get(),
        name: app.name.clone().into(),
        enabled: app.enabled,
        delivery_url: app.delivery_url.clone().map(Into::into),
        refund_url: app.refund_url.clone().map(Into::into),
        secrets: app.secrets.iter().map(|secret| secret.expose().to_owned().into()).collect(),
    }
}

#[cfg(test)]
mod tests {
    use idl::account::{AccountService, AppInfo, GetAppRequest};

    use crate::testing::{Service, public};

    async fn get(service: &Service, app_id: i64) -> Option<AppInfo> {
        public(service.account.get_app(GetAppRequest { app_id, read_again: None }).await).expect("an answer").app
    }

    common::on_each_database! {
        async fn an_app_is_answered_with_its_live_secrets_newest_first(database: TestDatabase) {
            let service = Service::start(database).await;
            let first = service.app.app_secret.expose().to_owned();
            let app = get(&service, service.app_id()).await.expect("there");
            assert_eq!((&*app.name, app.enabled, app.secrets), ("Test Game", true, vec![first.clone().into()]));
            let mut newest = vec![first];
            for _ in 0..3 {
                let rotated = service.admin().rotate_app_secret(service.app_id()).await.expect("rotated");
                newest.insert(0, rotated.app_secret.expose().to_owned());
                service.account.parts().apps.refresh().await.expect("read again");
                let app = get(&service, service.app_id()).await.expect("there");
                assert_eq!(app.secrets, newest[..2].to_vec());
            }
        }

        async fn a_new_secret_is_there_at_once_for_whoever_asks_for_it(database: TestDatabase) {
            let service = Service::start(database).await;
            let app_id = service.app_id();
            let rotated = service.admin().rotate_app_secret(app_id).await.expect("rotated");
            let newest = rotated.app_secret.expose();
            assert_ne!(get(&service, app_id).await.expect("there").secrets[0], newest);
            let read_again = GetAppRequest { app_id, read_again: Some(true) };
            let app = public(service.account.get_app(read_again).await).expect("an answer").app;
            assert_eq!(app.expect("there").secrets[0], newest);
        }

        async fn a_new_app_is_there_at_once_and_an_unknown_one_is_absent(database: TestDatabase) {
            let service = Service::start(database).await;
            assert_eq!(get(&service, 4242).await, None);
            service.admin().create_app("Other", Some(4242)).await.expect("made");
            assert!(get(&service, 4242).await.is_some());
            for impossible in [0, -1, i64::MAX] {
                assert_eq!(get(&service, impossible).await, None);
            }
        }

        async fn known_apps_stay_known_while_the_database_is_away(database: TestDatabase) {
            let service = Service::start(database).await;
            service.database.close().await;
            assert!(get(&service, service.app_id()).await.is_some());
            for unsure in [
                GetAppRequest { app_id: 4242, read_again: None },
                GetAppRequest { app_id: service.app_id(), read_again: Some(true) },
            ] {
                assert!(service.account.get_app(unsure).await.is_err());
            }
        }
    }
}
