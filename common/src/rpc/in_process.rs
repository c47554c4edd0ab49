//! The transport of `serve all`: a call is a call, with the semantics of the wire.
//!
//! Like on the wire the handler sees none of the caller's metainfo, a panic is an internal fault, and a write that has
//! begun runs on when its caller gives up. A read is awaited in the caller's own task: spawning it would cost a seventh
//! of the throughput and, as it has no effects, would buy nothing.

use std::{cell::RefCell, fmt};

use metainfo::{METAINFO, MetaInfo};
use motore::{Service, layer::Layer};
use tracing::Instrument;
use volo::context::Context;
use volo_thrift::{
    ClientError, ServerError,
    context::{ClientContext, ServerContext},
};

use super::{
    contract::{Contract, Effect},
    error::CallError,
    server::ServerStack,
};
use crate::context::RequestContext;

/// Stands where the load balancer stands on the wire, and drops the sockets below it.
pub(super) struct InProcess<C: Contract> {
    stack: ServerStack<C>,
}

impl<C: Contract> InProcess<C> {
    pub(super) fn new(stack: ServerStack<C>) -> Self {
        Self { stack }
    }
}

impl<C: Contract, Socket> Layer<Socket> for InProcess<C> {
    type Service = Self;

    fn layer(self, _socket: Socket) -> Self {
        self
    }
}

impl<C: Contract> Service<ClientContext, C::RequestSend> for InProcess<C> {
    type Response = Option<C::ResponseRecv>;
    type Error = ClientError;

    async fn call(&self, cx: &mut ClientContext, request: C::RequestSend) -> Result<Self::Response, ClientError> {
        let method = C::sent(&request);
        let request = Box::new(C::request(request));
        let server_cx = server_context(cx);
        let result = match method.effect {
            Effect::Read => in_fresh_scope(&self.stack, server_cx, request).await,
            Effect::Write => Box::pin(self.run_to_the_end(server_cx, request)).await?,
        };
        match result {
            Ok(response) => Ok(Some(C::response(response))),
            Err(ServerError::Biz(refusal)) => Err(ClientError::Biz(refusal)),
            Err(ServerError::Application(exception)) => Err(ClientError::Application(exception)),
        }
    }
}

impl<C: Contract> InProcess<C> {
    /// On a task of its own, tracked so that the process waits for it, with the caller's context and span.
    async fn run_to_the_end(
        &self,
        cx: Box<ServerContext>,
        request: Box<C::RequestRecv>,
    ) -> Result<Result<C::ResponseSend, ServerError>, CallError> {
        let stack = self.stack.clone();
        let call = async move { in_fresh_scope(&stack, cx, request).await }.in_current_span();
        let tasks = &self.stack.parts.tasks;
        let task = match RequestContext::current() {
            Some(context) => tasks.spawn(context.scope(call)),
            None => tasks.spawn(call),
        };
        // Panics are caught inside: a task ends without a result only when the runtime is torn down.
        task.await.map_err(|lost| CallError::LostAfterSend { cause: lost.to_string() })
    }
}

/// Runs the stack where nothing of the caller's metainfo is visible.
async fn in_fresh_scope<C: Contract>(
    stack: &ServerStack<C>,
    mut cx: Box<ServerContext>,
    request: Box<C::RequestRecv>,
) -> Result<C::ResponseSend, ServerError> {
    METAINFO.scope(RefCell::new(MetaInfo::new()), stack.service.call(&mut cx, request)).await
}

/// What decoding a frame would have put into the server's context. Boxed, because it is large and changes hands.
fn server_context(client: &ClientContext) -> Box<ServerContext> {
    let mut server = Box::<ServerContext>::default();
    let (from, to) = (client.rpc_info(), server.rpc_info_mut());
    to.set_method(from.method().clone());
    to.caller_mut().set_service_name(from.caller().service_name());
    to.callee_mut().set_service_name(from.callee().service_name());
    server
}

impl<C: Contract> Clone for InProcess<C> {
    fn clone(&self) -> Self {
        Self { stack: self.stack.clone() }
    }
}

impl<C: Contract> fmt::Debug for InProcess<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcess").field("stack", &self.stack).finish()
    }
}
