//! `POST /v1/sdk/link`: one more way to sign in to the account of the player who asks.

use std::sync::Arc;

use common::{
    error_code::PublicError,
    http::{ApiError, ClientAddress, Envelope, Json},
};
use idl::account::{DeviceLink, LinkProof, LinkRequest, PasswordLogin};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use volo::FastStr;
use volo_http::utils::Extension;

use super::{
    channel_credential::{ChannelCredential, channel_proof},
    fields::{bounded, checked_channel, client_at, phone_proof, required},
    me::Credential,
    player::Player,
};
use crate::{state::Gateway, upstream::could_not_tell};

/// What is linked.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[schema(as = LinkKind)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// `username` and `password`: a username that is free, and the password it gets.
    Password,
    /// `phone` and `code`, of the scene `link`.
    Phone,
    /// `device_id`, and `new_device_secret` if the client makes its own.
    Device,
    /// `channel` and `credential`, which that channel is asked about.
    Channel,
}

/// A credential to add.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = LinkRequest)]
pub(crate) struct Request {
    kind: Kind,
    /// With `kind` = `password`.
    #[schema(value_type = Option<String>, example = "ann")]
    username: Option<FastStr>,
    /// With `kind` = `password`.
    #[schema(value_type = Option<String>, format = Password)]
    password: Option<SecretString>,
    /// With `kind` = `phone`: international (E.164).
    #[schema(value_type = Option<String>, example = "+8613812345678")]
    phone: Option<SecretString>,
    /// With `kind` = `phone`: the six digits.
    #[schema(value_type = Option<String>, format = Password)]
    code: Option<SecretString>,
    /// With `kind` = `device`: opaque to the platform, 1-128 bytes.
    #[schema(value_type = Option<String>, max_length = 128)]
    device_id: Option<FastStr>,
    /// With `kind` = `device`: 64 lower-case hexadecimal digits that the client made at random and has stored.
    #[schema(value_type = Option<String>, format = Password)]
    new_device_secret: Option<SecretString>,
    /// With `kind` = `channel`: `a-z`, `0-9`, `_`, `-`, 1-32 characters.
    #[schema(value_type = Option<String>, max_length = 32, example = "taptap")]
    channel: Option<FastStr>,
    /// With `kind` = `channel`: as in a login.
    #[schema(value_type = Option<Object>, example = json!({ "token": "…" }))]
    credential: Option<ChannelCredential>,
}

/// What the account has now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = LinkAnswer)]
pub(crate) struct Answer {
    /// The ways this player can sign in.
    credentials: Vec<Credential>,
    /// Answered once, when a device is linked: its logins need it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = Password)]
    device_secret: Option<FastStr>,
}

/// Links a username, a phone, a device or a channel to the player's account.
///
/// 4090102 when it belongs to another account, or this one has as many of the kind as it may; nothing is changed then. A
/// credential that is linked already is linked. 4230101 after too many wrong passwords, 4290002 after too many new ones.
#[utoipa::path(post, path = "/v1/sdk/link", tag = "Players", security(("player" = [])), request_body = Request, responses((status = 200, body = Answer)))]
pub(crate) async fn link(
    Extension(gateway): Extension<Arc<Gateway>>,
    ClientAddress(address): ClientAddress,
    Player(access_token): Player,
    Json(request): Json<Request>,
) -> Result<Envelope<Answer>, ApiError> {
    let access_token = access_token.expose_secret().to_owned().into();
    let request = LinkRequest { access_token, proof: proof(request)?, client: Some(client_at(address)) };
    let call = gateway.upstream.account.link(request);
    let linked = call.await.map_err(could_not_tell)?;
    let credentials = linked.credentials.into_iter().map(Credential::from).collect();
    Ok(Envelope(Answer { credentials, device_secret: linked.device_secret }))
}

fn proof(request: Request) -> Result<LinkProof, PublicError> {
    Ok(match request.kind {
        Kind::Password => LinkProof::Password(PasswordLogin {
            username: required("username", request.username)?,
            password: required("password", request.password)?.expose_secret().to_owned().into(),
        }),
        Kind::Phone => LinkProof::Phone(phone_proof(request.phone, request.code)?),
        Kind::Device => LinkProof::Device(DeviceLink {
            device_id: required("device_id", bounded("device_id", request.device_id, 128)?)?,
            new_device_secret: request.new_device_secret.map(|secret| secret.expose_secret().to_owned().into()),
        }),
        Kind::Channel => LinkProof::Channel(channel_proof(checked_channel(request.channel)?, request.credential)?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_without_its_fields_is_refused_by_the_name_of_the_missing_one() {
        for (body, field) in [
            (r#"{"kind":"password","password":"x"}"#, "username"),
            (r#"{"kind":"password","username":"ann"}"#, "password"),
            (r#"{"kind":"phone","code":"123456"}"#, "phone"),
            (r#"{"kind":"phone","phone":"+8613812345678"}"#, "code"),
            (r#"{"kind":"device"}"#, "device_id"),
            (r#"{"kind":"channel","credential":{}}"#, "channel"),
            (r#"{"kind":"channel","channel":"taptap"}"#, "credential"),
        ] {
            let request = serde_json::from_str(body).expect("well formed");
            assert_eq!(proof(request).expect_err("refused").details[0].0, field, "{body}");
        }
    }

    #[test]
    fn a_request_shows_no_secret_when_it_is_printed() {
        let body = r#"{"kind":"phone","password":"s3cret","phone":"s3cret","code":"s3cret","new_device_secret":"s3cret","credential":{"t":"s3cret"}}"#;
        let request: Request = serde_json::from_str(body).expect("well formed");
        assert!(!format!("{request:?}").contains("s3cret"));
    }
}
