//! `POST /v1/pay/callbacks/{channel}/{app_id}`: a payment channel says that somebody has paid.
//!
//! Nothing of it is understood here: pay is handed everything exactly as it came, and says what the channel is answered,
//! to the letter. When pay can't be asked the answer is 503, which to every channel means that it has to come again.

use std::sync::Arc;

use common::{
    error_code::PublicError,
    http::{ApiError, Path, RawRequest},
};
use http::{HeaderValue, StatusCode, header};
use idl::pay::{HandleCallbackRequest, HandleCallbackResponse, Header};
use serde::Deserialize;
use volo::FastStr;
use volo_http::{body::Body, response::Response, server::IntoResponse, utils::Extension};

use crate::{state::Gateway, upstream::could_not_tell};

/// Whose callback it is, in the path.
#[derive(Debug, Deserialize)]
pub(crate) struct CallbackPath {
    channel: FastStr,
    app_id: i64,
}

/// Takes a channel's callback, signed as that channel signs. Give channels this address, with your app's id.
///
/// 4040302 where the app has no such channel. Otherwise the answer is the channel's own form of an acknowledgement (`SUCCESS`, `success`, JSON). Anything else, and every
/// status but 200, asks it to come again.
#[utoipa::path(post, path = "/v1/pay/callbacks/{channel}/{app_id}", operation_id = "payment_callback", tag = "Payment channels", params(("channel" = String, Path), ("app_id" = i64, Path)),
    request_body(content = String, description = "Whatever the channel sends."),
    responses((status = 200, body = String, content_type = "text/plain", description = "What the channel expects.")))]
pub(crate) async fn callback(
    Extension(gateway): Extension<Arc<Gateway>>,
    Path(CallbackPath { channel, app_id }): Path<CallbackPath>,
    raw: RawRequest,
) -> Result<Response, ApiError> {
    // A header that is no text can't be part of what a channel signs.
    let header = |(name, value): (&http::HeaderName, &HeaderValue)| {
        Some(Header { name: name.as_str().to_owned().into(), value: value.to_str().ok()?.to_owned().into() })
    };
    let request = HandleCallbackRequest {
        channel,
        app_id,
        method: raw.method.as_str().to_owned().into(),
        path: raw.path.into(),
        query: raw.query.into(),
        headers: raw.headers.iter().filter_map(header).collect(),
        body: raw.body,
    };
    Ok(answer(gateway.upstream.pay.handle_callback(request).await.map_err(could_not_tell)?)?)
}

fn answer(answer: HandleCallbackResponse) -> Result<Response, PublicError> {
    let status = u16::try_from(answer.status).ok().and_then(|status| StatusCode::from_u16(status).ok());
    let status = status.ok_or_else(PublicError::internal)?;
    let mut response = (status, Body::from(answer.body)).into_response();
    match answer.content_type.and_then(|text| HeaderValue::from_str(&text).ok()) {
        Some(content_type) => drop(response.headers_mut().insert(header::CONTENT_TYPE, content_type)),
        None => drop(response.headers_mut().remove(header::CONTENT_TYPE)),
    }
    Ok(response)
}
