//! `SendPhoneCode`: a code to a phone, whoever has it.

use idl::account::{PhoneCodeScene, SendPhoneCodeRequest, SendPhoneCodeResponse};

use super::client;
use crate::{
    domain::{credential::CredentialKind, field::FieldError, phone::PhoneNumber, phone_code::Scene},
    error::AccountError,
    phone_codes,
    service::Parts,
    sign_in,
};

pub(crate) async fn send_phone_code(
    parts: &Parts,
    request: SendPhoneCodeRequest,
) -> Result<SendPhoneCodeResponse, AccountError> {
    let phone = PhoneNumber::parse(&request.phone)?;
    let scene = scene(request.scene)?;
    let client = client::parse(&request.client)?;
    let app = parts.apps.enabled(request.app_id).await?;
    sign_in::require_kind(&app, CredentialKind::Phone)?;
    let issued = phone_codes::issue(parts, app.app_id, &phone, scene, &client).await?;
    Ok(SendPhoneCodeResponse { expires_at: issued.expires_at.as_millis(), resend_at: issued.resend_at.as_millis() })
}

fn scene(scene: PhoneCodeScene) -> Result<Scene, FieldError> {
    match scene {
        PhoneCodeScene::LOGIN => Ok(Scene::Login),
        PhoneCodeScene::LINK => Ok(Scene::Link),
        PhoneCodeScene::PASSWORD_RESET => Ok(Scene::PasswordReset),
        // A caller of a later version.
        _ => Err(FieldError::new("scene", "must be login, link or password_reset")),
    }
}
