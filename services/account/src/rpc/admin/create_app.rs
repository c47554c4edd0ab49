//! `AdminCreateApp`: makes an app, with the policy of a new app or one that differs from it.

use idl::account_admin::{CreateAppRequest, CreateAppResponse};

use super::wire::{app_details, follow_own_change, policy_change};
use crate::{
    app_editor::AppDraft,
    domain::{
        app::{AppName, DeliveryUrl},
        app_details::check_urls,
        audit::Actor,
        ids::AppId,
        policy::AppPolicy,
    },
    error::AccountError,
    service::Parts,
};

pub(crate) async fn create_app(parts: &Parts, request: CreateAppRequest) -> Result<CreateAppResponse, AccountError> {
    let actor = Actor::parse(&request.actor)?;
    let change = policy_change(parts, request.policy)?;
    let draft = AppDraft {
        name: AppName::parse(&request.name)?,
        app_id: request.app_id.map(AppId::parse).transpose()?,
        delivery_url: request.delivery_url.as_deref().map(DeliveryUrl::parse).transpose()?,
        refund_url: request.refund_url.as_deref().map(DeliveryUrl::parse_refund_url).transpose()?,
        policy: AppPolicy::default().changed(change, parts.config.tokens.caps())?,
    };
    check_urls(request.delivery_url.as_deref(), request.refund_url.as_deref())?;
    let (app, app_secret) = parts.app_editor.create(&actor, &draft).await?;
    follow_own_change(parts).await;
    Ok(CreateAppResponse { app: app_details(app), app_secret: app_secret.expose().to_owned().into() })
}

#[cfg(test)]
mod tests {
    use common::error_code::ErrorCode;
    use idl::{
        account::AccountService,
        account_admin::{CreateAppRequest, LifetimeChange, PolicyChange},
    };

    use crate::testing::{Service, code, device_proof, field, public};

    fn request(name: &str) -> CreateAppRequest {
        CreateAppRequest { actor: "operator".into(), name: name.to_owned().into(), ..CreateAppRequest::default() }
    }

    common::on_each_database! {
        async fn a_new_app_takes_players_from_its_first_moment_and_shows_its_secret_once(database: TestDatabase) {
            let service = Service::start(database).await;
            let made = public(service.account.admin_create_app(request("My Game")).await).expect("made");
            assert_eq!((&*made.app.name, made.app.enabled, made.app_secret.len()), ("My Game", true, 64));
            assert_eq!(made.app.policy.login_kinds, ["password", "device", "phone", "channel"]);
            service.login_by(made.app.app_id, device_proof("phone", None)).await.expect("signed in");
            let record = service.audit().await.remove(0);
            assert_eq!((&*record.actor, &*record.action), ("operator", "app.create"));
            assert_eq!((&*record.target_kind, &*record.target_id), ("app", &*made.app.app_id.to_string()));
            assert!(!record.details_json.contains(&*made.app_secret), "{record:?}");
        }

        async fn an_app_that_is_refused_is_not_made_and_not_written_down(database: TestDatabase) {
            let service = Service::start(database).await;
            let too_long = PolicyChange {
                access_ttl: Some(LifetimeChange { seconds: Some(1_000_000) }),
                ..PolicyChange::default()
            };
            for (refused, name) in [
                (CreateAppRequest { policy: Some(too_long), ..request("Game") }, "policy.access_ttl_s"),
                (CreateAppRequest { delivery_url: Some("ftp://x".into()), ..request("Game") }, "delivery_url"),
                (CreateAppRequest { refund_url: Some("ftp://x".into()), ..request("Game") }, "refund_url"),
                (CreateAppRequest { app_id: Some(0), ..request("Game") }, "app_id"),
                (request(" "), "name"),
                (CreateAppRequest { actor: "".into(), ..request("Game") }, "actor"),
            ] {
                let answer = public(service.account.admin_create_app(refused).await);
                assert_eq!(field(answer), (ErrorCode::INVALID_ARGUMENT, name.to_owned()));
            }
            let taken = CreateAppRequest { app_id: Some(service.app_id()), ..request("Game") };
            assert_eq!(code(public(service.account.admin_create_app(taken).await)), ErrorCode::APP_ID_TAKEN);
            assert_eq!(service.count("SELECT COUNT(*) FROM account_apps").await, 1);
            assert_eq!(service.count("SELECT COUNT(*) FROM account_audit").await, 1);
        }
    }
}
