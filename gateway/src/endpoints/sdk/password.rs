//! `POST /v1/sdk/password`: a new password, and every other session signed out.

use std::{net::IpAddr, sync::Arc};

use common::{
    error_code::PublicError,
    http::{ApiError, ClientAddress, Envelope, Json},
};
use idl::account::ChangePasswordRequest;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use volo::FastStr;
use volo_http::utils::Extension;

use super::{
    fields::{client_at, phone_proof},
    player::Player,
};
use crate::{state::Gateway, upstream::could_not_tell};

/// A change of the password.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = PasswordRequest)]
pub(crate) struct Request {
    /// Required, unless `phone` and `code` are there.
    #[schema(value_type = Option<String>, format = Password)]
    old_password: Option<SecretString>,
    /// Instead of the old password: a phone of this account that was not linked just now, international (E.164).
    #[schema(value_type = Option<String>, example = "+8613812345678")]
    phone: Option<SecretString>,
    /// With `phone`: a code of the scene `password_reset`.
    #[schema(value_type = Option<String>, format = Password)]
    code: Option<SecretString>,
    #[schema(value_type = String, format = Password)]
    new_password: SecretString,
}

/// Nothing to say.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PasswordAnswer)]
pub(crate) struct Answer {}

/// Changes the player's password.
///
/// Every other session of the account is signed out, in every app; this one stays. 4010101 when the old password is
/// wrong, 4010106 when the code is. 4230101 after too many wrong ones, 4290002 after too many changes.
#[utoipa::path(post, path = "/v1/sdk/password", tag = "Players", security(("player" = [])), request_body = Request, responses((status = 200, body = Answer)))]
pub(crate) async fn password(
    Extension(gateway): Extension<Arc<Gateway>>,
    ClientAddress(address): ClientAddress,
    Player(access_token): Player,
    Json(request): Json<Request>,
) -> Result<Envelope<Answer>, ApiError> {
    let request = parse(&access_token, request, address)?;
    let call = gateway.upstream.account.change_password(request);
    call.await.map_err(could_not_tell)?;
    Ok(Envelope(Answer {}))
}

fn parse(access_token: &SecretString, request: Request, address: IpAddr) -> Result<ChangePasswordRequest, PublicError> {
    let text = |secret: &SecretString| -> FastStr { secret.expose_secret().to_owned().into() };
    let phone = match (request.phone, request.code) {
        (None, None) => None,
        (phone, code) => Some(phone_proof(phone, code)?),
    };
    Ok(ChangePasswordRequest {
        access_token: text(access_token),
        old_password: request.old_password.as_ref().map(text),
        phone,
        new_password: text(&request.new_password),
        client: Some(client_at(address)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_proof_is_refused_by_the_name_of_the_other_half() {
        for (body, field) in [
            (r#"{"new_password":"x","phone":"+8613812345678"}"#, "code"),
            (r#"{"new_password":"x","code":"123456"}"#, "phone"),
        ] {
            let request = serde_json::from_str(body).expect("well formed");
            assert_eq!(
                parse(&"t".into(), request, std::net::Ipv4Addr::LOCALHOST.into()).expect_err("refused").details[0].0,
                field,
                "{body}"
            );
        }
    }
}
