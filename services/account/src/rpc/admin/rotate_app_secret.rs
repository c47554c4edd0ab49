//! `AdminRotateAppSecret`: a new secret for an app; the one before stays good until the next rotation.

use idl::account_admin::{RotateAppSecretRequest, RotateAppSecretResponse};

use super::wire::follow_own_change;
use crate::{
    domain::{audit::Actor, ids::AppId},
    error::AccountError,
    service::Parts,
};

pub(crate) async fn rotate_app_secret(
    parts: &Parts,
    request: RotateAppSecretRequest,
) -> Result<RotateAppSecretResponse, AccountError> {
    let actor = Actor::parse(&request.actor)?;
    let app_id = AppId::parse(request.app_id).map_err(|_| AccountError::NoSuchApp)?;
    let app_secret = parts.app_editor.rotate_secret(&actor, app_id).await?;
    follow_own_change(parts).await;
    Ok(RotateAppSecretResponse { app_secret: app_secret.expose().to_owned().into() })
}

#[cfg(test)]
mod tests {
    use common::error_code::ErrorCode;
    use idl::{
        account::{AccountService, GetAppRequest},
        account_admin::RotateAppSecretRequest,
    };

    use crate::testing::{Service, code, public};

    common::on_each_database! {
        async fn the_new_secret_and_the_one_before_are_live_from_the_answer_on(database: TestDatabase) {
            let service = Service::start(database).await;
            let rotate = |app_id| service.account.admin_rotate_app_secret(RotateAppSecretRequest {
                actor: "operator".into(),
                app_id,
            });
            let new = public(rotate(service.app_id()).await).expect("rotated").app_secret;
            let request = GetAppRequest { app_id: service.app_id(), read_again: None };
            let app = public(service.account.get_app(request).await).expect("an answer").app.expect("there");
            assert_eq!(app.secrets, [new.clone(), service.app.app_secret.expose().to_owned().into()]);
            let record = service.audit().await.remove(0);
            assert_eq!((&*record.action, &*record.details_json), ("app.rotate_secret", r#"{"version":2}"#));
            assert_eq!(code(public(rotate(4242).await)), ErrorCode::NO_SUCH_APP);
        }
    }
}
