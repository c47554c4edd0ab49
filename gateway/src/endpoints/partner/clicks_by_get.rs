//! `GET /v1/partner/{partner}/clicks`: an ad network tells of a click, in the query.
//!
//! That a `GET` changes something is how ad networks do it; `event_id` or `click_id` make it harmless that proxies and
//! people repeat it. A `HEAD` is looked at and not stored.

use std::sync::Arc;

use common::{
    error_code::PublicError,
    http::{ApiError, UnreadRequest},
};
use http::{Method, StatusCode};
use volo_http::utils::Extension;

use super::{clicks::store, name::NameInPath};
use crate::{
    partners::{signing::Md5Over, store::Encoding},
    state::Gateway,
};

/// Takes a click or another callback of an ad network, as by `POST`.
#[utoipa::path(get, path = "/v1/partner/{partner}/clicks", operation_id = "push_click_by_get", tag = "Partners", security(("partner" = []), ()), params(("partner" = String, Path)),
    responses((status = 204, description = "The click is durable.")))]
pub(crate) async fn push_click_by_get(
    Extension(gateway): Extension<Arc<Gateway>>,
    NameInPath(name): NameInPath,
    request: UnreadRequest,
) -> Result<StatusCode, ApiError> {
    let door = gateway.partner_door()?;
    let admitted = door.admit(&name, request, Encoding::Plain, Md5Over::Query, gateway.clock.now()).await?;
    let Some(query) = admitted.head.uri.query().filter(|query| !query.is_empty()) else {
        return Err(ApiError(PublicError::invalid("query", "holds no parameter")));
    };
    if admitted.head.method != Method::HEAD {
        store(&door.events, &admitted.partner, query).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
