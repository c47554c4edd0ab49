//! `POST /v1/sdk/login`: signs a player in.
//!
//! Settings and wallet are optional parts: a login never fails because they can't be had. What an operator has switched for
//! sign-ins is among the settings, so they are looked up first, usually in the gateway's own copy.

use std::sync::Arc;

use common::{
    error_code::PublicError,
    http::{ApiError, ClientAddress, Envelope, Json},
};
use idl::account::{DeviceLogin, LoginProof, LoginRequest, PasswordLogin};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use utoipa::ToSchema;
use volo::FastStr;
use volo_http::utils::Extension;

use super::{
    channel_credential::{ChannelCredential, channel_proof},
    device_class::DeviceClass,
    fields::{ClientFields, checked_id, client_info, phone_proof, required},
    session::{SignedIn, caller_of, sign_in},
};
use crate::{settings_copy::Caller, state::Gateway};

/// How a player proves who they are.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[schema(as = LoginKind)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// `username` and `password`.
    Password,
    /// `device_id`, and `device_secret` except at the very first login of a device. That one may carry
    /// `new_device_secret` instead.
    Device,
    /// `phone` and `code`, of the scene `login`.
    Phone,
    /// `channel` and `credential`, which that channel is asked about.
    Channel,
}

/// A login.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = LoginRequest)]
pub(crate) struct Request {
    /// The app the player signs in to.
    #[schema(example = 1001)]
    app_id: i64,
    kind: Kind,
    /// With `kind` = `password`.
    #[schema(value_type = Option<String>, example = "ann")]
    username: Option<FastStr>,
    /// With `kind` = `password`.
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<SecretString>,
    /// With `kind` = `device`: what the first login of this device answered.
    #[schema(value_type = Option<String>, format = Password)]
    device_secret: Option<SecretString>,
    /// With `kind` = `device`: 64 lower-case hexadecimal digits that the client made at random and has stored. A device
    /// that was never seen gets them as its `device_secret`; a repeat, because the answer was lost, signs in.
    #[schema(value_type = Option<String>, format = Password)]
    new_device_secret: Option<SecretString>,
    /// With `kind` = `phone`: international (E.164), `+` and 8 to 15 digits.
    #[schema(value_type = Option<String>, example = "+8613812345678")]
    phone: Option<SecretString>,
    /// With `kind` = `phone`: the six digits that were sent to it.
    #[schema(value_type = Option<String>, format = Password)]
    code: Option<SecretString>,
    /// With `kind` = `channel`: what the channel's own SDK gave the client. Which fields it has to have is for the channel
    /// to say; texts, numbers and booleans only.
    #[schema(value_type = Option<Object>, example = json!({ "token": "…" }))]
    credential: Option<ChannelCredential>,
    /// Opaque to the platform, 1-128 bytes.
    #[schema(value_type = Option<String>, max_length = 128)]
    device_id: Option<FastStr>,
    /// Absent: `mobile`. An app may limit how many sessions of a class are live (4030105).
    device_class: Option<DeviceClass>,
    /// With `kind` = `channel`: the channel that is asked. With every kind: the channel the build came from, `a-z`, `0-9`, `_`, `-`, 1-32 characters. Absent: `official`.
    #[schema(value_type = Option<String>, max_length = 32, example = "official")]
    channel: Option<FastStr>,
    /// Package name of the build, at most 128 bytes.
    #[schema(value_type = Option<String>, max_length = 128)]
    package: Option<FastStr>,
    /// Version of the SDK, at most 32 bytes.
    #[schema(value_type = Option<String>, max_length = 32)]
    sdk_version: Option<FastStr>,
    /// After 4030102, if the player wants to keep the account: calls its deletion off and signs in.
    cancel_deletion: Option<bool>,
}

/// Signs a player in.
///
/// A device, a phone or a player of a channel that was never seen gets an account of its own; the `device_secret` is
/// answered once. A channel that is slow, broken or away is 5030002 with a time to come back, and never a wrong credential.
/// 4030102 while the account is pending deletion; `details.executes_at` says when. 5030004 while the game is under
/// maintenance: `message` is the operator's, `details.until` says when it is to be over, if that is known.
#[utoipa::path(post, path = "/v1/sdk/login", tag = "Players", request_body = Request, responses((status = 200, body = SignedIn)))]
pub(crate) async fn login(
    Extension(gateway): Extension<Arc<Gateway>>,
    ClientAddress(address): ClientAddress,
    Json(request): Json<Request>,
) -> Result<Envelope<SignedIn>, ApiError> {
    let (caller, request) = parse(request, address)?;
    if let Some(device_id) = &caller.device_id {
        gateway.limits.device(caller.app_id, device_id, address)?;
    }
    let call = |switches| gateway.upstream.account.login(LoginRequest { switches, ..request });
    Ok(Envelope(sign_in(&gateway, caller, false, call).await?))
}

fn parse(request: Request, address: std::net::IpAddr) -> Result<(Caller, LoginRequest), PublicError> {
    let app_id = checked_id("app_id", request.app_id)?;
    let client = client_info(
        ClientFields {
            device_id: request.device_id,
            device_class: request.device_class,
            channel: request.channel,
            package: request.package,
            sdk_version: request.sdk_version,
        },
        address,
    )?;
    let proof = match request.kind {
        Kind::Password => LoginProof::Password(PasswordLogin {
            username: required("username", request.username)?,
            password: required("password", request.password)?.expose_secret().to_owned().into(),
        }),
        Kind::Device => LoginProof::Device(DeviceLogin {
            device_id: required("device_id", client.device_id.clone())?,
            device_secret: request.device_secret.map(|secret| secret.expose_secret().to_owned().into()),
            new_device_secret: request.new_device_secret.map(|secret| secret.expose_secret().to_owned().into()),
        }),
        Kind::Phone => LoginProof::Phone(phone_proof(request.phone, request.code)?),
        Kind::Channel => LoginProof::Channel(channel_proof(client.channel.clone(), request.credential)?),
    };
    let caller = caller_of(app_id, &client);
    Ok((caller, LoginRequest { app_id, proof, client, cancel_deletion: request.cancel_deletion, switches: None }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(body: &str) -> Result<LoginRequest, PublicError> {
        let request = serde_json::from_str(body).expect("well formed");
        parse(request, std::net::Ipv4Addr::LOCALHOST.into()).map(|(_, request)| request)
    }

    #[test]
    fn a_kind_without_its_fields_is_refused_by_the_name_of_the_missing_one() {
        for (body, field) in [
            (r#"{"app_id":1,"kind":"password","password":"x"}"#, "username"),
            (r#"{"app_id":1,"kind":"password","username":"ann"}"#, "password"),
            (r#"{"app_id":1,"kind":"device"}"#, "device_id"),
            (r#"{"app_id":1,"kind":"phone","code":"123456"}"#, "phone"),
            (r#"{"app_id":1,"kind":"phone","phone":"+8613812345678"}"#, "code"),
            (r#"{"app_id":1,"kind":"channel","credential":{}}"#, "channel"),
            (r#"{"app_id":1,"kind":"channel","channel":"taptap"}"#, "credential"),
            (r#"{"app_id":0,"kind":"device","device_id":"d"}"#, "app_id"),
            (r#"{"app_id":1,"kind":"device","device_id":""}"#, "device_id"),
        ] {
            assert_eq!(parsed(body).expect_err("refused").details[0].0, field, "{body}");
        }
    }

    #[test]
    fn fields_of_another_kind_and_unknown_fields_are_ignored() {
        let body = r#"{"app_id":1,"kind":"device","device_id":"d","username":"ann","colour":"red"}"#;
        assert!(matches!(parsed(body).expect("accepted").proof, LoginProof::Device(_)));
    }

    #[test]
    fn a_request_shows_no_password_when_it_is_printed() {
        let body =
            r#"{"app_id":1,"kind":"password","username":"ann","password":"s3cret-s3cret","credential":{"t":"s3cret"}}"#;
        let request: Request = serde_json::from_str(body).expect("well formed");
        assert!(!format!("{request:?}").contains("s3cret"));
    }
}
