//! `POST /v1/sdk/register`: a new account with a username and a password, signed in at once.

use std::sync::Arc;

use common::{
    error_code::PublicError,
    http::{ApiError, ClientAddress, Envelope, Json},
};
use idl::account::RegisterRequest;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use utoipa::ToSchema;
use volo::FastStr;
use volo_http::utils::Extension;

use super::{
    device_class::DeviceClass,
    fields::{ClientFields, checked_id, client_info},
    session::{SignedIn, caller_of, sign_in},
};
use crate::{settings_copy::Caller, state::Gateway};

/// A registration.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = RegisterRequest)]
pub(crate) struct Request {
    /// The app the player signs in to.
    #[schema(example = 1001)]
    app_id: i64,
    /// 3-32 characters; letters that look alike are one name.
    #[schema(value_type = String, example = "ann")]
    username: FastStr,
    /// 8 to 128 characters after NFKC; common ones, and those made of the username or the game's name, are refused.
    #[schema(value_type = String, format = Password)]
    password: SecretString,
    /// Opaque to the platform, 1-128 bytes.
    #[schema(value_type = Option<String>, max_length = 128)]
    device_id: Option<FastStr>,
    /// Absent: `mobile`. An app may limit how many sessions of a class are live (4030105).
    device_class: Option<DeviceClass>,
    /// The channel the build came from: `a-z`, `0-9`, `_`, `-`, 1-32 characters. Absent: `official`.
    #[schema(value_type = Option<String>, max_length = 32, example = "official")]
    channel: Option<FastStr>,
    /// Package name of the build, at most 128 bytes.
    #[schema(value_type = Option<String>, max_length = 128)]
    package: Option<FastStr>,
    /// Version of the SDK, at most 32 bytes.
    #[schema(value_type = Option<String>, max_length = 32)]
    sdk_version: Option<FastStr>,
}

/// Creates an account and signs it in.
///
/// 4090101 when the username, or one that reads the same, is taken. 5030004 while the game is under maintenance: `message`
/// is the operator's, `details.until` says when it is to be over, if that is known.
#[utoipa::path(post, path = "/v1/sdk/register", tag = "Players", request_body = Request, responses((status = 200, body = SignedIn)))]
pub(crate) async fn register(
    Extension(gateway): Extension<Arc<Gateway>>,
    ClientAddress(address): ClientAddress,
    Json(request): Json<Request>,
) -> Result<Envelope<SignedIn>, ApiError> {
    let (caller, request) = parse(request, address)?;
    if let Some(device_id) = &caller.device_id {
        gateway.limits.device(caller.app_id, device_id, address)?;
    }
    let call = |switches| gateway.upstream.account.register(RegisterRequest { switches, ..request });
    Ok(Envelope(sign_in(&gateway, caller, true, call).await?))
}

fn parse(request: Request, address: std::net::IpAddr) -> Result<(Caller, RegisterRequest), PublicError> {
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
    let caller = caller_of(app_id, &client);
    let password = request.password.expose_secret().to_owned().into();
    Ok((caller, RegisterRequest { app_id, username: request.username, password, client, switches: None }))
}
