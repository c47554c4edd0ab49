//! `POST /v1/sdk/refresh`: exchanges a refresh token for new tokens.
//!
//! A repeat within the grace (a lost answer, two tabs) yields the current token; reuse after it signs the session out.

use std::sync::Arc;

use common::http::{ApiError, ClientAddress, Envelope, Json};
use idl::account::RefreshRequest;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use utoipa::ToSchema;
use volo_http::utils::Extension;

use super::{
    fields::{checked_id, client_at},
    session::Tokens,
};
use crate::{state::Gateway, upstream::could_not_tell};

/// A refresh.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(as = RefreshRequest)]
pub(crate) struct Request {
    /// The app the session belongs to.
    #[schema(example = 1001)]
    app_id: i64,
    /// The newest refresh token of the session.
    #[schema(value_type = String)]
    refresh_token: SecretString,
}

/// Exchanges a refresh token for new tokens.
///
/// 4010105 when a token is used again after its grace: the whole session is signed out, because one of two holders is a thief.
/// 4030001 for an address or a device that an operator blocks; the session stays.
#[utoipa::path(post, path = "/v1/sdk/refresh", tag = "Players", request_body = Request, responses((status = 200, body = Tokens)))]
pub(crate) async fn refresh(
    Extension(gateway): Extension<Arc<Gateway>>,
    ClientAddress(address): ClientAddress,
    Json(request): Json<Request>,
) -> Result<Envelope<Tokens>, ApiError> {
    let app_id = checked_id("app_id", request.app_id)?;
    let refresh_token = request.refresh_token.expose_secret().to_owned().into();
    let client = Some(client_at(address));
    let call = gateway.upstream.account.refresh(RefreshRequest { app_id, refresh_token, client });
    // A refresh that could not be answered must not look like a bad token: the client would sign in again.
    Ok(Envelope(call.await.map_err(could_not_tell)?.tokens.into()))
}
