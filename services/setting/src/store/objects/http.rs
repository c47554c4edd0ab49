//! How the object store library sends its requests: through the platform's own HTTP client, with its limits, its TLS and its
//! list of authorities. Answers are read whole, which is what is done with them anyway.

use common::http::client::{HttpCallError, HttpClient};
use futures_util::stream;
use http::{Request, Response};
use opendal::{Buffer, Error, ErrorKind, HttpBody, HttpTransport};

pub(super) struct Transport {
    client: HttpClient,
}

impl Transport {
    pub(super) fn new(client: HttpClient) -> Self {
        Self { client }
    }
}

impl HttpTransport for Transport {
    async fn fetch(&self, request: Request<Buffer>) -> opendal::Result<Response<HttpBody>> {
        let request = request.map(|body| body.to_bytes());
        let (head, body) = self.client.send(request).await.map_err(failed)?.into_parts();
        let length = u64::try_from(body.len()).ok();
        let chunks = (!body.is_empty()).then(|| Ok(Buffer::from(body)));
        Ok(Response::from_parts(head, HttpBody::new(stream::iter(chunks), length)))
    }
}

fn failed(cause: HttpCallError) -> Error {
    Error::new(ErrorKind::Unexpected, "no answer of the store").set_source(cause)
}
