//! The raw body. Its size is the business of the body limit, its time that of the request timeout. It is read as it is
//! on the wire: an encoded one (gzip) is refused, not decoded.

use bytes::Bytes;
use http::{HeaderMap, header::CONTENT_ENCODING};
use http_body_util::BodyExt;
use volo_http::body::Body;

use crate::error_code::{ErrorCode, PublicError};

/// Reads the whole body. A body that breaks off or is framed wrongly is malformed; one over the limit is answered by
/// the [body limit](crate::http::BodyLimit), whatever is made of it here.
pub(super) async fn read_body(headers: &HeaderMap, body: Body) -> Result<Bytes, PublicError> {
    if headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity") {
        return Err(PublicError::new(ErrorCode::UNSUPPORTED_MEDIA_TYPE));
    }
    match body.collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(_) => Err(PublicError::new(ErrorCode::MALFORMED_BODY)),
    }
}
