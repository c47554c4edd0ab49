//! `POST /v1/partner/{partner}/clicks`: an ad network tells of a click, as a form.
//!
//! The parameters are the event, those of the query and those of the form. 204 means that it is durable, now or from the
//! time before that it came.

use std::{borrow::Cow, sync::Arc};

use common::{
    error_code::{ErrorCode, PublicError},
    http::{ApiError, UnreadRequest},
};
use http::{
    HeaderMap, StatusCode,
    header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING},
};
use volo_http::utils::Extension;

use super::name::NameInPath;
use crate::{
    partners::{
        Partner,
        signing::{Md5Over, without_signature},
        store::{Encoding, EventStore, nothing_taken},
    },
    state::Gateway,
};

/// What a click is called by those who have no `event_id`.
const CLICK_ID: &str = "click_id";

/// Takes a click or another callback of an ad network. The parameters are the event; `event_id`, or else `click_id`,
/// makes it safe to send it again.
///
/// Signed as the partner is configured: `hmac` like the requests of game servers, with `X-Partner-Id`; `md5-sorted` with
/// the parameter `sign`; or not at all.
#[utoipa::path(post, path = "/v1/partner/{partner}/clicks", operation_id = "push_click", tag = "Partners", security(("partner" = []), ()), params(("partner" = String, Path)),
    request_body(content = Object, content_type = "application/x-www-form-urlencoded", description = "Parameters of any name."),
    responses((status = 204, description = "The click is durable.")))]
pub(crate) async fn push_click(
    Extension(gateway): Extension<Arc<Gateway>>,
    NameInPath(name): NameInPath,
    request: UnreadRequest,
) -> Result<StatusCode, ApiError> {
    let door = gateway.partner_door()?;
    require_form(&request.head.headers)?;
    let (over, now) = (Md5Over::QueryAndForm, gateway.clock.now());
    let admitted = door.admit(&name, request, Encoding::Plain, over, now).await?;
    let form = std::str::from_utf8(&admitted.body).map_err(|_| PublicError::new(ErrorCode::MALFORMED_BODY))?;
    let query = admitted.head.uri.query().unwrap_or_default();
    let parameters = match (query.is_empty(), form.is_empty()) {
        (true, _) => Cow::Borrowed(form),
        (false, true) => Cow::Borrowed(query),
        (false, false) => Cow::Owned(format!("{query}&{form}")),
    };
    store(&door.events, &admitted.partner, &parameters).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Makes the event of these parameters durable.
pub(super) async fn store(events: &EventStore, partner: &Partner, parameters: &str) -> Result<(), PublicError> {
    let parameters = without_signature(parameters);
    let event = events.read_form(&with_event_id(&parameters))?;
    let receipt = events.store(partner, event).await?;
    if receipt.accepted + receipt.duplicates == 0 { Err(nothing_taken(&receipt)) } else { Ok(()) }
}

/// A click that has an id and no `event_id` is called by that id.
fn with_event_id(parameters: &str) -> Cow<'_, str> {
    let mut click_id = None;
    for (name, value) in form_urlencoded::parse(parameters.as_bytes()) {
        match &*name {
            "event_id" => return Cow::Borrowed(parameters),
            CLICK_ID if click_id.is_none() => click_id = Some(value),
            _ => {}
        }
    }
    // An empty one is a placeholder that nobody filled in.
    let Some(click_id) = click_id.filter(|click_id| !click_id.is_empty()) else { return Cow::Borrowed(parameters) };
    let mut named = form_urlencoded::Serializer::new(parameters.to_owned());
    Cow::Owned(named.append_pair("event_id", &click_id).finish())
}

/// A form, or nothing at all.
fn require_form(headers: &HeaderMap) -> Result<(), PublicError> {
    let refuse = Err(PublicError::new(ErrorCode::UNSUPPORTED_MEDIA_TYPE));
    if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return refuse;
    }
    let Some(content_type) = headers.get(CONTENT_TYPE) else {
        // Everything may stand in the query.
        let is_empty = headers.get(CONTENT_LENGTH).is_none_or(|length| length == "0");
        return if is_empty && !headers.contains_key(TRANSFER_ENCODING) { Ok(()) } else { refuse };
    };
    let essence = content_type.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
    if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") { Ok(()) } else { refuse }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_click_is_called_by_its_event_id_or_else_by_its_click_id() {
        for (parameters, named) in [
            ("a=1&click_id=c%201", "a=1&click_id=c%201&event_id=c+1"),
            ("click_id=c-1&event_id=e-1", "click_id=c-1&event_id=e-1"),
            ("click_id=&a=1", "click_id=&a=1"),
            ("a=1", "a=1"),
            ("", ""),
        ] {
            assert_eq!(with_event_id(parameters), named);
        }
    }
}
