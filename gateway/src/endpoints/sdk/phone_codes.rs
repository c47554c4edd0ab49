//! `POST /v1/sdk/phone-codes`: sends a code to a phone.
//!
//! Answers as soon as the code is on its way. Whether anybody has an account with the phone can't be told from here.

use std::{net::IpAddr, sync::Arc};

use common::{
    error_code::PublicError,
    http::{ApiError, ClientAddress, Envelope, Json},
};
use idl::account::{PhoneCodeScene, SendPhoneCodeRequest};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use volo::FastStr;
use volo_http::utils::Extension;

use super::fields::{ClientFields, LONGEST_PHONE, checked_id, checked_text, client_info};
use crate::{state::Gateway, upstream::could_not_tell};

/// What a code is good for.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[schema(as = PhoneCodeScene)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Scene {
    /// To sign in: `/v1/sdk/login` with `kind` = `phone`.
    Login,
    /// To add the phone to an account: `/v1/sdk/link`.
    Link,
    /// To choose a new password without the old one: `/v1/sdk/password`.
    PasswordReset,
}

/// A code that is asked for.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = PhoneCodeRequest)]
pub(crate) struct Request {
    /// The app that the code is for.
    #[schema(example = 1001)]
    app_id: i64,
    /// International (E.164): `+` and 8 to 15 digits.
    #[schema(value_type = String, example = "+8613812345678")]
    phone: SecretString,
    scene: Scene,
    /// Opaque to the platform, 1-128 bytes. Counts against the device's budget of codes.
    #[schema(value_type = Option<String>, max_length = 128)]
    device_id: Option<FastStr>,
}

/// A code that is on its way. Times are Unix milliseconds.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PhoneCodeAnswer)]
pub(crate) struct Answer {
    /// The code is good until then.
    expires_at: i64,
    /// Another one can be asked for from then on.
    resend_at: i64,
}

/// Sends a code of six digits to a phone.
///
/// 4290002 until `resend_at` and when the phone or the device has had too many, 4290001 for the address.
#[utoipa::path(post, path = "/v1/sdk/phone-codes", tag = "Players", request_body = Request, responses((status = 200, body = Answer)))]
pub(crate) async fn phone_codes(
    Extension(gateway): Extension<Arc<Gateway>>,
    ClientAddress(address): ClientAddress,
    Json(request): Json<Request>,
) -> Result<Envelope<Answer>, ApiError> {
    let request = parse(request, address)?;
    if let Some(device_id) = &request.client.device_id {
        gateway.limits.device(request.app_id, device_id, address)?;
    }
    let call = gateway.upstream.account.send_phone_code(request);
    let sent = call.await.map_err(could_not_tell)?;
    Ok(Envelope(Answer { expires_at: sent.expires_at, resend_at: sent.resend_at }))
}

fn parse(request: Request, address: IpAddr) -> Result<SendPhoneCodeRequest, PublicError> {
    let Request { app_id, phone, scene, device_id } = request;
    let fields = ClientFields { device_id, device_class: None, channel: None, package: None, sdk_version: None };
    Ok(SendPhoneCodeRequest {
        app_id: checked_id("app_id", app_id)?,
        phone: checked_text("phone", phone.expose_secret().to_owned().into(), LONGEST_PHONE)?,
        scene: match scene {
            Scene::Login => PhoneCodeScene::LOGIN,
            Scene::Link => PhoneCodeScene::LINK,
            Scene::PasswordReset => PhoneCodeScene::PASSWORD_RESET,
        },
        client: client_info(fields, address)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_refused_by_the_name_of_its_field() {
        let long = format!(r#"{{"app_id":1,"scene":"link","phone":"+{}"}}"#, "1".repeat(32));
        for (body, field) in [
            (r#"{"app_id":0,"scene":"link","phone":"+8613812345678"}"#, "app_id"),
            (r#"{"app_id":1,"scene":"link","phone":""}"#, "phone"),
            (&long, "phone"),
            (r#"{"app_id":1,"scene":"link","phone":"+8613812345678","device_id":""}"#, "device_id"),
        ] {
            let request = serde_json::from_str(body).expect("well formed");
            let refused = parse(request, std::net::Ipv4Addr::LOCALHOST.into()).expect_err("refused");
            assert_eq!(refused.details[0].0, field, "{body}");
        }
    }
}
