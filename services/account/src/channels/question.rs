//! One question over HTTP.

use bytes::Bytes;
use common::http::client::HttpCallError;
use http::{HeaderValue, Request, header};

use super::{CouldNotTell, Outside, RETRY_AFTER};
use crate::domain::channel::request::Question;

const USER_AGENT: HeaderValue = HeaderValue::from_static(concat!("playgate/", env!("CARGO_PKG_VERSION")));

/// How a question ended that has no answer to read.
pub(super) struct Failure {
    pub(super) could_not_tell: CouldNotTell,
    /// Whether it is the channel that failed, and not this caller's time that was up.
    pub(super) of_channel: bool,
}

/// The question as it is sent. `None`: something in it can't be sent.
pub(super) fn request(question: Question) -> Option<Request<Bytes>> {
    let mut request = Request::builder().method(question.method.as_str()).uri(question.url);
    request = request.header(header::USER_AGENT, USER_AGENT);
    for (name, value) in question.headers {
        request = request.header(name, value);
    }
    let body = match question.body {
        Some((content_type, body)) => {
            request = request.header(header::CONTENT_TYPE, content_type);
            Bytes::from(body)
        }
        None => Bytes::new(),
    };
    request.body(body).ok()
}

/// A document that anybody may read.
pub(super) fn get(url: &str) -> Option<Request<Bytes>> {
    Request::get(url).header(header::USER_AGENT, USER_AGENT).body(Bytes::new()).ok()
}

impl Outside {
    /// Sends a question and reads the answer. A status that says that the other side is in trouble is a failure.
    pub(super) async fn exchange(&self, request: Request<Bytes>) -> Result<http::Response<Bytes>, Failure> {
        match self.client.send(request).await {
            Ok(answer) if answer.status().is_server_error() || matches!(answer.status().as_u16(), 408 | 429) => {
                Err(failure(format!("it answered {}", answer.status().as_u16()), true))
            }
            Ok(answer) => Ok(answer),
            Err(HttpCallError::TimedOut(limit)) => {
                Err(failure(format!("no answer within {limit:?}"), limit >= self.config.timeout / 2))
            }
            Err(error @ (HttpCallError::Forbidden | HttpCallError::Request(_))) => {
                Err(failure(error.to_string(), false))
            }
            Err(error) => Err(failure(error.to_string(), true)),
        }
    }
}

fn failure(reason: String, of_channel: bool) -> Failure {
    Failure { could_not_tell: CouldNotTell { reason, retry_after: RETRY_AFTER }, of_channel }
}
