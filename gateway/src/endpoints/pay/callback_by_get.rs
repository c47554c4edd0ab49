//! `GET /v1/pay/callbacks/{channel}/{app_id}`: the same as [`super::callback`], for channels that put everything into the
//! query.

use std::sync::Arc;

use common::http::{ApiError, Path, RawRequest};
use volo_http::{response::Response, utils::Extension};

use super::callback::{CallbackPath, callback};
use crate::state::Gateway;

/// The same for channels that call with GET, such as Xiaomi.
#[utoipa::path(get, path = "/v1/pay/callbacks/{channel}/{app_id}", operation_id = "payment_callback_by_get", tag = "Payment channels", params(("channel" = String, Path), ("app_id" = i64, Path)),
    responses((status = 200, body = String, content_type = "text/plain", description = "What the channel expects.")))]
pub(crate) async fn callback_by_get(
    gateway: Extension<Arc<Gateway>>,
    path: Path<CallbackPath>,
    raw: RawRequest,
) -> Result<Response, ApiError> {
    callback(gateway, path, raw).await
}
