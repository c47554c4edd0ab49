//! `HandleCallback`: takes what a channel says.
//!
//! The law: check the signature over the raw bytes → find the order by our number → compare amount, currency, app and
//! product → lock → transition → commit → acknowledge → deliver. A signature that does not hold changes nothing. Whatever
//! could not be looked into is answered "come again", and never as a success.

use idl::pay::{HandleCallbackRequest, HandleCallbackResponse};

use super::create_order::is_channel_name;
use crate::{
    callbacks::Came,
    channels::{Acknowledgement, RawCallback},
    error::OrderError,
    service::Parts,
};

pub(crate) async fn handle_callback(
    parts: &Parts,
    request: HandleCallbackRequest,
) -> Result<HandleCallbackResponse, OrderError> {
    if !is_channel_name(&request.channel) {
        return Err(OrderError::NoSuchChannel);
    }
    let headers: Vec<(String, String)> =
        request.headers.iter().map(|header| (header.name.to_string(), header.value.to_string())).collect();
    let raw = RawCallback {
        method: &request.method,
        path: &request.path,
        query: &request.query,
        headers: &headers,
        body: &request.body,
    };
    let (app_id, at) = (request.app_id, parts.clock.now());
    let came = Came { channel: &request.channel, app_id, raw, at, only_judged: false };
    let Acknowledgement { status, content_type, body } = parts.callbacks.handle(came).await?;
    Ok(HandleCallbackResponse {
        status: i32::from(status),
        content_type: content_type.map(|text| text.into_owned().into()),
        body: body.into_owned().into_bytes().into(),
    })
}
