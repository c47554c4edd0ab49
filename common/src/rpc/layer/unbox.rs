//! Takes the request out of its box, for those who know nothing of boxes.
//!
//! A layer is a future that holds the request, inside of which is the future of the next layer, which holds it again:
//! carried by value it would be in each of them twice, and building and moving them would cost more than what they do.
//! So the layers of ours hand a pointer on.

use motore::Service;

/// The layer.
#[derive(Clone, Debug)]
pub(in crate::rpc) struct Unbox<S> {
    inner: S,
}

impl<S> Unbox<S> {
    pub(in crate::rpc) fn new(inner: S) -> Self {
        Self { inner }
    }
}

impl<S, Cx, Request> Service<Cx, Box<Request>> for Unbox<S>
where
    S: Service<Cx, Request> + Send + Sync,
    Cx: Send,
    Request: Send,
{
    type Response = S::Response;
    type Error = S::Error;

    fn call(&self, cx: &mut Cx, request: Box<Request>) -> impl Future<Output = Result<S::Response, S::Error>> + Send {
        self.inner.call(cx, *request)
    }
}
