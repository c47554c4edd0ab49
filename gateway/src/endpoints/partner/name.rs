//! Which partner, in the path.

use common::{
    error_code::{ErrorCode, PublicError},
    http::ApiError,
};
use http::request::Parts;
use volo::FastStr;
use volo_http::{context::ServerContext, server::extract::FromContext};

/// The name in the path as it is written: one that had to be encoded is no partner's.
#[derive(Clone, Debug)]
pub(crate) struct NameInPath(pub(crate) FastStr);

impl FromContext for NameInPath {
    type Rejection = ApiError;

    async fn from_context(cx: &mut ServerContext, _: &mut Parts) -> Result<Self, ApiError> {
        let found = cx.params().iter().find(|(name, _)| name == "partner");
        match found {
            Some((_, partner)) => Ok(Self(partner.clone())),
            None => {
                tracing::error!("a route of partners has no partner in its path");
                Err(ApiError(PublicError::new(ErrorCode::INTERNAL)))
            }
        }
    }
}
