//! `GET /openapi.json`: the contract as OpenAPI 3.1, made from the endpoints themselves.

use std::sync::Arc;

use http::{HeaderValue, header};
use volo_http::{body::Body, response::Response, server::IntoResponse, utils::Extension};

use crate::state::Gateway;

/// This contract, as OpenAPI 3.1.
#[utoipa::path(get, path = "/openapi.json", tag = "Documentation", responses((status = 200, description = "The OpenAPI document.")))]
pub(crate) async fn openapi_json(Extension(gateway): Extension<Arc<Gateway>>) -> Response {
    let mut response = Body::from(gateway.openapi_json.clone()).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
