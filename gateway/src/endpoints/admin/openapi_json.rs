//! `GET /admin/openapi.json`: the admin API as OpenAPI 3.1, made from the endpoints themselves.

use std::sync::Arc;

use http::{HeaderValue, header};
use volo_http::{body::Body, response::Response, server::IntoResponse, utils::Extension};

use crate::admin::AdminApi;

/// This contract, as OpenAPI 3.1. It takes no token: it holds nothing but what this program is.
#[utoipa::path(get, path = "/admin/openapi.json", tag = "Documentation", responses((status = 200, description = "The OpenAPI document.")))]
pub(crate) async fn openapi_json(Extension(admin): Extension<Arc<AdminApi>>) -> Response {
    let mut response = Body::from(admin.openapi_json()).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
