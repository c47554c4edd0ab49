//! [`Player`]: a player's access token, from somebody who has not asked too often with it.

use std::sync::Arc;

use common::{
    error_code::PublicError,
    http::{ApiError, Bearer},
};
use http::request::Parts;
use secrecy::{ExposeSecret, SecretString};
use volo::context::Context;
use volo_http::{context::ServerContext, server::extract::FromContext};

use crate::state::Gateway;

/// The token as it was presented. Whether it is any good is for account to say; here it only says whose requests are
/// counted together.
#[derive(Debug)]
pub(crate) struct Player(pub(crate) SecretString);

impl FromContext for Player {
    type Rejection = ApiError;

    async fn from_context(cx: &mut ServerContext, parts: &mut Parts) -> Result<Self, ApiError> {
        let Bearer(token) = Bearer::from_context(cx, parts).await?;
        let Some(gateway) = cx.extensions().get::<Arc<Gateway>>() else {
            tracing::error!("a player's route is served without what its endpoints share");
            return Err(ApiError(PublicError::internal()));
        };
        let presented = token.expose_secret();
        gateway.limits.player(presented, || gateway.tokens.account_of(presented))?;
        Ok(Self(token))
    }
}
