//! `AdminUpdateApp`: changes what is named of an app, and leaves the rest.

use idl::account_admin::{UpdateAppRequest, UpdateAppResponse};

use super::wire::{app_details, follow_own_change, policy_change};
use crate::{
    domain::{
        app::{AppName, DeliveryUrl},
        app_details::AppChange,
        audit::Actor,
        ids::AppId,
    },
    error::AccountError,
    service::Parts,
};

pub(crate) async fn update_app(parts: &Parts, request: UpdateAppRequest) -> Result<UpdateAppResponse, AccountError> {
    let actor = Actor::parse(&request.actor)?;
    let app_id = AppId::parse(request.app_id).map_err(|_| AccountError::NoSuchApp)?;
    let delivery_url = request.delivery_url.map(|change| change.url.as_deref().map(DeliveryUrl::parse).transpose());
    let refund_url =
        request.refund_url.map(|change| change.url.as_deref().map(DeliveryUrl::parse_refund_url).transpose());
    let change = AppChange {
        name: request.name.as_deref().map(AppName::parse).transpose()?,
        enabled: request.enabled,
        delivery_url: delivery_url.transpose()?,
        refund_url: refund_url.transpose()?,
        policy: policy_change(parts, request.policy)?,
    };
    let app = parts.app_editor.update(&actor, app_id, &change, parts.config.tokens.caps()).await?;
    follow_own_change(parts).await;
    Ok(UpdateAppResponse { app: app_details(app) })
}

#[cfg(test)]
mod tests {
    use common::{config::Environment, error_code::ErrorCode};
    use idl::{
        account::AccountService,
        account_admin::{
            AppDetails, DeliveryUrlChange, DeviceLimit, DeviceLimitChange, LifetimeChange, PolicyChange,
            UpdateAppRequest,
        },
    };

    use crate::{
        start::Resources,
        testing::{PASSWORD, Service, code, config, field, public},
    };

    fn policy(service: &Service, policy: PolicyChange) -> UpdateAppRequest {
        UpdateAppRequest { policy: Some(policy), ..nothing(service) }
    }

    fn nothing(service: &Service) -> UpdateAppRequest {
        UpdateAppRequest { actor: "operator".into(), app_id: service.app_id(), ..UpdateAppRequest::default() }
    }

    async fn update(service: &Service, request: UpdateAppRequest) -> AppDetails {
        public(service.account.admin_update_app(request).await).expect("changed").app
    }

    common::on_each_database! {
        async fn in_production_no_app_gets_id_tokens_of_an_issuer_nobody_chose(database: TestDatabase) {
            let mut service = Service::start(database).await;
            let wanted = || PolicyChange { id_token: Some(true), ..PolicyChange::default() };
            let production = |resources| Resources { environment: Environment::Production, ..resources };
            service.restart_with(config(), production).await;
            let refused = field(public(service.account.admin_update_app(policy(&service, wanted())).await));
            assert_eq!(refused, (ErrorCode::INVALID_ARGUMENT, "policy.id_token".to_owned()));
            let mut chosen = config();
            chosen.id_token.issuer = "https://login.example".to_owned();
            service.restart_with(chosen, production).await;
            assert!(update(&service, policy(&service, wanted())).await.policy.id_token);
        }

        async fn a_kind_that_is_switched_off_and_closed_registration_hold_from_the_answer_on(database: TestDatabase) {
            let service = Service::start(database).await;
            service.register("ann").await.expect("registered");
            let closed = PolicyChange { registration_open: Some(false), ..PolicyChange::default() };
            update(&service, policy(&service, closed)).await;
            assert_eq!(code(service.register("bob").await), ErrorCode::LOGIN_KIND_DISABLED);
            assert_eq!(code(service.device_login("new", None).await), ErrorCode::LOGIN_KIND_DISABLED);
            service.login("ann", PASSWORD).await.expect("who has an account signs in");
            let device_only = PolicyChange { login_kinds: Some(vec!["device".into()]), ..PolicyChange::default() };
            let app = update(&service, policy(&service, device_only)).await;
            assert_eq!((app.policy.login_kinds, app.policy.registration_open), (vec!["device".into()], false));
            assert_eq!(code(service.login("ann", PASSWORD).await), ErrorCode::LOGIN_KIND_DISABLED);
            update(&service, UpdateAppRequest { enabled: Some(false), ..nothing(&service) }).await;
            assert_eq!(code(service.login("ann", PASSWORD).await), ErrorCode::APP_DISABLED);
        }

        async fn another_instance_follows_with_its_next_read(database: TestDatabase) {
            let service = Service::start(database).await;
            let other = service.replica().await;
            update(&service, UpdateAppRequest { enabled: Some(false), ..nothing(&service) }).await;
            let on_other = || async { public(other.register(service.register_request("ann", PASSWORD)).await) };
            other.parts().apps.refresh().await.expect("read");
            assert_eq!(code(on_other().await), ErrorCode::APP_DISABLED);
        }

        async fn a_change_leaves_what_it_does_not_name_and_null_is_back_to_the_default(database: TestDatabase) {
            let service = Service::start(database).await;
            let limit = DeviceLimit { max: 2, on_excess: "refuse_newest".into() };
            let first = PolicyChange {
                access_ttl: Some(LifetimeChange { seconds: Some(60) }),
                devices: Some([("web".into(), DeviceLimitChange { limit: Some(limit.clone()) })].into_iter().collect()),
                ..PolicyChange::default()
            };
            let url = DeliveryUrlChange { url: Some("https://game.example/pay".into()) };
            let request = UpdateAppRequest { delivery_url: Some(url), ..policy(&service, first) };
            let one = update(&service, request).await;
            assert_eq!(one.policy.devices.get("web"), Some(&limit));
            let renamed = UpdateAppRequest { name: Some("Other".into()), ..nothing(&service) };
            assert_eq!(update(&service, renamed).await, AppDetails { name: "Other".into(), ..one });
            let back = PolicyChange {
                access_ttl: Some(LifetimeChange { seconds: None }),
                devices: Some([("web".into(), DeviceLimitChange { limit: None })].into_iter().collect()),
                ..PolicyChange::default()
            };
            let nowhere = Some(DeliveryUrlChange { url: None });
            let last = update(&service, UpdateAppRequest { delivery_url: nowhere, ..policy(&service, back) }).await;
            assert_eq!((last.policy.access_ttl_s, last.policy.devices.len(), last.delivery_url), (None, 0, None));
            let record = service.audit().await.remove(0);
            let before = r#""policy.access_ttl_s":{"after":null,"before":60}"#;
            assert!(record.details_json.contains(before), "{record:?}");
        }

        async fn changes_made_at_once_lose_nothing(database: TestDatabase) {
            let service = Service::start(database).await;
            let kinds = ["mobile", "desktop", "console", "web"];
            let changes = kinds.map(|class| {
                let limit = Some(DeviceLimit { max: 1, on_excess: "kick_oldest".into() });
                let devices = Some([(class.into(), DeviceLimitChange { limit })].into_iter().collect());
                update(&service, policy(&service, PolicyChange { devices, ..PolicyChange::default() }))
            });
            futures_util::future::join_all(changes).await;
            let app = update(&service, nothing(&service)).await;
            assert_eq!(app.policy.devices.len(), kinds.len());
        }

        async fn a_refused_change_names_its_field_and_changes_nothing(database: TestDatabase) {
            let service = Service::start(database).await;
            let limits = |class: &'static str, max, on_excess: &'static str| {
                let limit = Some(DeviceLimit { max, on_excess: on_excess.into() });
                Some([(class.into(), DeviceLimitChange { limit })].into_iter().collect())
            };
            let none = PolicyChange::default;
            for (change, name) in [
                (PolicyChange { login_kinds: Some(vec!["magic".into()]), ..none() }, "policy.login_kinds"),
                (PolicyChange { refresh_ttl: Some(LifetimeChange { seconds: Some(-1) }), ..none() }, "policy.refresh_ttl_s"),
                (PolicyChange { devices: limits("web", -1, "kick_oldest"), ..none() }, "policy.devices.web.max"),
                (PolicyChange { devices: limits("fridge", 1, "kick_oldest"), ..none() }, "policy.devices"),
                (PolicyChange { devices: limits("web", 1, "shrug"), ..none() }, "policy.devices"),
            ] {
                let request = UpdateAppRequest { enabled: Some(false), ..policy(&service, change) };
                let answer = public(service.account.admin_update_app(request).await);
                assert_eq!(field(answer), (ErrorCode::INVALID_ARGUMENT, name.to_owned()));
            }
            assert!(update(&service, nothing(&service)).await.enabled);
            for nobody in [0, 4242] {
                let request = UpdateAppRequest { app_id: nobody, ..nothing(&service) };
                assert_eq!(code(public(service.account.admin_update_app(request).await)), ErrorCode::NO_SUCH_APP);
            }
        }
    }
}
