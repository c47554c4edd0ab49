//! Limits that need nothing but the head: by client address, by its block, and by class of routes.
//!
//! A refusal here has read no body and asked nobody. What is limited, and how the three come together, is
//! [`Limits::at_the_edge`]'s to know; which client it is, the front layer has found out.

use std::{convert::Infallible, net::IpAddr};

use motore::Service;
use volo::context::Context;
use volo_http::{context::ServerContext, request::Request, response::Response, server::IntoResponse};

use super::{
    ApiError, ClientAddress, TrustedNetworks,
    envelope::{has_rate_limit, set_rate_limit},
    route_class::RouteClasses,
};
use crate::governance::limits::Limits;

/// The layer. Stands inside the front layer, which knows the client, and outside everything that reads a body.
#[derive(Clone, Debug)]
pub struct EdgeLimits<S> {
    inner: S,
    limits: Option<Limits>,
    classes: RouteClasses,
    proxies: TrustedNetworks,
}

impl<S> EdgeLimits<S> {
    /// Puts the limits around `inner`, which has routes of these `classes`; none: everything passes. `proxies` are our own.
    pub fn new(inner: S, limits: Option<Limits>, classes: RouteClasses, proxies: TrustedNetworks) -> Self {
        Self { inner, limits, classes, proxies }
    }

    /// The address of the client, if it is one. A proxy of ours that names no client, and whoever speaks through the unix
    /// socket without naming one, stand for anybody: as one address they would be refused for all.
    fn client(&self, cx: &ServerContext) -> Option<IpAddr> {
        let ClientAddress(address) = cx.extensions().get().copied()?;
        let came_by_tcp = || cx.rpc_info().caller().address().is_some_and(|peer| peer.ip_addr().is_some());
        let is_nobodys = self.proxies.contains(address) || (address.is_loopback() && !came_by_tcp());
        (!is_nobodys).then_some(address)
    }
}

impl<S> Service<ServerContext, Request> for EdgeLimits<S>
where
    S: Service<ServerContext, Request, Response = Response, Error = Infallible> + Send + Sync,
{
    type Response = Response;
    type Error = Infallible;

    async fn call(&self, cx: &mut ServerContext, request: Request) -> Result<Response, Infallible> {
        let Some(limits) = &self.limits else { return self.inner.call(cx, request).await };
        let standing = match limits.at_the_edge(|| self.classes.class_of(request.uri().path()), self.client(cx)) {
            Ok(standing) => standing,
            Err(refusal) => return Ok(ApiError(refusal).into_response()),
        };
        let mut response = self.inner.call(cx, request).await?;
        if let Some(standing) = standing
            && !has_rate_limit(response.headers())
        {
            set_rate_limit(response.headers_mut(), &standing.fields());
        }
        Ok(response)
    }
}
